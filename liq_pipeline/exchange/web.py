"""One HTTP GET that always ends: so many bytes, inflated, and so many seconds, for everything from name to last byte.

A library's time-outs are between two bytes, and its limits are none: a body of one byte a second never ends, and a
small body inflates to gigabytes. What both the archive and REST read goes through here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from threading import Thread
from typing import Any

import requests
import urllib3

PIECE_BYTES = 1 << 16
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)  # of a clock that answers


class NoAnswer(Exception):
    """There was no status line and header in time; the text says why."""


class BrokenOff(Exception):
    """The body ended too early, came too slowly, could not be inflated, or was larger than allowed."""


@dataclass(frozen=True)
class Answer:
    """Status, headers and the whole body, inflated."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass
class _Desk:
    """What the thread that asks leaves for the one that waits."""

    answer: Answer | None = None
    error: BaseException | None = None
    headers_came: bool = field(default=False)


def get(session: requests.Session, url: str, *, most_bytes: int, seconds: float, **options: Any) -> Answer:
    """Return the answer to a GET.

    Args:
        session: asks; it decides what is tried again before a body is read.
        url: where.
        most_bytes: of the inflated body.
        seconds: for the whole call, retries of the session and their pauses included.
        options: as for `requests`: params, headers, timeout.

    Raises:
        NoAnswer: no network, a time-out, an address that cannot be.
        BrokenOff: the body of a 200 cannot be used. The body of another status may be cut.
    """
    desk = _Desk()
    deadline = time.monotonic() + seconds
    # A thread, because nothing else ends a header that comes a byte at a time, or a name that is looked up for ever.
    worker = Thread(target=_ask, args=(desk, session, url, most_bytes, deadline, options), daemon=True)
    worker.start()
    worker.join(seconds)
    if desk.answer:
        return desk.answer
    if desk.error is None:
        late = f"not done within {seconds:g} s"
        raise BrokenOff(late) if desk.headers_came else NoAnswer(late)
    if isinstance(desk.error, BrokenOff):
        raise desk.error
    if isinstance(desk.error, requests.RequestException | urllib3.exceptions.HTTPError | ValueError | OSError):
        raise NoAnswer(root_cause(desk.error)) from desk.error
    raise desk.error


def _ask(
    desk: _Desk, session: requests.Session, url: str, most_bytes: int, deadline: float, options: dict[str, Any]
) -> None:
    try:
        with session.get(url, stream=True, **options) as response:
            desk.headers_came = True
            try:
                content = _body(response, most_bytes, deadline)
            except BrokenOff:
                if response.status_code == 200:
                    raise
                content = b""
            desk.answer = Answer(response.status_code, response.headers, content)
    except BaseException as error:  # raised again in the thread that waits
        desk.error = error


def _body(response: requests.Response, most_bytes: int, deadline: float) -> bytes:
    content = bytearray()
    try:
        # `read1` gives what has come; `iter_content` would wait until a whole piece has, however slowly.
        while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > most_bytes:
                raise BrokenOff(f"more than {most_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise BrokenOff(f"too slow: {len(content):,} bytes in all the time there was")
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise BrokenOff(root_cause(error)) from error
    return bytes(content)


def seconds_of(text: str | None, default: float) -> float:
    """Return the seconds that a header such as `Retry-After` names; the default where it names none."""
    try:
        seconds = float(text or default)
    except ValueError:
        return default
    return max(0.0, seconds) if isfinite(seconds) else default


def instant_of(text: str | None) -> datetime:
    """Return the instant that a `Date` header names, UTC.

    Raises:
        ValueError: it names none, or one at which nobody can have asked.
    """
    said = (text or "")[:80]
    try:
        found = parsedate_to_datetime(said).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise ValueError(repr(said)) from error
    if not EARLIEST <= found < LATEST:
        raise ValueError(repr(said))
    return found


def root_cause(error: BaseException) -> str:
    """Return the innermost reason of an error, in one line."""
    cause = error
    while isinstance(inner := getattr(cause, "reason", None) or (cause.args[0] if cause.args else None), BaseException):
        cause = inner
    return f"{type(cause).__name__}: {cause}"
