"""The archive's key grammar: where a dataset of a symbol lies, and which day a key stands for.

What belongs here: names and paths. What does not: HTTP, folders, file contents.
Source: `docs` of the archive as written down in exchange.md, section 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

DAILY = "data/futures/um/daily"
SIDECAR = ".CHECKSUM"


@dataclass(frozen=True)
class Dataset:
    """One kind of daily file.

    Args:
        name: `metrics` (open interest and ratios) or `klines` (candles).
        interval: width of a kline, `5m` or `15m`; empty for metrics.
    """

    name: str
    interval: str = ""

    @property
    def slug(self) -> str:
        """The dataset as one word: `metrics`, `klines-5m`."""
        return f"{self.name}-{self.interval}" if self.interval else self.name

    @property
    def root(self) -> str:
        """The folder whose sub-folders are the symbols."""
        return f"{DAILY}/{self.name}/"

    def prefix(self, symbol: str) -> str:
        """Return the folder of a symbol's files, with a trailing slash."""
        return f"{self.root}{symbol}/{self.interval}/" if self.interval else f"{self.root}{symbol}/"

    def key(self, symbol: str, day: date) -> str:
        """Return the key of the zip of one UTC day."""
        return f"{self.prefix(symbol)}{symbol}-{self.interval or self.name}-{day.isoformat()}.zip"

    def day_of(self, symbol: str, key: str) -> date | None:
        """Return the UTC day a key stands for, or None for a junk key (see `day_of_name`)."""
        prefix = self.prefix(symbol)
        return self.day_of_name(symbol, key.removeprefix(prefix)) if key.startswith(prefix) else None

    def day_of_name(self, symbol: str, name: str) -> date | None:
        """Return the UTC day a file name stands for, or None for junk.

        Junk exists in the archive: `MATICUSDT-metrics-1993.zip`, Spark residue (exchange.md 1.2). Symbols may be
        non-ASCII, so the symbol is matched as it is and never by a character class.
        """
        match = re.fullmatch(
            rf"{re.escape(symbol)}-{re.escape(self.interval or self.name)}-([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})\.zip",
            name,
        )
        try:
            return date.fromisoformat(match[1]) if match else None
        except ValueError:  # 2026-02-30
            return None


METRICS = Dataset("metrics")


def klines(interval: str) -> Dataset:
    """Return the dataset of klines of one interval, e.g. `5m`."""
    return Dataset("klines", interval)


@dataclass(frozen=True)
class RemoteFile:
    """One line of a listing. `etag` and `size` (bytes) tell whether a file was rewritten; the sidecar is the truth."""

    key: str
    size: int
    etag: str
    last_modified: datetime
