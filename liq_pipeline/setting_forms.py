"""The forms that settings may have: text in, a value out. Each raises `ValueError` with what was expected."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_SYMBOL = 40  # it becomes a folder's name; the exchange's longest has about 20
LONGEST_LABEL = 60  # it stands in titles
LEAST_MEMORY, MOST_MEMORY = 100e6, 1e15  # bytes; below it the chain does not get through
_SECRETS = ("serve_token", "alert_urls")
_MOST_SHOWN = 100  # characters of a value in a message
_INSTANT_FORMS = "2026-03-19, 20260319 or 2026-03-19T09:30:00Z"
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT])(i?)B", re.IGNORECASE)
_AWS_KEYS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT",
)  # fmt: skip
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX_PART = re.compile(r"[A-Za-z0-9_.=-]{1,100}")
_RATE = re.compile(r"[1-9][0-9]{0,8} ?(/|per) ?([1-9][0-9]{0,5})? ?(second|minute|hour|day)s?")


def refuse_unreadable(text: str) -> None:
    """Refuse control characters, and bytes that are not UTF-8: they belong in no setting."""
    if bad := next((sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs")), None):
        raise ValueError(f"holds {bad!r}; expected readable text in UTF-8")


def instant_of(text: str) -> datetime:
    """Return the instant that an ISO text names, in UTC; in UTC, too, if it names no zone."""
    text = text.strip()
    if not text.isascii() or (text.isdigit() and len(text) != 8):
        raise ValueError(f"is not an instant; expected {_INSTANT_FORMS}")
    try:
        found = datetime.fromisoformat(text.upper())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"is not an instant; expected {_INSTANT_FORMS}") from None
    return within_calendar(found)


def within_calendar(instant: datetime) -> datetime:
    """Refuse an instant that no data can be of, and with which dates would run over."""
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"expected an instant from {EARLIEST:%Y} until before {LATEST:%Y}")
    return instant


def day_of(text: str) -> date:
    """Return the day that an ISO text names."""
    found = instant_of(text)
    if found.time() != time():
        raise ValueError("expected a day, such as 2026-03-19")
    return found.date()


def token_of(text: str) -> str:
    """Return a bearer token."""
    if any(sign.isspace() for sign in text):
        raise ValueError("holds a blank; expected a token without any")
    return text


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_of_memory(text: str, parts: int) -> str:
    """Return a part of an amount of memory, but at least what the chain needs."""
    match = _MEMORY.fullmatch(text)
    assert match, text
    return f"{max(_bytes(match) / parts, LEAST_MEMORY) / 1e6:.0f}MB"


def _bytes(match: re.Match[str]) -> float:
    number, power, binary = match.groups()
    return float(number) * (1024 if binary else 1000) ** ("KMGT".index(power.upper()) + 1)


def memory_of(text: str) -> str:
    """Return an amount of memory as DuckDB reads it."""
    text = text.strip()
    match = _MEMORY.fullmatch(text)
    expected = "expected a number and KB, MB, GB or TB (or KiB, MiB, GiB, TiB), such as 2GB or 1.5GiB"
    if not match:
        raise ValueError(f"is not an amount of memory; {expected}")
    size = _bytes(match)
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise ValueError(f"is not between 100MB and 1000TB; {expected}")
    return text


def url_parts(text: str, *schemes: str) -> SplitResult:
    """Return the parts of a URL that has one of the schemes, and a host."""
    expected = f"expected {schemes[-1]}://host…"
    if any(sign.isspace() for sign in text):
        raise ValueError(f"holds a blank; {expected}")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError(f"is not a URL ({error}); {expected}") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(f"is not a URL of this kind; {expected}")
    refuse_no_host(host)
    return parts


def storage_of(text: str, environment: Mapping[str, str]) -> str:
    """Return the address of a bucket, or of a prefix in it: `s3://bucket/prefix`, without a slash at its end.

    Args:
        text: as it was given.
        environment: where the key for it must be: without one the library would ask the machine itself.
    """
    if not text.strip():
        return ""
    bucket, _, prefix = text.strip().rstrip("/").removeprefix("s3://").partition("/")
    parts = prefix.split("/") if prefix else []
    if not text.strip().startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise ValueError("names no bucket; expected s3://bucket/prefix")
    if any(part in ("", ".", "..") or not _PREFIX_PART.fullmatch(part) for part in parts):
        raise ValueError("has a prefix of other signs than letters, digits, - _ . =; expected s3://bucket/prefix")
    if not any(environment.get(name) for name in _AWS_KEYS):
        raise ValueError(f"has no key; expected one of {', '.join(_AWS_KEYS)} in the environment")
    return "/".join([f"s3://{bucket}", *parts])


def refuse_no_host(host: str) -> None:
    """Refuse what cannot be the name or address of a host."""
    if ":" in host:
        try:
            ip_address(host.partition("%")[0])
        except ValueError:
            raise ValueError("is not an address; a port goes into --port") from None
    elif (
        not re.fullmatch(r"[\w.-]+", host)
        or len(host) > 253
        or any(not 0 < len(p) < 64 for p in host.rstrip(".").split("."))
    ):
        raise ValueError("is not the name of a host, such as 127.0.0.1, ::1 or localhost")


def origin_of(text: str) -> str:
    """Return a web origin as browsers send it: scheme, host and port, without a path."""
    if text == "*":
        return text
    parts = url_parts(text, "http", "https")
    if parts.path.rstrip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("an origin has no path; expected https://host or https://host:port")
    return text.rstrip("/").lower()


def rate_of(text: str) -> str:
    """Return a number of requests and a span; empty for no limit."""
    text = text.strip()
    if text and not _RATE.fullmatch(text):
        raise ValueError(
            "expected a number of requests and a span, such as 600/minute or 100 per 5 seconds; empty: none"
        )
    return text


def symbol_of(text: str) -> str:
    """Return a symbol. It may be a non-ASCII word, but it becomes the name of a folder and a partition key."""
    symbol = text.strip().upper()
    if not symbol.replace("_", "").isalnum() or len(symbol) > LONGEST_SYMBOL:
        shown = symbol if len(symbol) <= LONGEST_SYMBOL else f"{symbol[:LONGEST_SYMBOL]}…"
        raise ValueError(f"{shown!r} is not a symbol; expected letters, digits and '_', at most {LONGEST_SYMBOL}")
    return symbol


def selector_of(text: str) -> str:
    """Return a symbol, or what stands for symbols: `all`, `top:50`, or a pattern such as `1000*`."""
    text = text.strip()
    if text.lower() == "all":
        return "all"
    if text.lower().startswith("top:"):
        count = text[4:].strip()
        if not re.fullmatch(r"[1-9][0-9]{0,3}", count):
            raise ValueError(f"{text[:40]!r} is none; expected top:N with N from 1 to 9999, such as top:50")
        return f"top:{count}"
    if not set(text) & set("*?"):
        return symbol_of(text)
    try:
        symbol_of(text.replace("*", "A").replace("?", "A"))
    except ValueError:
        raise ValueError(
            f"{text[:LONGEST_SYMBOL]!r} is no pattern; expected letters, digits, '_', '*' and '?'"
        ) from None
    return text.upper()


def is_selector(text: str) -> bool:
    """Tell whether a text of `selector_of` stands for symbols instead of being one."""
    return text == "all" or ":" in text or bool(set(text) & set("*?"))


def top_of(text: str) -> int:
    """Return the N of `top:N`; 0 if it is something else."""
    return int(text[4:]) if text.startswith("top:") else 0


def label_of(text: str) -> str:
    """Return a note that fits into a title."""
    if len(text) > LONGEST_LABEL:
        raise ValueError(f"has {len(text)} characters; expected at most {LONGEST_LABEL}")
    return text


def path_of(value: str | Path) -> Path:
    """Return a path with `~` expanded."""
    path = Path(value)
    if not str(path).startswith("~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"'~' cannot be expanded ({error}); expected a path without it") from None


def folder_of(value: str | Path) -> Path:
    """Return the path of a folder, or of a place for one."""
    if not str(value).strip():
        raise ValueError("is empty; expected a folder, or a place for one")
    path = path_of(value)
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError as error:
        raise ValueError(f"cannot be used: {error.strerror}; expected a folder, or a place for one") from None
    if is_file:
        raise ValueError("is a file; expected a folder, or a place for one")
    return path


def truth_of(item: str) -> str:
    """Return an item of `truth` with `~` expanded in its path: SYMBOL=file, or a file."""
    name, given, path = (part.strip() for part in item.partition("="))
    if given and not (name and path):
        raise ValueError(f"{item!r} names no {'file' if name else 'symbol'}; expected SYMBOL=file")
    if given and name.replace("_", "").isalnum():  # a slash before the "=" belongs to a path
        return f"{name}={path_of(path)}"
    return str(path_of(item))


def complaint(name: str, item: Any, overrides: dict[str, Any]) -> str:
    """Return what is wrong with a setting, by the name that the user gave it; what is secret is not shown."""
    renamed = {"data_dir": "data", "serve_host": "host", "serve_port": "port"}
    option = renamed.get(name, name.replace("_", "-"))
    variable = "DAGSTER_HOME" if name == "dagster_home" else f"LIQ_{name.upper()}"
    given = item["input"]
    given = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    shown = given if len(given) <= _MOST_SHOWN else f"{given[:_MOST_SHOWN]}…"
    return (
        f"{f'--{option}' if overrides.get(name) is not None else variable}="
        f"{'(not shown)' if name in _SECRETS else repr(shown)}: {item['msg'].removeprefix('Value error, ')}"
    )
