"""Group `heatmaps`: positions over time × price, per timeframe. Four windows on one walk."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from liq_pipeline.model.heatmap import (
    COLUMN_WIDTHS,
    Heatmap,
)
from liq_pipeline.model.walk import model_version
from liq_pipeline.orchestration.assets.common import (
    acting,
    instant,
    page_link,
    share_pct,
    table_metadata,
    tag_run,
)
from liq_pipeline.orchestration.resources import ClockResource, PublisherResource, WarehouseResource
from liq_pipeline.published.layout import view_folder
from liq_pipeline.transform.heatmaps import read_candles, write_heatmaps

PREVIEW_BYTES = 50_000  # what the UI shows inline; more makes it slow (dagster.md E)


def heatmap_assets(symbols: dg.PartitionsDefinition, service: str) -> list[dg.AssetsDefinition]:
    """Return `liquidation_heatmap_1d`, `_7d`, `_30d` and `_90d`; `service` is where `liq serve` would answer."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                f"liquidation_heatmap_{timeframe}",
                deps=["position_cohorts", "position_survival", "klines"],
                description=f"Estimated liquidation levels over the last {timeframe}, one row per column of "
                f"{width.astype('timedelta64[m]')} (or one bar), price row and side.\n\nA column is the state at its "
                "closing instant `ts`: every position alive then, whatever its age. Bands start when positions open, "
                "fade as they close, and stop at the candle that touches them. `notional_usd = contracts × "
                "liquidation price`: exposure, not a forecast.",
                metadata=table_metadata(f"liquidation_heatmap_{timeframe}"),
                group_name="heatmaps",
                kinds={"duckdb", "python"},
                code_version=model_version(),
                partitions_def=symbols,
            )
            for timeframe, width in COLUMN_WIDTHS.items()
        ],
        name="liquidation_heatmaps",
        can_subset=True,
    )
    def heatmaps(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        publisher: PublisherResource,
        clock: ClockResource,
    ) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        chosen = [
            name for name in COLUMN_WIDTHS if dg.AssetKey(f"liquidation_heatmap_{name}") in context.selected_asset_keys
        ]
        made: list[dg.MaterializeResult] = []
        with acting(), warehouse.transaction(symbol) as tables:
            newest = tables.newest_bar(symbol)
            for timeframe, found, rows in write_heatmaps(tables, symbol, newest["current_price"], chosen):
                candles = read_candles(tables, symbol, timeframe, found.ts)
                preview = _preview(rows, candles, newest, publisher.source_label, clock)
                folder = view_folder(Path(publisher.folder).absolute(), symbol, timeframe)
                page = page_link(service, symbol, timeframe)
                made.append(_result(timeframe, found, rows.num_rows, newest, preview, folder, page))
                context.log.info(
                    f"{symbol}: heatmap {len(made)} of {len(chosen)}, {timeframe}: {found.ts.size} columns"
                )
        tag_run(context, newest["as_of"])
        yield from made

    return [heatmaps]


def _result(
    timeframe: str,
    found: Heatmap,
    rows: int,
    newest: dict[str, Any],
    preview: dg.MetadataValue,
    folder: Path,
    page: dg.MetadataValue,
) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        asset_key=f"liquidation_heatmap_{timeframe}",
        metadata={
            "dagster/partition_row_count": rows,
            "as_of": instant(newest["as_of"]),
            "columns": found.ts.size,
            "row_height_pct_of_price": share_pct(found.bin_width, newest["current_price"]),
            "preview": preview,
            "picture": dg.MetadataValue.path(folder / "heatmap.png"),
            "page": page,
        },
    )


def _preview(
    rows: pa.Table, candles: pa.Table, newest: dict[str, object], source_label: str, clock: ClockResource
) -> dg.MetadataValue:
    """Return a small picture for the UI, inline."""
    from liq_pipeline.views.frame import frame_of
    from liq_pipeline.views.heatmap_png import draw_preview

    frame = frame_of(rows, candles, {**newest, "source_label": source_label}, clock.now())
    data = draw_preview(frame, PREVIEW_BYTES * 3 // 4 - 100)
    return dg.MetadataValue.md(f"![heatmap](data:image/png;base64,{base64.b64encode(data).decode()})")
