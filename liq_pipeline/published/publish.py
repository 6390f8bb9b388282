"""Published files: Parquet and a manifest, replaced whole, never seen half-written.

Readers read these and nothing else. The layout and the schema are a contract (docs/architecture.md).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PrivateAttr

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.editions import Editions, editions_at
from liq_pipeline.published.journal import locked, replacing
from liq_pipeline.published.layout import (
    EXCHANGE,
    SCHEMA_VERSION,
    dataset_path,
    manifest_path,
    older_folder,
    published_folders,
    shared_path,
    view_folder,
)
from liq_pipeline.published.schemas import DECIMAL, REPEATED
from liq_pipeline.system.storage import sync_folders, writing


@dataclass(frozen=True)
class PublishedDataset:
    """One published file: its place, its rows and what its manifest says.

    `rows` may be a Parquet file that `parquet_bytes` made, or its bytes: they are published as they are. One that
    `is_kept` is never written again: its `timeframe` is a day.
    """

    name: str
    symbol: str
    rows: pa.Table | Path | bytes
    manifest: dict[str, Any]
    timeframe: str | None = None
    is_kept: bool = False

    def content(self) -> tuple[bytes, int]:
        """Return the bytes of the file, and its number of rows."""
        if not isinstance(self.rows, pa.Table):
            data = self.rows if isinstance(self.rows, bytes) else self.rows.read_bytes()
            return data, pq.read_metadata(pa.BufferReader(data)).num_rows
        return parquet_bytes(self.rows), self.rows.num_rows

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


class Publisher(BaseModel):
    """Writes published files.

    Args:
        folder: the published folder.
        source_label: note shown in titles, such as 'simulated'; empty for the exchange's own data.
        code_version: version of this package.
        storage: `s3://bucket/prefix`, where files are published first; the folder then holds a copy. Empty: nowhere.
    """

    model_config = ConfigDict(frozen=True)

    folder: str
    source_label: str = ""
    code_version: str = "0"
    storage: str = ""

    _opened: Editions | None = PrivateAttr(None)

    @property
    def editions(self) -> Editions | None:
        """What is published in the bucket; None where there is none."""
        if self.storage and self._opened is None:
            self._opened = editions_at(self.storage, Path(self.folder))
        return self._opened

    @contextmanager
    def following(self, symbol: str) -> Iterator[None]:
        """Inside, only what follows on the edition that is the newest now can be published of a symbol."""
        if not self.editions:
            yield
            return
        self.editions.begin(symbol)
        try:
            yield
        finally:
            self.editions.end(symbol)

    def publish(self, datasets: list[PublishedDataset]) -> list[Path]:
        """Replace the published files by these and return their paths. Files whose bytes stay the same are left alone.

        They change together: after a kill at any moment all are the last good ones, or all are these (journal.py).
        """
        root = Path(self.folder)
        self._put({(dataset.name, dataset.symbol) for dataset in datasets}, self._files_of(datasets))
        return [dataset.path_in(root) for dataset in datasets]

    def publish_views(self, views: list[Views], shared: dict[str, bytes]) -> list[Path]:
        """Replace the pictures and pages by these and return their paths.

        Args:
            views: per timeframe.
            shared: files that every page uses, by name; their names carry a version, so they never change.
        """
        root = Path(self.folder)
        self._put({("views", view.symbol) for view in views}, self._files_of_views(views, shared))
        return [view_folder(root, view.symbol, view.timeframe) / name for view in views for name in view.files]

    def _files_of(self, datasets: list[PublishedDataset]) -> Iterator[tuple[Path, bytes]]:
        """Give each file and its manifest."""
        root = Path(self.folder)
        for dataset in datasets:
            target = dataset.path_in(root)
            if dataset.is_kept and target.exists():
                continue
            data, row_count = dataset.content()
            manifest = {
                "schema_version": SCHEMA_VERSION,
                "dataset": dataset.name,
                "exchange": EXCHANGE,
                "symbol": dataset.symbol,
                **({"timeframe": dataset.timeframe} if dataset.timeframe in TIMEFRAMES else {}),
                "row_count": row_count,
                "sha256": hashlib.sha256(data).hexdigest(),
                "source_label": self.source_label,
                "code_version": self.code_version,
                **dataset.manifest,
            }
            yield target, data
            yield manifest_path(target), _json_bytes(manifest)

    def _files_of_views(self, views: list[Views], shared: dict[str, bytes]) -> Iterator[tuple[Path, bytes]]:
        root = Path(self.folder)
        for name, data in shared.items():
            yield shared_path(root, name), data
        for view in views:
            folder = view_folder(root, view.symbol, view.timeframe)
            for name, data in view.files.items():
                yield folder / name, data
            manifest = {
                "schema_version": SCHEMA_VERSION,
                "dataset": "views",
                "exchange": EXCHANGE,
                "symbol": view.symbol,
                "timeframe": view.timeframe,
                "source_label": self.source_label,
                "code_version": self.code_version,
                "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in view.files.items()},
                **view.manifest,
            }
            yield manifest_path(folder), _json_bytes(manifest)

    def withdraw(self, symbol: str) -> list[Path]:
        """Remove everything that is published of a symbol and return the folders it was in.

        Each folder leaves in one rename, the levels first: a reader finds a dataset whole, or not at all.
        """
        root = Path(self.folder)
        aside = root / ".withdrawn"
        if self.editions:
            self.editions.withdraw(symbol)
        with self._lock():
            shutil.rmtree(aside, ignore_errors=True)  # of one that was killed
            found = published_folders(root, symbol)
            for folder in found:
                target = aside / folder.relative_to(root)
                target.parent.mkdir(parents=True)
                folder.replace(target)
                sync_folders([folder.parent])
            shutil.rmtree(aside, ignore_errors=True)
            if self.editions:
                self.editions.settle(symbol)
        return found

    def _put(self, published: set[tuple[str, str]], files: Iterator[tuple[Path, bytes]]) -> None:
        """Put files in place: in the bucket first, where there is one; its newest edition is what counts."""
        symbols = sorted({symbol for _, symbol in published})
        if self.editions:
            contents = dict(files)
            for symbol in symbols:
                others = {one for one in symbols if one != symbol}
                own = {path: data for path, data in contents.items() if not others & {*path.parts, path.stem}}
                self.editions.commit(symbol, own)
            files = iter(contents.items())
        with self._replacing(published) as stage:
            for path, data in files:
                stage(path, data)
        if self.editions:
            with self._lock():
                for symbol in symbols:
                    self.editions.settle(symbol)

    @contextmanager
    def _replacing(self, published: set[tuple[str, str]]) -> Iterator[Callable[[Path, bytes], None]]:
        """Stage files of these datasets and symbols; once they are in place, what an older version published goes."""
        root = Path(self.folder)
        with self._lock():
            with replacing(root) as stage:
                yield stage
            for name, symbol in published:
                shutil.rmtree(older_folder(root, name, symbol), ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with writing(self.folder), locked(Path(self.folder)):
            yield


def parquet_bytes(rows: pa.Table) -> bytes:
    """Return a Parquet file, as it is published: each column in the exact encoding that takes the fewest bytes."""
    sink = pa.BufferOutputStream()
    encodings = {}
    for column in rows.schema:
        if pa.types.is_timestamp(column.type):
            encodings[column.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_floating(column.type) and column.name not in REPEATED:
            encodings[column.name] = "PLAIN" if column.name in DECIMAL else "BYTE_STREAM_SPLIT"
    pq.write_table(
        rows, sink, compression="zstd", compression_level=3, column_encoding=encodings,
        use_dictionary=[name for name in rows.column_names if name not in encodings],
    )  # fmt: skip
    return bytes(sink.getvalue().to_pybytes())


def rounded(numbers: NDArray[np.float64], mantissa: int = 13) -> NDArray[np.float32]:
    """Return numbers as float32 with so many bits of mantissa: to 1 part in 2 ** (mantissa + 1).

    Bits that are zero compress: 13, four digits of an estimate, take two thirds of the bytes.
    """
    cut = 23 - mantissa
    bits = numbers.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(1 << (cut - 1))) & np.uint32(-(1 << cut) & 0xFFFFFFFF)).view(np.float32)


def _json_bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
