"""Is what is published of a symbol still what was published? What is missing, cut short or altered is found here.

What belongs here: what all files of a symbol look like together. One manifest alone: `manifests`.
It loads neither Dagster nor DuckDB.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.journal import is_unfinished
from liq_pipeline.published.layout import WHOLE, dataset_path, manifest_path, view_folder
from liq_pipeline.published.manifests import damaged_manifest, sound_manifest, sound_views_manifest

Place = tuple[str, str]
"""A dataset, and its timeframe; empty for one that has none."""

_TOGETHER: tuple[tuple[Place, ...], ...] = (
    (
        *(("liquidation_levels", timeframe) for timeframe in TIMEFRAMES),
        *((dataset, "") for dataset in WHOLE if dataset != DATASET),
    ),
    ((DATASET, ""),),
    tuple((dataset, timeframe) for dataset in ("liquidation_heatmap", "candles") for timeframe in TIMEFRAMES),
    tuple(("views", timeframe) for timeframe in TIMEFRAMES),
)
"""What is published in one go: where one is, all are; but for datasets that nobody brought along into this folder."""
_DATASETS = tuple(dict.fromkeys(dataset for group in _TOGETHER for dataset, _ in group))
_MOST_LOOKS, _PAUSE_SECONDS = 40, 0.005  # as long as a publisher takes to rename what it has staged

Stamp = tuple[str, int, int, int]


@dataclass(frozen=True)
class Files:
    """What is published of a symbol.

    Attributes:
        manifests: of every dataset whose manifest is sound and whose file is there.
        damage: what is missing, cut short or altered; empty: all is as it was published.
    """

    manifests: dict[Place, dict[str, Any]] = field(default_factory=dict)
    damage: dict[Place, PublishedDamaged] = field(default_factory=dict)

    def levels(self, needed: Collection[str]) -> tuple[dict[str, dict[str, Any]], dict[Place, PublishedDamaged]]:
        """Return the manifests of levels by timeframe, and all damage; a manifest that lacks a field is damaged.

        Args:
            needed: fields that must be given.
        """
        found, damage = {}, dict(self.damage)
        for timeframe in TIMEFRAMES:
            place = ("liquidation_levels", timeframe)
            manifest = self.manifests.get(place)
            if manifest is None:
                continue
            if missing := [name for name in needed if manifest.get(name) is None]:
                damage[place] = damaged_manifest("/".join(place), f"{', '.join(missing)} missing")
            else:
                found[timeframe] = manifest
        return found, damage


def published_files(folder: Path, symbol: str) -> Files:
    """Return what is published of a symbol, and what is wrong with it.

    Each file is read once and not again before it changes; after that a look costs a stat per file.

    Args:
        folder: `data/published`.
        symbol: one of which levels are published.
    """
    for _ in range(_MOST_LOOKS):
        before = _stamps(folder, symbol)
        found = _look(folder, symbol, before)
        if not found.damage or not (is_unfinished(folder) or _stamps(folder, symbol) != before):
            break
        time.sleep(_PAUSE_SECONDS)  # somebody publishes right now
    if found.damage and is_unfinished(folder):
        return Files(
            {place: manifest for place, manifest in found.manifests.items() if place not in found.damage},
            {place: _unfinished(error) for place, error in found.damage.items()},
        )
    return found


def _unfinished(error: PublishedDamaged) -> PublishedDamaged:
    return PublishedDamaged(
        f"an interrupted publish is not finished yet: {error.problem}",
        remedy="run `liq status` as a user who may write there, or publish again: liq run",
    )


def _places(folder: Path, symbol: str) -> Iterator[tuple[Place, Path]]:
    for group in _TOGETHER:
        for dataset, timeframe in group:
            views = dataset == "views"
            path = dataset_path(folder, dataset, symbol, timeframe or None)
            yield (dataset, timeframe), view_folder(folder, symbol, timeframe) if views else path


def _stamps(folder: Path, symbol: str) -> tuple[Stamp, ...]:
    found: list[Stamp] = [(name, 0, 0, 0) for name in _DATASETS if (folder / name).is_dir()]
    for (dataset, _), path in _places(folder, symbol):
        files = [str(path)]
        if dataset == "views":
            with suppress(OSError):
                files = [entry.path for entry in os.scandir(path)]
        for name in (str(manifest_path(path)), *files):
            with suppress(OSError):
                stat = os.stat(name)  # noqa: PTH116
                found.append((name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


@lru_cache(maxsize=1000)
def _look(folder: Path, symbol: str, stamps: tuple[Stamp, ...]) -> Files:
    stamp_of = {stamp[0]: stamp for stamp in stamps}
    folders = {os.path.dirname(name) for name in stamp_of}  # noqa: PTH120
    found = Files()
    paths = dict(_places(folder, symbol))
    for group in _TOGETHER:
        absent = []
        for place in group:
            path = paths[place]
            if not ({str(path), str(manifest_path(path))} & stamp_of.keys() or str(path) in folders):
                absent.append(place)
                continue
            try:
                manifest = sound_views_manifest(path) if place[0] == "views" else sound_manifest(path)
                if manifest and (place[0] == "views" or str(path) in stamp_of):
                    found.manifests[place] = manifest
                _check_files(place, symbol, path, manifest, stamp_of)
            except PublishedDamaged as error:
                found.damage[place] = error
        if len(absent) < len(group):
            missing = [place for place in absent if place[0] in stamp_of]
            found.damage.update({place: _damaged(place, symbol, "is missing") for place in missing})
    return found


def _check_files(
    place: Place, symbol: str, path: Path, manifest: dict[str, Any] | None, stamp_of: dict[str, Stamp]
) -> None:
    if manifest is None:
        raise _damaged(place, symbol, "has no manifest")
    is_views = place[0] == "views"
    for name, digest in (manifest["sha256"] if is_views else {path.name: manifest["sha256"]}).items():
        stamp = stamp_of.get(str(path / name if is_views else path))
        if stamp is None:
            raise _damaged(place, symbol, f"lacks {name}")
        try:
            if _digest(*stamp) != digest:
                raise _damaged(place, symbol, f"is not what was published: {name} was cut short or altered")
        except OSError as error:
            raise _damaged(place, symbol, f"cannot be read: {name} ({error.strerror})") from None


@lru_cache(maxsize=10_000)
def _digest(path: str, inode: int, size: int, mtime_ns: int) -> str:
    """Return a file's sha256; kept as long as the file stays what it is."""
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(place: Place, symbol: str, wrong: str) -> PublishedDamaged:
    return PublishedDamaged(
        f"{' '.join(filter(None, (place[0], symbol, place[1])))} {wrong}", remedy="publish again: liq run"
    )
