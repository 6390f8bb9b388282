"""Published files, as the service reads them: whole, checked against their manifest, kept while they do not change."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.warehouse.layout import dataset_path, read_manifest

_ATTEMPTS = 40
_PAUSE_SECONDS = 0.005  # a publisher renames data and manifest within microseconds of each other
_KEPT_FILES = 64
_KEPT_BYTES = 96_000_000


class NotPublished(LiqError):
    """There is no such file. `similar`: published symbols that may have been meant."""

    similar: tuple[str, ...] = ()


class Torn(LiqError):
    """A file and its manifest did not match for a while: a publisher died between two renames."""


@dataclass(frozen=True)
class Published:
    """One file as it was published.

    Attributes:
        content: its bytes.
        manifest: what its manifest says.
    """

    content: bytes
    manifest: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Digest of the bytes."""
        return str(self.manifest["sha256"])

    @cached_property
    def rows(self) -> pa.Table:
        """Its rows."""
        return pq.read_table(io.BytesIO(self.content))


@dataclass(frozen=True)
class Body:
    """Bytes to send, and the same compressed."""

    content: bytes
    compressed: bytes | None

    @classmethod
    def of(cls, content: bytes) -> Body:
        """Return a body; large ones are compressed once, not for every request."""
        return cls(content, gzip.compress(content, 5, mtime=0) if len(content) > 1000 else None)

    @property
    def size(self) -> int:
        """Bytes kept in memory."""
        return len(self.content) + len(self.compressed or b"")


class Store:
    """The published folder.

    Args:
        folder: `data/published`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: OrderedDict[tuple[str, str, str], tuple[tuple[int, ...], Published]] = OrderedDict()
        self._bodies: OrderedDict[tuple[str, ...], Body] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def symbols(self) -> list[str]:
        """Return what is published, by name. Only names found here are ever looked for on disk."""
        try:
            found = [path.name for path in (self.folder / "liquidation_levels").iterdir()]
        except OSError:
            return []
        return sorted(name.removeprefix("symbol=") for name in found if name.startswith("symbol="))

    def manifests(self, symbol: str) -> dict[str, dict[str, Any]]:
        """Return the manifest of each published level table of a symbol."""
        found = {}
        for timeframe in TIMEFRAMES:
            manifest = read_manifest(dataset_path(self.folder, "liquidation_levels", symbol, timeframe))
            if manifest:
                found[timeframe] = manifest
        return found

    def kept(self, dataset: str, symbol: str, timeframe: str) -> Published | None:
        """Return a file that was read before and has not changed since; None otherwise. Does not wait."""
        with self._lock:
            kept = self._files.get((dataset, symbol, timeframe))
        if kept and kept[0] == _stamp(dataset_path(self.folder, dataset, symbol, timeframe)):
            return kept[1]
        return None

    def read(self, dataset: str, symbol: str, timeframe: str) -> Published:
        """Return a file, whole and as its manifest describes it; the last good one while it is being replaced.

        Raises:
            NotPublished: no such symbol, timeframe or file.
            Torn: the file and its manifest have not matched since the service started.
        """
        names = self.symbols()
        if timeframe not in TIMEFRAMES or symbol not in names:
            raise _unknown(symbol[:40], names)
        key = (dataset, symbol, timeframe)
        path = dataset_path(self.folder, dataset, symbol, timeframe)
        for _ in range(_ATTEMPTS):
            stamp = _stamp(path)
            with self._lock:
                kept = self._files.get(key)
            if kept and kept[0] == stamp:
                return kept[1]
            found = _read(path)
            if found and _stamp(path) == stamp:
                with self._lock:
                    self._files[key] = (stamp, found)
                    self._files.move_to_end(key)
                    while len(self._files) > _KEPT_FILES:
                        self._files.popitem(last=False)
                return found
            if not kept and not stamp:
                raise NotPublished(f"{dataset} of {symbol} {timeframe} is not published", remedy="see /symbols")
            time.sleep(_PAUSE_SECONDS)
        if kept:
            return kept[1]
        raise Torn(f"{path.name} of {symbol} {timeframe} does not match its manifest", remedy="publish again")

    def kept_body(self, key: tuple[str, ...]) -> Body | None:
        """Return a body that was made before."""
        with self._lock:
            return self._bodies.get(key)

    def body(self, key: tuple[str, ...], make: Callable[[], bytes]) -> Body:
        """Return what `make` gives; made once per key while it is in use. The key must name the content."""
        with self._lock:
            kept = self._bodies.get(key)
            if kept:
                self._bodies.move_to_end(key)
                return kept
        made = Body.of(make())
        with self._lock:
            if key not in self._bodies:
                self._bodies[key] = made
                self._bytes += made.size
            while self._bytes > _KEPT_BYTES and len(self._bodies) > 1:
                self._bytes -= self._bodies.popitem(last=False)[1].size
        return made


def _unknown(symbol: str, names: list[str]) -> NotPublished:
    similar = get_close_matches(symbol, names, n=3)
    error = NotPublished(
        f"{symbol} is not published", remedy=f"see /symbols{'; similar: ' if similar else ''}{', '.join(similar)}"
    )
    error.similar = tuple(similar)
    return error


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes whenever the file or its manifest is replaced; empty where one is missing."""
    try:
        stats = [path.stat(), path.with_name("manifest.json").stat()]
    except OSError:
        return ()
    return tuple(value for stat in stats for value in (stat.st_ino, stat.st_size, stat.st_mtime_ns))


def _read(path: Path) -> Published | None:
    """Return the file if its bytes are those that its manifest names."""
    try:
        content = path.read_bytes()  # opened once: a replaced file stays whole for who has it open
        manifest = read_manifest(path)
    except (OSError, ValueError):
        return None
    if manifest is None or hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        return None
    return Published(content, manifest)
