"""Inflates packed files, up to a limit: what a small file becomes is not known before."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from liq_pipeline.errors import FormatError

MOST_BYTES = 128 << 20  # of CSV: 1.3 million rows
_STREAMS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")

Open = Callable[[Path, ExitStack], IO[bytes] | Any]


def is_packed(path: Path) -> bool:
    """Tell by its name whether a file is packed."""
    return _opener(path) is not None


def inflate(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a packed file, or of the one file in an archive.

    Args:
        path: `.gz`, `.bz2`, `.xz`, `.zst`, `.zip` or `.tar`, also packed.
        most_bytes: that it may inflate to.

    Raises:
        FormatError: damaged, larger than allowed, or not exactly one file.
    """
    open_ = _opener(path)
    assert open_ is not None, path
    content = bytearray()
    try:
        with ExitStack() as stack:
            file = open_(path, stack)
            while len(content) <= most_bytes and (piece := file.read(min(1 << 20, most_bytes + 1 - len(content)))):
                content += piece
    except FormatError:
        raise
    except Exception as error:  # each library has errors of its own, and none promises that these are all
        reason = str(error) or type(error).__name__
        raise FormatError(f"{path} cannot be unpacked: {reason[:200]}", expected="a sound file") from error
    if len(content) > most_bytes:
        raise FormatError(
            f"{path} inflates to more than {most_bytes:,} bytes",
            expected="a table",
            remedy="unpack it, or write Parquet",
        )
    return bytes(content)


def _opener(path: Path) -> Open | None:
    name = path.name.lower()
    if name.endswith(_TARS):
        return _open_tar
    if name.endswith(".zip"):
        return _open_zip
    if name.endswith(".zst"):
        return lambda one, stack: stack.enter_context(pa.input_stream(str(one), compression="zstd"))
    stream = next((stream for suffix, stream in _STREAMS.items() if name.endswith(suffix)), None)
    return (lambda one, stack: stack.enter_context(stream(one))) if stream else None


def _open_zip(path: Path, stack: ExitStack) -> IO[bytes]:
    archive = stack.enter_context(zipfile.ZipFile(path))
    members = [member for member in archive.infolist() if not member.is_dir()]
    _expect_one(path, [member.filename for member in members])
    return stack.enter_context(archive.open(members[0]))


def _open_tar(path: Path, stack: ExitStack) -> IO[bytes]:
    archive = stack.enter_context(tarfile.open(path))  # noqa: SIM115 - the stack closes it
    members: list[tarfile.TarInfo] = []
    while (member := archive.next()) is not None and len(members) < 2:
        members += [member] if member.isfile() else []
    _expect_one(path, [member.name for member in members])
    file = archive.extractfile(members[0])
    assert file is not None  # of a regular file
    return stack.enter_context(file)


def _expect_one(path: Path, names: list[str]) -> None:
    if len(names) != 1:
        raise FormatError(f"{path} holds {', '.join(names[:3])[:200] or 'no file'}", expected="exactly one file")
