"""Several files replaced together: after a kill at any moment, whoever comes next finds all old ones or makes all new.

New files are written and flushed under temporary names. Then a journal names them all: from there on the new edition
counts, and whoever comes next, writer or reader, finishes it. Without a journal the old edition counts.
It loads neither Dagster nor DuckDB.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liq_pipeline.system.storage import draft_of, sync, sync_folders, write_whole

JOURNAL = ".journal.json"
DAMAGED = ".journal.damaged.json"
LOCK = ".lock"
VERSION = 1

_MAX_BYTES = 10_000_000  # one entry has 200
_NO_PLACE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)

log = logging.getLogger("liq.published")


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    temporary: str
    target: str
    size: Annotated[int, Field(ge=0)]


class _Journal(BaseModel):
    model_config = ConfigDict(strict=True)

    version: Annotated[int, Field(ge=VERSION, le=VERSION)]  # a Literal would take `true`
    files: list[_Entry]


class _Damaged(Exception):
    """A journal that is not one of ours; says why."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Be the only writer below `root`; what another one left unfinished is finished first. Waits for others.

    Raises:
        OSError: the operating system refused.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / LOCK):
        _finish(root)
        draft_of(root / JOURNAL).unlink(missing_ok=True)  # of one that was killed
        yield


@contextmanager
def replacing(root: Path) -> Iterator[Callable[[Path, bytes], None]]:
    """Give a function (path, content) that stages a file below `root`; at the end all are put in place together.

    The caller holds the lock. Files whose content stays the same are left alone. Where an error comes before the
    journal is written, nothing has changed, and what was staged is removed.
    """
    staged: dict[Path, int] = {}
    try:
        yield lambda path, content: _stage(staged, path, content)
        if staged:
            # A journal must never outlive the files it names: their names go to disk before its own.
            sync_folders(folder for path in staged for folder in path.parents if folder.is_relative_to(root))
            _write(root, staged)
    except BaseException:
        _abandon(root, staged)
        raise
    if staged:
        _roll_forward(root, list(staged))


def is_unfinished(root: Path) -> bool:
    """Return whether a publish is at work below `root`, or was interrupted. Costs one stat."""
    try:
        os.lstat(f"{root}/{JOURNAL}")  # at every request: a Path costs more than the stat
    except OSError:
        return False
    return True


def finish_interrupted(root: Path) -> None:
    """Finish an interrupted publish, as a reader. Neither waits nor fails.

    Where a writer is at work, or this user may not write, all stays as it is.
    """
    if not is_unfinished(root):
        return
    with suppress(OSError, NotImplementedError), FileLock(root / LOCK, timeout=0):  # its Timeout is an OSError
        _finish(root)


def _stage(staged: dict[Path, int], path: Path, content: bytes) -> None:
    draft = draft_of(path)
    if path.exists() and path.read_bytes() == content:
        draft.unlink(missing_ok=True)  # of one that was killed
        staged.pop(path, None)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged[path] = len(content)  # before it is written: half a file is removed, too
    draft.write_bytes(content)
    sync(draft)


def _write(root: Path, staged: dict[Path, int]) -> None:
    files = [
        {
            "temporary": draft_of(path).relative_to(root).as_posix(),
            "target": path.relative_to(root).as_posix(),
            "size": size,
        }
        for path, size in staged.items()
    ]
    write_whole(root / JOURNAL, (json.dumps({"version": VERSION, "files": files}, indent=1) + "\n").encode())
    sync_folders([root])


def _abandon(root: Path, staged: Iterable[Path]) -> None:
    """Remove what was staged. The journal goes first, for good: half of what it names would be half an edition."""
    with suppress(OSError):
        draft_of(root / JOURNAL).unlink(missing_ok=True)
        if is_unfinished(root):
            (root / JOURNAL).unlink()
            sync_folders([root])
        for path in staged:
            draft_of(path).unlink(missing_ok=True)


def _finish(root: Path) -> None:
    """Roll forward what a journal names; a damaged one is set aside. The caller holds the lock."""
    if not is_unfinished(root):
        return
    try:
        targets = _read(root)
    except _Damaged as damage:
        (root / JOURNAL).replace(root / DAMAGED)
        sync_folders([root])
        log.warning(
            "%s cannot be used (%s): set aside as %s. Files of two editions may lie side by side. "
            "To do: publish again: liq run.", root / JOURNAL, damage, DAMAGED,
        )  # fmt: skip
        return
    _roll_forward(root, targets)
    log.info("an interrupted publish was finished: %d files below %s", len(targets), root)


def _roll_forward(root: Path, targets: list[Path]) -> None:
    for path in targets:
        with suppress(FileNotFoundError):  # it was renamed before
            draft_of(path).replace(path)
    sync_folders(path.parent for path in targets)
    (root / JOURNAL).unlink(missing_ok=True)
    sync_folders([root])


def _read(root: Path) -> list[Path]:
    """Return the targets that the journal names; all of them can be put in place, or already are."""
    place = root / JOURNAL
    if not stat.S_ISREG(place.lstat().st_mode):
        raise _Damaged("it is not a file")
    with place.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise _Damaged(f"it is larger than {_MAX_BYTES // 1_000_000} MB")
    try:
        journal = _Journal.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _Damaged(f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"[:300]) from None
    try:
        return [_checked(root, entry) for entry in journal.files]
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        raise _Damaged(f"a place that cannot be ({error.strerror})") from None


def _checked(root: Path, entry: _Entry) -> Path:
    target = PurePosixPath(entry.target)
    hidden = any(part.startswith(".") for part in target.parts)  # '..' as well
    if target.is_absolute() or hidden or not target.parts or "\0" in entry.target:
        raise _Damaged(f"{entry.target[:200]!r} is no place below the folder")
    path = root / target
    if PurePosixPath(entry.temporary) != draft_of(target):
        raise _Damaged(f"{entry.temporary[:200]!r} is not what {entry.target[:200]!r} is staged as")
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise _Damaged(f"{entry.target[:200]!r} leads out of the folder")
    if path.is_dir():
        raise _Damaged(f"{entry.target[:200]!r} is a folder")
    with suppress(FileNotFoundError):  # it was renamed before
        found = draft_of(path).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
            raise _Damaged(f"{entry.temporary[:200]!r} is not the file that was staged")
    return path
