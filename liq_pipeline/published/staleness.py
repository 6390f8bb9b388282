"""How old data is, and how that is said. One wording for the command line, pictures, pages and the service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

AGEING = timedelta(hours=24)
STALE = timedelta(hours=48)


def short_history(timeframe: str, first_ts: datetime, as_of: datetime) -> str:
    """Return words for a timeframe that reaches back further than the data; empty where the data fills it."""
    shown = as_of - first_ts
    if shown >= timedelta(days=int(timeframe.removesuffix("d"))) - timedelta(hours=1):
        return ""
    amount = f"{shown / timedelta(days=1):.0f} days" if shown >= timedelta(days=2) else age_in_words(shown)
    since = f"{first_ts.day} {first_ts:%b}" + ("" if first_ts.year == as_of.year else f" {first_ts.year}")
    return f"{timeframe} asked, {amount} shown, data since {since}"


def age_in_words(age: timedelta) -> str:
    """Return an age in hours, and in days where hours are hard to read."""
    hours = f"{age / timedelta(hours=1):.1f} h"
    return f"{hours} ({age / timedelta(days=1):.1f} days)" if age >= timedelta(days=3) else hours


def is_stale(age: timedelta) -> bool:
    """Return whether data of this age says little of now: 48 h old, or from the future."""
    return not timedelta(0) <= age < STALE


def notice(as_of: datetime, now: datetime) -> str:
    """Return what people should know of the age of data up to `as_of`."""
    age = now - as_of
    if age < timedelta(0):
        return (
            f"data up to {as_of:%Y-%m-%d %H:%M} UTC, later than now ({now:%Y-%m-%d %H:%M}): check the clock or LIQ_NOW"
        )
    text = f"data up to {as_of:%Y-%m-%d %H:%M} UTC, {age_in_words(age)} old"
    if age >= STALE:
        return f"{text}; stale (the limit is 48 h)"
    return f"{text}; 1d leans on old data" if age >= AGEING else text


def retired(published: Iterable[str], refreshed: Iterable[str] | None) -> set[str]:
    """Return the published symbols that nobody refreshes any more: their age says nothing of how things are.

    Args:
        published: symbols of which something is published.
        refreshed: symbols that runs refresh; None: nobody knows, all count.
    """
    return set() if refreshed is None else set(published) - set(refreshed)


def retired_notice(symbol: str) -> str:
    """Return what people should know of a symbol that nobody refreshes."""
    return f"no longer refreshed: not in LIQ_SYMBOLS, or not traded. To do: liq forget {symbol}, or put it back"
