"""Files written whole or not at all, and what the operating system says of a place that cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from liq_pipeline.errors import SettingsError, StorageFailed

_AnyPath = TypeVar("_AnyPath", Path, PurePosixPath)

_ROOM = "make room there, then run again: what was written before stays"
_RIGHTS = "make it writable for this user, or choose another place (--data, DAGSTER_HOME)"
_PLACE = "choose another place (--data, DAGSTER_HOME)"
REASONS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file would be larger than is allowed", _ROOM),
    errno.EROFS: ("the file system is read-only", _RIGHTS),
    errno.EACCES: ("no permission", _RIGHTS),
    errno.EPERM: ("not permitted", _RIGHTS),
    errno.ENOTDIR: ("a part of the path is a file", _PLACE),
    errno.EEXIST: ("there is a file where a folder is needed", _PLACE),
    errno.EISDIR: ("there is a folder where a file is needed", _PLACE),
    errno.ENAMETOOLONG: ("the name is too long", _PLACE),
    errno.ELOOP: ("links that lead in a circle", _PLACE),
    errno.ENOENT: ("it is not there", "if it was taken away, run again: it is made anew"),
    errno.EIO: ("the disk reports an error", "check the disk"),
    errno.ENODEV: ("the disk is gone", "check the disk"),
    errno.ESTALE: ("the network drive is gone", "check the drive"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
}


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """Do what writes below `place`.

    Raises:
        StorageFailed: the operating system refused; names the file, or the place.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REASONS or isinstance(error, ConnectionError):
            raise
        raise storage_failed(error, place) from error


def storage_failed(error: OSError, place: Path | str = "") -> StorageFailed:
    """Return what a refusal of the operating system means; the path is the error's own, else `place`."""
    why, remedy = REASONS.get(error.errno or 0, (error.strerror or str(error), _PLACE))
    path = error.filename2 or error.filename or place
    return StorageFailed(
        f"{os.fsdecode(path) if isinstance(path, bytes) else path} cannot be used: {why}", remedy=remedy
    )


def check_writable(folder: Path) -> None:
    """Make a folder, and see that files can be written into it.

    Raises:
        SettingsError: it cannot be used by this user: another one must be chosen.
        StorageFailed: the disk is full, or fails.
    """
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(b"\0" * 4096)  # an empty file fits on a full disk
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        if error.errno == errno.ENOENT:  # the folder was to be made: where it is, none can be
            raise SettingsError(f"{folder} cannot be used: no folder can be made there", remedy=_PLACE) from error
        error.filename = None if error.filename == str(probe) else error.filename
        failure = storage_failed(error, folder)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise failure from error
        raise SettingsError(failure.problem, remedy=failure.remedy) from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a draft to be written; at the end it takes the place of `path`, or nothing has changed.

    A reader sees the old file or the new one; so does whoever comes after a kill or a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # what is wrong has been said
            draft.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Replace the content of a file, as `written_whole` does."""
    with written_whole(path) as draft:
        draft.write_bytes(content)


def draft_of(path: _AnyPath) -> _AnyPath:
    """Return what a file is called while it is written: hidden, beside it."""
    return path.with_name(f".{path.name}.tmp")


def sync(path: Path) -> None:
    """Make sure that a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(folders: Iterable[Path]) -> None:
    """Make sure that the names in these folders are on the disk; folders that are gone are left out."""
    for folder in sorted(set(folders)):
        with suppress(FileNotFoundError):  # somebody took it away
            sync(folder)
