"""Published files, as the service reads them: whole, checked, of one edition, kept while they do not change."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
from cachetools import LRUCache

from liq_pipeline.errors import LiqError, NotPublished, PublishedDamaged
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.damage import Place, published_files
from liq_pipeline.published.journal import finish_interrupted, is_unfinished
from liq_pipeline.published.layout import WHOLE, dataset_path, manifest_path, published_symbols
from liq_pipeline.published.manifests import sound_manifest
from liq_pipeline.published.past import Past, past_of
from liq_pipeline.server.sound import give_back_memory, sound_rows

_QUOTE = re.compile(r"(USD[TC]?|USD_PERP)$")
_PAUSE_SECONDS = 0.005  # a publisher renames data and manifest within microseconds of each other
_KEPT_BYTES = 16_000_000  # of files; of bodies twice that
_MANY_ROWS = 50_000
_MANIFEST_BYTES = 100_000  # in memory, about
_EDITION = ("as_of", "first_ts", "current_price", "open_interest_contracts", "source_label", "code_version",
            "first_column", "columns", "bin_width", "edition")  # fmt: skip
"""What files of one edition say alike, where both say it."""
_NEEDED = ("current_price", "row_count", "symbol", "timeframe")
_PAST_BYTES = _KEPT_BYTES // 2  # what is kept of positions counts for this much: two symbols' at most

T = TypeVar("T")


class MixedEdition(LiqError):
    """Files and manifests did not match for a while: somebody else writes there, or a publish was interrupted."""


@dataclass(frozen=True)
class Published:
    """One file as it was published.

    Attributes:
        dataset: its name.
        manifest: what its manifest says.
        load: gives its bytes; raises MixedEdition where they were replaced since and are no longer kept.
    """

    dataset: str
    manifest: dict[str, Any]
    load: Callable[[], bytes] = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """Changes with the file and with anything its manifest says: price, label, the file's own sha256."""
        return hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode()).hexdigest()

    @cached_property
    def past(self) -> Past:
        """All positions of a symbol, if it is the file of these; unfolded once."""
        made = past_of(self.rows)
        give_back_memory()
        return made

    @property
    def rows(self) -> pa.Table:
        """Its rows; read anew each time, for a heatmap's take 50 MB and are needed once per answer."""
        return sound_rows(self.load(), self.dataset, self.manifest)


Edition = tuple[Published, ...]
"""Files that were published together."""


@dataclass(frozen=True)
class Body:
    """Bytes to send, and the same compressed."""

    content: bytes
    compressed: bytes | None
    digest: str

    @classmethod
    def of(cls, content: bytes, level: int = 5) -> Body:
        """Return a body; large ones are compressed once, not for every request."""
        compressed = gzip.compress(content, level, mtime=0) if len(content) > 1000 else None
        return cls(content, compressed, hashlib.sha256(content).hexdigest()[:32])

    @property
    def size(self) -> int:
        """Bytes kept in memory."""
        return len(self.content) + len(self.compressed or b"")


class Shelf(Generic[T]):
    """Keeps what was used last, up to a number of bytes."""

    def __init__(self, most: int) -> None:
        self._kept: LRUCache[tuple[Any, ...], tuple[int, T]] = LRUCache(most, getsizeof=lambda item: item[0])
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...]) -> T | None:
        """Return what is kept under a key."""
        with self._lock:
            found = self._kept.get(key)
        return found[1] if found else None

    def put(self, key: tuple[Any, ...], value: T, size: int) -> None:
        """Keep this instead; let go of what was not used for longest. What is larger than all is not kept."""
        with self._lock, suppress(ValueError):
            self._kept[key] = (size, value)


