"""The published folder: where each file lies and what its columns are. A contract (docs/architecture.md).

Writers and readers share it; it loads neither Dagster nor DuckDB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.warehouse.manifests import sound_manifest

SCHEMA_VERSION = 1

LEVELS_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "as_of": pa.timestamp("us", "UTC"),
        "side": pa.string(),
        "leverage": pa.float64(),
        "price_low": pa.float64(),
        "price_high": pa.float64(),
        "contracts": pa.float64(),
        "notional_usd": pa.float64(),
        "current_price": pa.float64(),
        "distance_pct": pa.float64(),
    }
)
OI_DELTA_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "open_interest": pa.float64(),
        "oi_delta": pa.float64(),
        "oi_delta_usd": pa.float64(),
        "entry_price": pa.float64(),
        "volume": pa.float64(),
        "is_interpolated": pa.bool_(),
        "contract": pa.int32(),
    }
)
HEATMAP_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "price_low": pa.float64(),
        "price_high": pa.float64(),
        "side": pa.string(),
        "notional_usd": pa.float64(),
        "contracts": pa.float64(),
        "notional_usd_10x": pa.float32(),
        "notional_usd_25x": pa.float32(),
        "notional_usd_50x": pa.float32(),
        "notional_usd_100x": pa.float32(),
    }
)
CANDLES_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "open_time": pa.timestamp("us", "UTC"),
        "open": pa.float64(),
        "high": pa.float64(),
        "low": pa.float64(),
        "close": pa.float64(),
        "volume": pa.float64(),
    }
)


SCHEMAS = {
    "liquidation_levels": LEVELS_SCHEMA,
    "oi_delta": OI_DELTA_SCHEMA,
    "liquidation_heatmap": HEATMAP_SCHEMA,
    "candles": CANDLES_SCHEMA,
}


def dataset_path(folder: Path, name: str, symbol: str, timeframe: str | None = None) -> Path:
    """Return where a dataset of a symbol is published."""
    place = folder / name / f"symbol={symbol}"
    return (place / f"timeframe={timeframe}" if timeframe else place) / f"{name}.parquet"


def view_folder(folder: Path, symbol: str, timeframe: str) -> Path:
    """Return where the pictures and the page of a symbol and timeframe are published."""
    return folder / "views" / f"symbol={symbol}" / f"timeframe={timeframe}"


def shared_path(folder: Path, name: str) -> Path:
    """Return where a file lies that all pages share."""
    return folder / "views" / "assets" / name


def published_symbols(folder: Path, dataset: str = "liquidation_levels") -> list[str]:
    """Return the symbols of which a dataset is published, by name; names that are no text (not UTF-8) are not ours."""
    found = (path.name.removeprefix("symbol=") for path in (folder / dataset).glob("symbol=*"))
    return sorted(name for name in found if not any("\ud800" <= letter <= "\udfff" for letter in name))


def published_folders(folder: Path, symbol: str) -> list[Path]:
    """Return every folder of a symbol's published files; the one that makes readers list the symbol comes first."""
    found = folder.glob(f"[!.]*/symbol={symbol}")
    return sorted(found, key=lambda path: (path.parent.name != "liquidation_levels", path))


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest beside a published file, or None where the file or a readable manifest is missing."""
    try:
        content = sound_manifest(path)
    except PublishedDamaged:
        return None
    return content if path.exists() else None


def margin_note(manifest: Mapping[str, Any]) -> str:
    """Return, in words, that the symbol has no margin brackets of its own; empty where it has, or nobody wrote down."""
    margin, most = manifest.get("maintenance_margin_pct"), manifest.get("max_leverage")
    if manifest.get("margin_brackets") != "default" or margin is None or most is None:
        return ""
    return f"default margin brackets: {margin:g} %, at most {most:g}x"


def read_intact_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest beside a published file, or None where the file is not the one that it speaks of.

    What was damaged since it was published is no measure for what comes next: it is written anew.
    """
    manifest = read_manifest(path)
    if manifest is None or hashlib.sha256(path.read_bytes()).hexdigest() != manifest.get("sha256"):
        return None
    return manifest
