"""One file, and many files at once, from an archive to `.part` files whose sha256 is what the sidecar promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.archive import Archive
from liq_pipeline.exchange.keys import SIDECAR, RemoteFile, inside
from liq_pipeline.exchange.transfer import MissingObject, TransferError, sha256_of
from liq_pipeline.system.storage import sync

PAUSES_SECONDS = (0, 0.3, 1, 3)  # before the first attempt, and before each further one


@dataclass(frozen=True)
class Fetched:
    """What became of one file.

    Args:
        remote: the file as listed.
        status: `ok` (its hash is right), `mismatch` (wrong hash, wrong sidecar, or broken off) or `missing` (404).
        path: where the content lies now: a `.part`, or the local file if that was right already; None if nowhere.
        sha256: hash of what was read.
        expected_sha256: hash that the sidecar promised; None also where the archive may do without.
        message: what went wrong, for people.
        downloaded: whether the zip itself was transferred.
    """

    remote: RemoteFile
    status: str
    path: Path | None = None
    sha256: str | None = None
    expected_sha256: str | None = None
    message: str = ""
    downloaded: bool = False


def fetch_file(archive: Archive, remote: RemoteFile, raw_dir: Path) -> Fetched:
    """Fetch one file to `<raw_dir>/<key>.part`, unless the local file is already what the sidecar promises.

    The whole file is tried again, around caches, when its hash is wrong or its body broke off: a sidecar may be
    stale after a rewrite (exchange.md 1.3), and urllib3 does not repeat bodies.

    Raises:
        LiqError: the archive as a whole cannot be used.
    """
    final = inside(raw_dir, remote.key)
    part = final.with_name(final.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    failure = TransferError("never tried")
    for attempt, pause in enumerate(PAUSES_SECONDS):
        time.sleep(pause)
        try:
            expected = archive.read_checksum(remote.key, fresh=attempt > 0)
            if expected and sha256_of(final) == expected:
                return Fetched(remote, "ok", final, expected, expected)
            actual = _download(archive, remote.key, part, expected, fresh=attempt > 0)
        except MissingObject as error:
            return Fetched(remote, "missing", message=_absence(final.name, error))
        except TransferError as error:
            failure = error
        else:
            sync(part)
            return Fetched(remote, "ok", part, actual, expected, downloaded=True)
    path = part if part.exists() else None
    message = f"{failure.reason}, {len(PAUSES_SECONDS)} times"
    return Fetched(remote, "mismatch", path, failure.sha256, failure.expected_sha256, message)


def fetch_files(
    pool: Executor, archive: Archive, files: Sequence[RemoteFile], raw_dir: Path, done: Callable[[RemoteFile], None]
) -> tuple[list[Fetched], LiqError | None]:
    """Fetch files in parallel.

    Args:
        pool: runs the transfers.
        archive: where from.
        files: what to fetch.
        raw_dir: where to.
        done: called in this thread after each file.

    Returns:
        What was fetched, in the order of `files`, and the error that stopped the archive as a whole, if any: what came
        before it is not thrown away.
    """
    futures = [pool.submit(fetch_file, archive, remote, raw_dir) for remote in files]
    fatal: LiqError | None = None
    for future in as_completed(futures):
        if future.cancelled():
            continue
        try:
            done(future.result().remote)
        except LiqError as error:
            fatal = fatal or error
            for other in futures:
                other.cancel()
    finished = [future for future in futures if not future.cancelled() and not future.exception()]
    return [future.result() for future in finished], fatal


def _absence(name: str, error: MissingObject) -> str:
    if str(error).endswith(SIDECAR):
        return f"{name} has no {SIDECAR} beside it, so nothing tells whether it is whole ({error} answered 404)"
    return f"{name} is listed, but {error} answered 404"


def _download(archive: Archive, key: str, part: Path, expected: str | None, *, fresh: bool) -> str:
    try:
        actual = archive.download(key, part, fresh=fresh)
    except TransferError as error:
        raise TransferError(error.reason, expected_sha256=expected) from error
    if expected and actual != expected:
        raise TransferError(
            f"{key.rsplit('/', 1)[-1]} has sha256 {actual}, its sidecar promises {expected}",
            sha256=actual,
            expected_sha256=expected,
        )
    return actual
