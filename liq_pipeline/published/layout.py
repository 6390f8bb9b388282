"""The published folder: where each file lies. A contract (docs/architecture.md) that writers and readers share."""

from __future__ import annotations

from pathlib import Path

SCHEMA_VERSION = 3
EXCHANGE = "binance"
"""The one exchange so far; a column of every table, so that others can come."""
MANIFESTS = "manifests"
WHOLE = ("oi_delta", "positions", "liquidation_features", "if_reached")
"""Datasets with one file per symbol; of the others there is one per timeframe."""
HISTORY = "levels_history"
"""The dataset with a file per day, which is never written again."""
_OLDER = "symbol="  # folders of schema 1


def dataset_path(folder: Path, name: str, symbol: str, timeframe: str | None = None) -> Path:
    """Return where a dataset of a symbol is published: plain folders, so that any reader opens them as they are."""
    return folder / name / symbol / f"{name if name in WHOLE else timeframe or name}.parquet"


def view_folder(folder: Path, symbol: str, timeframe: str) -> Path:
    """Return where the pictures and the page of a symbol and timeframe are published."""
    return folder / "views" / symbol / timeframe


def manifest_path(published: Path) -> Path:
    """Return where the manifest of a published file, or of a folder of views, lies: in a tree of its own.

    Beside the data it would stop every reader that opens a folder.
    """
    root, dataset, symbol = published.parents[2], published.parts[-3], published.parts[-2]
    return root / MANIFESTS / dataset / symbol / f"{published.stem}.json"


def shared_path(folder: Path, name: str) -> Path:
    """Return where a file lies that all pages share."""
    return folder / "views" / "assets" / name


def published_symbols(folder: Path, dataset: str = "liquidation_levels") -> list[str]:
    """Return the symbols of which a dataset is published, by name; names that are no text (not UTF-8) are not ours."""
    found = (path.name for path in (folder / dataset).glob("[!.]*") if path.is_dir() and not _is_older(path))
    return sorted(name for name in found if not any("\ud800" <= letter <= "\udfff" for letter in name))


def published_folders(folder: Path, symbol: str) -> list[Path]:
    """Return every folder of a symbol's published files; the one that makes readers list the symbol comes first."""
    found = [*folder.glob(f"[!.]*/{symbol}"), *folder.glob(f"{MANIFESTS}/*/{symbol}"), *older_folders(folder, symbol)]
    return sorted(found, key=lambda path: (path.parent != folder / "liquidation_levels", path))


def older_folder(folder: Path, name: str, symbol: str) -> Path:
    """Return where an older version published a dataset of a symbol (schema 1)."""
    return folder / name / f"{_OLDER}{symbol}"


def older_folders(folder: Path, symbol: str = "*") -> list[Path]:
    """Return the folders of a symbol, or of any, that an older version published (schema 1)."""
    return sorted(folder.glob(f"[!.]*/{_OLDER}{symbol}"))


def _is_older(path: Path) -> bool:
    return path.name.startswith(_OLDER)
