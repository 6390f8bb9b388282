"""Published files: Parquet with a manifest beside it, replaced whole, never seen half-written.

Readers read these and nothing else. The layout and the schema are a contract (docs/architecture.md).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

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
    }
)


@dataclass(frozen=True)
class Dataset:
    """One published file: its place, its rows and what its manifest says."""

    name: str
    symbol: str
    rows: pa.Table
    manifest: dict[str, Any]
    timeframe: str | None = None

    def path_in(self, folder: Path) -> Path:
        """Return the file's path below the published folder."""
        return dataset_path(folder, self.name, self.symbol, self.timeframe)


def dataset_path(folder: Path, name: str, symbol: str, timeframe: str | None = None) -> Path:
    """Return where a dataset of a symbol is published."""
    place = folder / name / f"symbol={symbol}"
    return (place / f"timeframe={timeframe}" if timeframe else place) / f"{name}.parquet"


class Publisher(dg.ConfigurableResource):
    """Writes published files.

    Args:
        folder: the published folder.
        source_label: note shown in titles, such as 'simulated'; empty for the exchange's own data.
        code_version: version of this package.
    """

    folder: str
    source_label: str = ""
    code_version: str = "0"

    def publish(self, datasets: list[Dataset]) -> list[Path]:
        """Replace the published files by these and return their paths. Files whose bytes stay the same are left alone.

        Everything is written and flushed under temporary names first; then all are renamed. A process killed before
        that leaves the last good files; one killed in between leaves whole files whose manifests tell their as_of.
        """
        staged: list[tuple[Path, Path]] = []
        with self._lock():
            for dataset in datasets:
                target = dataset.path_in(Path(self.folder))
                data = _parquet_bytes(dataset.rows)
                manifest = {
                    "schema_version": SCHEMA_VERSION,
                    "dataset": dataset.name,
                    "symbol": dataset.symbol,
                    **({"timeframe": dataset.timeframe} if dataset.timeframe else {}),
                    "row_count": dataset.rows.num_rows,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "source_label": self.source_label,
                    "code_version": self.code_version,
                    **dataset.manifest,
                }
                text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
                staged += _stage(target, data)
                staged += _stage(target.with_name("manifest.json"), text.encode())
            for temporary, path in staged:
                temporary.replace(path)
            for folder in {path.parent for _, path in staged}:
                _sync_folder(folder)
        return [dataset.path_in(Path(self.folder)) for dataset in datasets]

    @contextmanager
    def _lock(self) -> Iterator[None]:
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        with FileLock(Path(self.folder) / ".lock"):
            yield


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest beside a published file, or None where there is no such file."""
    manifest = path.with_name("manifest.json")
    if not (path.exists() and manifest.exists()):
        return None
    content: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    return content


def _parquet_bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _stage(path: Path, data: bytes) -> list[tuple[Path, Path]]:
    if path.exists() and path.read_bytes() == data:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return [(temporary, path)]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
