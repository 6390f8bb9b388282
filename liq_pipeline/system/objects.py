"""Objects in an S3 bucket: whole reads and writes, and writes that fail where somebody else wrote meanwhile.

A store that does not answer is asked again, and each time it is said in the log; what it refuses for good is an error.
It is the one place that knows the library (obstore, extra `scale`).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from liq_pipeline.errors import ObjectsRefused, ObjectsUnreachable, SettingsError

AT_ONCE = 8  # requests
PATIENCE_SECONDS = 600.0
PAUSES_SECONDS = (0.2, 1, 2, 5, 10, 15)  # between attempts; the last one again and again
_TIMEOUT, _CONNECT_TIMEOUT = "60s", "5s"  # of one request
_FOR_GOOD = re.compile(r"status code: 4(?!08|29)\d\d")

T = TypeVar("T")
log = logging.getLogger("liq.objects")


class Changed(Exception):
    """A conditional write was refused: the object is not what it was."""


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it.

    Attributes:
        tag: changes with the content.
    """

    size: int
    tag: str
    modified: datetime


class Objects:
    """A bucket, below a prefix.

    Args:
        address: `s3://bucket/prefix`. Endpoint and credentials come from the AWS_* variables, as for other tools.
        patience_seconds: how long a store that does not answer is asked again.
    """

    def __init__(self, address: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"LIQ_STORAGE={address} needs a package that is not installed: {error.name}",
                remedy="pip install 'liq_pipeline[scale]'",
            ) from None
        self.address, self.patience_seconds = address, patience_seconds
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._api: Any = obstore
        self._store: Any = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"allow_http": True, "timeout": _TIMEOUT, "connect_timeout": _CONNECT_TIMEOUT},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=60)},
        )

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's content and tag; None if there is none."""

        def read() -> tuple[bytes, str]:
            found = self._api.get(self._store, key)
            return bytes(found.bytes()), found.meta["e_tag"]

        try:
            return self._patiently(f"read {key}", read)
        except FileNotFoundError:
            return None

    def put(self, key: str, content: bytes) -> str:
        """Write an object, and return its tag."""
        done = self._patiently(f"write {key}", lambda: self._api.put(self._store, key, content, use_multipart=False))
        return str(done["e_tag"])

    def swap(self, key: str, content: bytes, tag: str | None) -> str:
        """Write an object if it still has this tag (None: if there is none), and return its new one.

        Contents must differ from each other: so it is seen whether a write whose answer was lost has arrived.

        Raises:
            Changed: it has another one.
        """
        mode = {"e_tag": tag} if tag else "create"
        try:
            done = self._patiently(
                f"write {key}",
                lambda: self._api.put(self._store, key, content, mode=mode, use_multipart=False),
            )
            return str(done["e_tag"])
        except (self._api.exceptions.PreconditionError, self._api.exceptions.AlreadyExistsError):
            found = self.get(key)
            if found and found[0] == content:
                return found[1]
            raise Changed(key) from None

    def list(self, prefix: str) -> dict[str, Listed]:
        """Return all objects below a prefix, by key."""
        rows = self._patiently(f"list {prefix}", lambda: self._api.list(self._store, prefix=prefix).collect())
        return {row["path"]: Listed(row["size"], row["e_tag"] or "", row["last_modified"]) for row in rows}

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already do no harm."""
        if wanted := list(keys):
            self._patiently(f"delete {wanted[0]}", lambda: self._api.delete(self._store, wanted))

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do something for each of many, several at once. The first error is raised when those at work have ended."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for future in [pool.submit(work, item) for item in items]:
                try:
                    future.result()
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise

    def _patiently(self, what: str, call: Callable[[], T]) -> T:
        """Do it, again and again while the store does not answer.

        Raises:
            ObjectsUnreachable: it did not for too long.
            ObjectsRefused: no rights, no such bucket.
        """
        errors = self._api.exceptions
        begun = time.monotonic()
        attempt = 0
        while True:
            try:
                done = call()
            except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
                raise ObjectsRefused(
                    f"{self.address}: no permission to {what}: {_said(error)}",
                    remedy="see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and what that key may do",
                ) from None
            except FileNotFoundError as error:
                if "NoSuchBucket" not in str(error):
                    raise
                raise ObjectsRefused(
                    f"{self.address}: there is no such bucket", remedy="create it, or correct LIQ_STORAGE"
                ) from None
            except (errors.GenericError, TimeoutError) as error:
                if _FOR_GOOD.search(str(error)):
                    raise ObjectsRefused(f"{self.address}: cannot {what}: {_said(error)}") from None
                waited = time.monotonic() - begun
                if waited >= self.patience_seconds:
                    raise ObjectsUnreachable(
                        f"{self.address} does not answer, for {waited:.0f} s: {what}: {_said(error)}",
                        remedy="see whether the object store is up, and AWS_ENDPOINT_URL; then run again",
                    ) from None
                pause = PAUSES_SECONDS[min(attempt, len(PAUSES_SECONDS) - 1)]
                if attempt:
                    log.warning("object store: %s: %s; trying again in %g s", what, _said(error), pause)
                attempt += 1
                time.sleep(min(pause, self.patience_seconds - waited))
            else:
                if attempt > 1:
                    log.warning("object store: answers again after %.0f s: %s", time.monotonic() - begun, what)
                return done


@lru_cache(maxsize=8)
def objects_at(address: str, patience_seconds: float = PATIENCE_SECONDS) -> Objects:
    """Return the bucket at an address; one for each process, whose connections are used again."""
    return Objects(address, patience_seconds)


def _said(error: Exception) -> str:
    """Return what an error of the library says, without the pages below it."""
    lines = str(error).partition("\n\nDebug")[0].splitlines()
    return " ".join(line.strip() for line in lines)[:300] or type(error).__name__
