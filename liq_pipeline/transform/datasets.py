"""What is published of a symbol: rows of the tables, with what their manifests say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from liq_pipeline.clock import iso
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.model.heatmap import BURN_IN, COLUMN_WIDTHS
from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.model.margin import bracket_epochs, brackets_known_until, has_own_brackets, leverages_used
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.model.walk import MODEL_NAME, model_version, parameters_in_use
from liq_pipeline.published.if_reached import DATASET, ReachedFit, hidden_because, longest, ranges
from liq_pipeline.published.publish import PublishedDataset
from liq_pipeline.transform.described import described
from liq_pipeline.transform.heatmaps import read_candles
from liq_pipeline.transform.history import history_dataset
from liq_pipeline.transform.levels import coverage_pct, level_facts
from liq_pipeline.transform.positions import published_positions
from liq_pipeline.warehouse.schema import FEATURES, HEATMAP_TABLES, LEVEL_TABLES
from liq_pipeline.warehouse.tables import Tables

HINDSIGHT = [
    "a gap of open interest is spread with the snapshot that ended it (is_interpolated)",
    "files that the exchange wrote again since are read as they are now",
    "the model is this version's, also for days before it",
]
"""How the map at an instant of the past, as `positions` gives it, may differ from what was seen then."""


def level_datasets(
    tables: Tables, symbol: str, archive: ArchiveSource, checks: list[dict[str, Any]], now: datetime | None = None
) -> list[PublishedDataset]:
    """Return what is published with a symbol's levels: every timeframe, changes, positions, features.

    Args:
        tables: inside a transaction.
        symbol: whose.
        archive: where the data came from.
        checks: what the checks of this run found.
        now: the current instant; given, the day's entry of `levels_history` is among them.
    """
    newest = tables.newest_bar(symbol)
    shared: dict[str, Any] = {
        "as_of": iso(newest["as_of"]),
        "first_ts": iso(newest["first_ts"]),
        "bar_minutes": archive.bar_minutes,
        "checksums": archive.checksums(symbol, newest["first_ts"].date()),
        "open_interest_contracts": newest["open_interest"],
        "rest_rows": tables.read("rest_rows", symbol=symbol).to_pylist()[0],
        **model_facts(symbol, newest["first_ts"], newest["as_of"]),
        "checks": checks,
    }
    datasets, levels = [], {}
    coverage = coverage_pct(tables, symbol)
    for timeframe, table in zip(TIMEFRAMES, LEVEL_TABLES, strict=True):
        rows = tables.sql(
            f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY side, leverage, price_low", symbol=symbol
        ).cast(described("liquidation_levels"))
        levels[timeframe] = rows
        facts = level_facts(rows, coverage[timeframe])
        manifest = {**shared, "current_price": newest["current_price"], **facts}
        datasets.append(PublishedDataset("liquidation_levels", symbol, rows, manifest, timeframe))
    deltas = tables.sql("SELECT * FROM oi_delta WHERE symbol = $symbol ORDER BY ts", symbol=symbol)
    whole = {**shared, "first_ts": iso(deltas["ts"][0].as_py())}  # settled contracts of the ticker included
    datasets.append(PublishedDataset("oi_delta", symbol, deltas.cast(described("oi_delta")), whole))
    positions = published_positions(tables.read("positions", symbol=symbol))
    datasets.append(PublishedDataset("positions", symbol, positions, {**shared, "hindsight": HINDSIGHT}))
    near = tables.read("newest_features", symbol=symbol).to_pylist()[0]
    datasets.append(PublishedDataset(FEATURES, symbol, tables.file_of(FEATURES).read_bytes(), {**shared, **near}))
    if now and any(rows.num_rows for rows in levels.values()):
        datasets.append(history_dataset(levels, shared, now))
    return datasets


def reached_dataset(
    tables: Tables, symbol: str, fits: Sequence[ReachedFit], not_fitted: Mapping[str, str]
) -> PublishedDataset:
    """Return the dataset `if_reached`: what the fits make of the newest levels.

    Args:
        tables: inside a transaction.
        symbol: whose.
        fits: of every source of truth and horizon.
        not_fitted: what could not be fitted, in words, by source.
    """
    newest = tables.newest_bar(symbol)
    levels = tables.sql(f"SELECT * FROM {LEVEL_TABLES[-1]} WHERE symbol = $symbol", symbol=symbol)
    rows = ranges(levels, fits, symbol, newest["as_of"], newest["current_price"]).cast(described(DATASET))
    lacking = {f"{hours} h": hidden_because(fits, longest(fits, hours)) for hours in HORIZON_HOURS}
    manifest = {
        "as_of": iso(newest["as_of"]),
        "current_price": newest["current_price"],
        **model_facts(symbol, newest["first_ts"], newest["as_of"]),
        "fits": [one.model_dump() for one in fits],
        "hidden_because": {hours: why for hours, why in lacking.items() if why},
        "not_fitted": dict(not_fitted),
    }
    return PublishedDataset(DATASET, symbol, rows, manifest)


def heatmap_datasets(
    tables: Tables, symbol: str, archive: ArchiveSource, checks: list[dict[str, Any]]
) -> list[PublishedDataset]:
    """Return what is published of a symbol's heatmaps: cells and candles of every timeframe, with their manifests."""
    newest = tables.newest_bar(symbol)
    shared = {
        "as_of": iso(newest["as_of"]),
        "first_ts": iso(newest["first_ts"]),
        "bar_minutes": archive.bar_minutes,
        "checksums": archive.checksums(symbol, newest["first_ts"].date()),
        "current_price": newest["current_price"],
        "open_interest_contracts": newest["open_interest"],
    }
    model = model_facts(symbol, newest["first_ts"], newest["as_of"])
    datasets: list[PublishedDataset] = []
    for timeframe, table in zip(COLUMN_WIDTHS, HEATMAP_TABLES, strict=True):
        cells = tables.file_of(table)
        instants = tables.sql(f"SELECT DISTINCT ts FROM {table} ORDER BY ts")["ts"].to_numpy().astype("datetime64[us]")
        candles = read_candles(tables, symbol, timeframe, instants).cast(described("candles"))
        facts = shared | column_facts(cells, instants, newest["first_ts"], COLUMN_WIDTHS[timeframe])
        datasets.append(
            PublishedDataset("liquidation_heatmap", symbol, cells, facts | model | {"checks": checks}, timeframe)
        )
        datasets.append(PublishedDataset("candles", symbol, candles, facts, timeframe))
    return datasets


