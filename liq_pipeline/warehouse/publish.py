"""Published files: Parquet with a manifest beside it, replaced whole, never seen half-written.

Readers read these and nothing else. The layout and the schema are a contract (docs/architecture.md).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.storage import writing
from liq_pipeline.warehouse.journal import locked, replacing, sync_folders
from liq_pipeline.warehouse.layout import SCHEMA_VERSION, dataset_path, published_folders, shared_path, view_folder


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


@dataclass(frozen=True)
class Views:
    """What people open for one symbol and timeframe: pictures, a page, exports; with one manifest."""

    symbol: str
    timeframe: str
    files: dict[str, bytes]
    manifest: dict[str, Any]


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

        They change together: after a kill at any moment all are the last good ones, or all are these (journal.py).
        """
        root = Path(self.folder)
        with self._lock(), replacing(root) as stage:
            for dataset in datasets:
                target = dataset.path_in(root)
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
                stage(target, data)
                stage(target.with_name("manifest.json"), _json_bytes(manifest))
        return [dataset.path_in(root) for dataset in datasets]

    def publish_views(self, views: list[Views], shared: dict[str, bytes]) -> list[Path]:
        """Replace the pictures and pages by these and return their paths.

        Args:
            views: per timeframe.
            shared: files that every page uses, by name; their names carry a version, so they never change.
        """
        root = Path(self.folder)
        paths: list[Path] = []
        with self._lock(), replacing(root) as stage:
            for name, data in shared.items():
                stage(shared_path(root, name), data)
            for view in views:
                folder = view_folder(root, view.symbol, view.timeframe)
                for name, data in view.files.items():
                    stage(folder / name, data)
                    paths.append(folder / name)
                manifest = {
                    "schema_version": SCHEMA_VERSION,
                    "dataset": "views",
                    "symbol": view.symbol,
                    "timeframe": view.timeframe,
                    "source_label": self.source_label,
                    "code_version": self.code_version,
                    "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in view.files.items()},
                    **view.manifest,
                }
                stage(folder / "manifest.json", _json_bytes(manifest))
        return paths

    def withdraw(self, symbol: str) -> list[Path]:
        """Remove everything that is published of a symbol and return the folders it was in.

        Each folder leaves in one rename, the levels first: a reader finds a dataset whole, or not at all.
        """
        root = Path(self.folder)
        aside = root / ".withdrawn"
        with self._lock():
            shutil.rmtree(aside, ignore_errors=True)  # of one that was killed
            found = published_folders(root, symbol)
            for folder in found:
                target = aside / folder.relative_to(root)
                target.parent.mkdir(parents=True)
                folder.replace(target)
                sync_folders([folder.parent])
            shutil.rmtree(aside, ignore_errors=True)
        return found

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with writing(self.folder), locked(Path(self.folder)):
            yield


def _parquet_bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _json_bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
