"""What is published, as pandas frames: no Dagster, no server, no database. For notebooks and bots.

from liq_pipeline import client
client.liquidation_levels("BTCUSDT", "7d")
client.liquidation_levels("BTCUSDT", "7d", at="2026-03-20T12:00Z")
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.errors import NotPublished, PublishedDamaged, SettingsError
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.journal import finish_interrupted
from liq_pipeline.published.layout import dataset_path, published_symbols
from liq_pipeline.published.local import up_to_date
from liq_pipeline.published.manifests import sound_manifest
from liq_pipeline.published.past import Past, past_of
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.setting_forms import instant_of
from liq_pipeline.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd


def symbols(folder: Path | str | None = None) -> list[str]:
    """Return the symbols that are published.

    Args:
        folder: the published folder; default: that of the settings, `data/published`, or their bucket (LIQ_STORAGE).
    """
    return _symbols(_root(folder))


def manifest(
    dataset: str, symbol: str, timeframe: str | None = None, folder: Path | str | None = None
) -> dict[str, Any]:
    """Return what is known of a published file: its newest bar, its sha256, model, checks.

    Raises:
        NotPublished, SettingsError: as `liquidation_levels`.
        PublishedDamaged: the manifest is not what was published.
    """
    path = _path(dataset, symbol, timeframe, folder)
    found = sound_manifest(path)
    if found is None:
        raise PublishedDamaged(f"{path} has no manifest", remedy="publish again: liq run")
    return found


def liquidation_levels(
    symbol: str,
    timeframe: str = "7d",
    *,
    at: datetime | str | None = None,
    folder: Path | str | None = None,
) -> pd.DataFrame:
    """Return estimated liquidation levels: a row per side, leverage and price bin.

    Args:
        symbol: perpetual, such as BTCUSDT.
        timeframe: 1d, 7d, 30d, 90d: positions that are younger.
        at: an instant (UTC if it names no zone): the map as the model sees it from the bars up to then; default: the
            newest one, as it was published.
        folder: the published folder; default: that of the settings.

    Raises:
        NotPublished: it is not published.
        SettingsError: there is no such timeframe; `at` is no instant.
        NoData: `at` lies before the first bar.
        PublishedDamaged: the file is missing or cannot be read.
    """
    if at is None:
        return _read("liquidation_levels", symbol, timeframe, folder).to_pandas()
    return past(symbol, folder).levels_at(instant(at), [_timeframe(timeframe)])[timeframe].to_pandas()


def liquidation_heatmap(symbol: str, timeframe: str = "7d", *, folder: Path | str | None = None) -> pd.DataFrame:
    """Return the cells of a heatmap: a row per column of time, price bin and side. Errors as `liquidation_levels`."""
    return _read("liquidation_heatmap", symbol, timeframe, folder).to_pandas()


def candles(symbol: str, timeframe: str = "7d", *, folder: Path | str | None = None) -> pd.DataFrame:
    """Return the candles of a heatmap's columns. Errors as `liquidation_levels`."""
    return _read("candles", symbol, timeframe, folder).to_pandas()


def oi_delta(symbol: str, *, folder: Path | str | None = None) -> pd.DataFrame:
    """Return open interest and its change, a row per bar. Errors as `liquidation_levels`."""
    return _read("oi_delta", symbol, None, folder).to_pandas()


def if_reached(symbol: str, *, folder: Path | str | None = None) -> pd.DataFrame:
    """Return how much gets liquidated on the way to a price, if it is reached: a row per source, horizon, side, target.

    Without rows where there are less than 14 days of reported liquidations; the manifest says why. Errors as
    `liquidation_levels`.
    """
    return _read("if_reached", symbol, None, folder).to_pandas()


def liquidation_features(symbol: str, *, folder: Path | str | None = None) -> pd.DataFrame:
    """Return what lies near the price, a row per bar, for a bot to merge. Errors as `liquidation_levels`."""
    return _read("liquidation_features", symbol, None, folder).to_pandas()


def past(symbol: str, folder: Path | str | None = None) -> Past:
    """Return all positions of a symbol, for many instants: `past("BTCUSDT").levels_at(at)`. 20 MB for 120 days.

    Raises:
        NotPublished, PublishedDamaged: as `liquidation_levels`.
    """
    return past_of(_read("positions", symbol, None, folder))


def instant(at: datetime | str) -> datetime:
    """Return an instant in UTC, given as text or as it is.

    Raises:
        SettingsError: it is none.
    """
    try:
        return instant_of(at.isoformat() if isinstance(at, datetime) else at)
    except ValueError as error:
        raise SettingsError(f"{str(at)!r} {error}") from None


def _root(folder: Path | str | None, *wanted: str) -> Path:
    """Return the folder; of the settings' bucket, where there is one, the newest of these symbols (of all) is in it."""
    return Path(folder) if folder is not None else up_to_date(load_settings(), wanted or None)


def _symbols(root: Path) -> list[str]:
    finish_interrupted(root)
    return published_symbols(root)


def _timeframe(name: str) -> str:
    if name not in TIMEFRAMES:
        raise SettingsError(f"there is no timeframe {name!r}", expected=", ".join(TIMEFRAMES))
    return name


def _path(dataset: str, symbol: str, timeframe: str | None, folder: Path | str | None) -> Path:
    root = _root(folder, symbol)
    names = _symbols(root)
    if symbol not in names:
        raise NotPublished(
            f"{symbol} is not published in {root}", expected=", ".join(names) or "something", remedy="liq run"
        )
    return dataset_path(root, dataset, symbol, timeframe and _timeframe(timeframe))


def _read(dataset: str, symbol: str, timeframe: str | None, folder: Path | str | None) -> pa.Table:
    path = _path(dataset, symbol, timeframe, folder)
    try:
        rows = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise PublishedDamaged(f"{path} is missing", remedy="publish again: liq run") from None
    except (OSError, pa.ArrowException) as error:
        raise PublishedDamaged(f"{path} cannot be read: {error}", remedy="publish again: liq run") from None
    if lacking := [name for name in SCHEMAS[dataset].names if name not in rows.column_names]:
        raise PublishedDamaged(
            f"{path} has no column {', '.join(lacking)}: another version published it", remedy="publish again: liq run"
        )
    return rows