def column_facts(cells: Path, instants: np.ndarray, first_ts: Any, width: np.timedelta64) -> dict[str, Any]:
    """Return what a reader of the cells needs to know of the columns."""
    begin = instants[0].item()
    history = begin - first_ts.replace(tzinfo=None)
    (first,) = next(pq.ParquetFile(cells).iter_batches(1, columns=["price_low", "price_high"])).to_pylist()
    return {
        "columns": int(instants.size),
        "column_seconds": int((np.diff(instants).min() if instants.size > 1 else width) / np.timedelta64(1, "s")),
        "first_column": iso(begin.replace(tzinfo=UTC)),
        "bin_width": round(first["price_high"] - first["price_low"], 12),
        "burn_in_days": history.total_seconds() / 86_400,
        "is_burned_in": history >= BURN_IN.item(),
    }


def model_facts(symbol: str, first_ts: datetime, as_of: datetime) -> dict[str, Any]:
    """Return the model as it was used on a symbol, as manifests tell it: parameters, leverages, margin brackets."""
    span = np.array([moment.replace(tzinfo=None) for moment in (first_ts, as_of)], "datetime64[us]")
    parameters = parameters_in_use()
    ladder = leverages_used(symbol, parameters.ladder, span[0], span[1])
    epoch, history = bracket_epochs(symbol, span)
    newest = history[epoch[1]]
    return {
        "model": {
            "name": MODEL_NAME,
            "version": model_version(),
            # The names of the published schema.
            "parameters": {
                "ladder": ladder,
                "weights": parameters.weights,
                "gamma": parameters.churn_per_turnover,
                "churn_cap": parameters.churn_cap,
                "extremes_share": parameters.extremes_share,
            },
        },
        "margin_brackets": "own" if has_own_brackets(symbol) else "default",
        "margin_brackets_known_until": brackets_known_until(symbol),
        "maintenance_margin_pct": round(100 * float(newest.mmr[0]), 6),
        "max_leverage": float(newest.max_leverage[0]),
    }
