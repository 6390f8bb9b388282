"""Group `heatmaps`: positions over time × price, per timeframe. Four windows on one walk."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from liq_pipeline.assets.common import OWNERS, WAREHOUSE_POOL, failure, instant, share_pct, table_metadata, tag_run
from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError
from liq_pipeline.model.heatmap import (
    COLUMN_WIDTHS,
    LEVERAGE_CLASSES,
    MAX_ROWS,
    MAX_ROWS_1D,
    Cohorts,
    Heatmap,
    column_instants,
    heatmap,
)
from liq_pipeline.model.walk import MODEL_VERSION, SIDES
from liq_pipeline.warehouse.layout import HEATMAP_SCHEMA, view_folder
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import Warehouse

PREVIEW_BYTES = 50_000  # what the UI shows inline; more makes it slow (dagster.md E)


def heatmap_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `liquidation_heatmap_1d`, `_7d`, `_30d` and `_90d`."""

    @dg.multi_asset(
        pool=WAREHOUSE_POOL,
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
                owners=OWNERS,
                code_version=MODEL_VERSION,
                partitions_def=symbols,
            )
            for timeframe, width in COLUMN_WIDTHS.items()
        ],
        name="liquidation_heatmaps",
        can_subset=True,
    )
    def heatmaps(
        context: dg.AssetExecutionContext, warehouse: Warehouse, publisher: Publisher, clock: Clock
    ) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        try:
            newest = warehouse.newest_bar(symbol)
        except LiqError as error:
            raise failure(error) from error
        survival = warehouse.read("survival", symbol=symbol)
        ts = survival["ts"].to_numpy().astype("datetime64[us]")
        log_survival = {side: survival[side].to_numpy() for side in SIDES}
        tables = {timeframe: f"liquidation_heatmap_{timeframe}" for timeframe in COLUMN_WIDTHS}
        columns = {
            timeframe: column_instants(ts, timeframe)
            for timeframe, table in tables.items()
            if dg.AssetKey(table) in context.selected_asset_keys
        }
        since = min(instants[0] for instants in columns.values())
        cohorts = cohorts_of(warehouse.read("cohorts_since", symbol=symbol, since=_utc(since)), ts)
        tag_run(context, newest["as_of"])
        for done, (timeframe, instants) in enumerate(columns.items()):
            context.log.info(f"{symbol}: heatmap {done + 1} of {len(columns)}, {timeframe}: {instants.size} columns")
            found = heatmap(cohorts, ts, log_survival, instants, newest["current_price"], _max_rows(timeframe))
            rows = heatmap_rows(found, symbol, timeframe)
            count = warehouse.replace(tables[timeframe], symbol, rows)
            candles = read_candles(warehouse, symbol, timeframe, instants)
            folder = view_folder(Path(publisher.folder).absolute(), symbol, timeframe)
            yield dg.MaterializeResult(
                asset_key=tables[timeframe],
                metadata={
                    "dagster/row_count": count,
                    "as_of": instant(newest["as_of"]),
                    "columns": instants.size,
                    "row_height_pct_of_price": share_pct(found.bin_width, newest["current_price"]),
                    "preview": _preview(rows, candles, newest, publisher.source_label, clock),
                    "picture": dg.MetadataValue.path(folder / "heatmap.png"),
                    "page": dg.MetadataValue.path(folder / "heatmap.html"),  # browsers follow no file:// from a page
                },
            )

    return [heatmaps]


def cohorts_of(rows: pa.Table, ts: np.ndarray) -> Cohorts:
    """Turn rows of `queries/cohorts_since.sql` into arrays; instants become indices of bars."""
    ended = rows["liquidated_at"].to_numpy().astype("datetime64[us]")
    return Cohorts(
        opened=np.searchsorted(ts, rows["opened_at"].to_numpy().astype("datetime64[us]")),
        ended=np.where(np.isnat(ended), ts.size, np.searchsorted(ts, ended)),
        **{
            name: rows[name].to_numpy(zero_copy_only=False)
            for name in ("is_long", "leverage", "liquidation_price", "contracts_opened")
        },
    )


def heatmap_rows(found: Heatmap, symbol: str, timeframe: str) -> pa.Table:
    """Return the rows of one `liquidation_heatmap_<timeframe>`, as they are published."""
    count = found.column.size
    classes = {
        f"notional_usd_{name}": found.by_class[:, place].astype(np.float32)
        for place, name in enumerate(LEVERAGE_CLASSES)
    }
    return pa.table(
        {
            "symbol": pa.repeat(symbol, count),
            "timeframe": pa.repeat(timeframe, count),
            "ts": pa.array(found.ts[found.column]).cast(pa.timestamp("us", "UTC")),
            "price_low": found.price_low,
            "price_high": found.price_high,
            "side": np.where(found.is_long, "long", "short"),
            "notional_usd": found.notional_usd,
            "contracts": found.contracts,
            **classes,
        },
        schema=HEATMAP_SCHEMA,
    )


def read_candles(warehouse: Warehouse, symbol: str, timeframe: str, instants: np.ndarray) -> pa.Table:
    """Return a candle per column: the columns' instants decide its width."""
    width = np.diff(instants).min() if instants.size > 1 else COLUMN_WIDTHS[timeframe]
    return warehouse.read(
        "candles",
        symbol=symbol,
        timeframe=timeframe,
        as_of=_utc(instants[-1]),
        since=_utc(instants[0] - width),
        width=int(width / np.timedelta64(1, "s")),
    )


def _max_rows(timeframe: str) -> int:
    return MAX_ROWS_1D if timeframe == "1d" else MAX_ROWS


def _utc(value: np.datetime64) -> datetime:
    moment: datetime = value.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _preview(
    rows: pa.Table, candles: pa.Table, newest: dict[str, object], source_label: str, clock: Clock
) -> dg.MetadataValue:
    """Return a small picture for the UI, inline."""
    from liq_pipeline.views.frame import frame_of
    from liq_pipeline.views.heatmap_png import draw_preview

    frame = frame_of(rows, candles, {**newest, "source_label": source_label}, clock.now())
    data = draw_preview(frame, PREVIEW_BYTES * 3 // 4 - 100)
    return dg.MetadataValue.md(f"![heatmap](data:image/png;base64,{base64.b64encode(data).decode()})")