class Store:
    """The published folder.

    Args:
        folder: `data/published`.
    """

    attempts = 40

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._editions: Shelf[tuple[tuple[int, ...], Edition, list[str]]] = Shelf(_KEPT_BYTES)
        self._refused: Shelf[tuple[tuple[int, ...], LiqError]] = Shelf(_KEPT_BYTES // 100)
        self._contents: Shelf[bytes] = Shelf(_KEPT_BYTES)
        self._bodies: Shelf[Body] = Shelf(2 * _KEPT_BYTES)

    def symbols(self) -> list[str]:
        """Return what is published, by name. Only names found here are ever looked for on disk.

        Every read begins here, and so does the end of a publish that was interrupted.
        """
        finish_interrupted(self.folder)
        return published_symbols(self.folder)

    def manifests(self, symbol: str) -> tuple[dict[str, dict[str, Any]], dict[Place, PublishedDamaged]]:
        """Return the manifest of each published level table of a symbol, and what is wrong with any of its files."""
        return published_files(self.folder, symbol).levels(_NEEDED)

    def features(self, symbol: str) -> dict[str, Any]:
        """Return the manifest of a symbol's features; empty where there is no sound one."""
        return published_files(self.folder, symbol).manifests.get(("liquidation_features", ""), {})

    def kept(self, datasets: tuple[str, ...], symbol: str, timeframe: str) -> Edition | None:
        """Return files that were read before and have not changed since; None otherwise. Does not wait."""
        if is_unfinished(self.folder):  # `read` finishes it
            return None
        kept = self._editions.get(_key(datasets, symbol, timeframe))
        return kept[1] if kept and kept[0] == _stamp(kept[2]) else None

    def read(self, datasets: tuple[str, ...], symbol: str, timeframe: str) -> Edition:
        """Return files of one edition, as their manifests describe them; the last good ones where they are not.

        Raises:
            NotPublished: no such symbol, timeframe or file.
            MixedEdition: files and manifests do not match, and have not since the service started.
            PublishedDamaged: a file or manifest is not what was published, and has not been since the service started.
        """
        names = self.symbols()
        if timeframe not in TIMEFRAMES or symbol not in names:
            raise _unknown(symbol[:40], names)
        key = _key(datasets, symbol, timeframe)
        paths = [dataset_path(self.folder, dataset, symbol, timeframe) for dataset in datasets]
        places = [str(place) for path in paths for place in (path, manifest_path(path))]
        kept, refused = self._editions.get(key), self._refused.get(key)
        failure: LiqError = MixedEdition(
            f"{symbol} {timeframe} does not match its manifests", remedy="publish again: liq run"
        )
        for _ in range(self.attempts):
            stamp = _stamp(places)
            if kept and kept[0] == stamp:
                return kept[1]
            if not kept and not stamp:
                raise NotPublished(f"{datasets[0]} of {symbol} {timeframe} is not published", remedy="see /symbols")
            if refused and refused[0] == stamp:  # looked at before: nobody waits for it again
                failure = refused[1]
                break
            try:
                edition = tuple(self._read(path, dataset) for path, dataset in zip(paths, datasets, strict=True))
                _check_one_edition(edition, symbol, timeframe)
            except PublishedDamaged as error:  # whole, and yet not what it should be: waiting does not help
                failure = error
                break
            except MixedEdition as error:
                failure = error
                finish_interrupted(self.folder)  # its writer may have died since
            else:
                if _stamp(places) == stamp:
                    size = _PAST_BYTES if "positions" in datasets else _MANIFEST_BYTES * len(edition)
                    self._editions.put(key, (stamp, edition, places), size)
                    return edition
            time.sleep(_PAUSE_SECONDS)
        self._refused.put(key, (stamp, failure), 1000)
        if kept:
            return kept[1]
        if isinstance(failure, MixedEdition) and is_unfinished(self.folder):
            raise _unfinished(failure)
        raise failure.with_traceback(None)  # it may be raised again: what it carries must not grow

    def kept_body(self, key: tuple[str, ...]) -> Body | None:
        """Return a body that was made before."""
        return self._bodies.get(key)

    def body(self, key: tuple[str, ...], make: Callable[[], bytes], made_of: Edition = ()) -> Body:
        """Return what `make` gives, and keep it. The key must name the content."""
        made = self._bodies.get(key)
        if made is None:
            # Of the past each instant is asked for once or twice: half the time for a twelfth more bytes.
            is_past = any(part.dataset == "positions" for part in made_of)
            made = Body.of(make(), 1 if is_past else 5)
            self._bodies.put(key, made, made.size)
            if any(part.manifest["row_count"] > _MANY_ROWS for part in made_of):
                give_back_memory()
        return made

    def _read(self, path: Path, dataset: str) -> Published:
        """Return the file if its bytes are those that its manifest names, and its rows what its name promises."""
        manifest = sound_manifest(path, _NEEDED if dataset not in WHOLE else ("row_count", "symbol"))
        if manifest is None:
            raise MixedEdition(f"{path.name} has no manifest", remedy="publish again: liq run")
        found = Published(dataset, manifest, partial(self._content, path, manifest["sha256"]))
        _ = found.rows
        if manifest["row_count"] > _MANY_ROWS:
            give_back_memory()
        return found

    def _content(self, path: Path, sha256: str) -> bytes:
        kept = self._contents.get((sha256,))
        if kept is not None:
            return kept
        try:
            content = path.read_bytes()  # opened once: a replaced file stays whole for who has it open
        except OSError as error:
            raise MixedEdition(
                f"{path.name} cannot be read ({error.strerror})", remedy="publish again: liq run"
            ) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise MixedEdition(f"{path.name} does not match its manifest", remedy="publish again: liq run")
        self._contents.put((sha256,), content, len(content))
        return content


def _key(datasets: tuple[str, ...], symbol: str, timeframe: str) -> tuple[Any, ...]:
    return datasets, symbol, "" if set(datasets) <= set(WHOLE) else timeframe


def _unknown(symbol: str, names: list[str]) -> NotPublished:
    bases = {name: _QUOTE.sub("", name) for name in names}  # what all names end with says nothing
    near = get_close_matches(_QUOTE.sub("", symbol), bases.values(), n=3)
    similar = [name for base in dict.fromkeys(near) for name in names if bases[name] == base][:3]
    error = NotPublished(
        f"{symbol} is not published", remedy=f"see /symbols{'; similar: ' if similar else ''}{', '.join(similar)}"
    )
    error.similar = tuple(similar)
    return error


def _unfinished(failure: MixedEdition) -> MixedEdition:
    return MixedEdition(
        f"an interrupted publish is not finished yet: {failure.problem}",
        remedy="run `liq status` as a user who may write there, or publish again: liq run",
    )


def _stamp(places: list[str]) -> tuple[int, ...]:
    """Return what changes whenever one of the files is replaced; empty where one is missing."""
    try:
        stats = [os.stat(place) for place in places]  # noqa: PTH116 # at every request: a Path costs as much as the stat
    except OSError:
        return ()
    return tuple(value for stat in stats for value in (stat.st_ino, stat.st_size, stat.st_mtime_ns))


def _check_one_edition(edition: Edition, symbol: str, timeframe: str) -> None:
    first = edition[0].manifest
    for part in edition[1:]:
        other = part.manifest
        if differ := [name for name in _EDITION if name in first and name in other and first[name] != other[name]]:
            raise MixedEdition(
                f"{edition[0].dataset} and {part.dataset} of {symbol} {timeframe} are of two editions "
                f"({differ[0]}: {first[differ[0]]}, {other[differ[0]]})",
                expected="files that were published together",
                remedy="publish again: liq run",
            )
