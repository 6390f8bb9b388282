"""The archive's key grammar: where a dataset of a symbol lies, and which day a key stands for.

What belongs here: names and paths. What does not: HTTP, folders, file contents.
Source: `docs` of the archive as written down in exchange.md, section 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from liq_pipeline.errors import FormatError

DAILY = "data/futures/um/daily"
COIN_M_DAILY = "data/futures/cm/daily"
SIDECAR = ".CHECKSUM"
_NO_NAME = re.compile(r"[/\\\x00-\x1f]")


@dataclass(frozen=True)
class ArchiveDataset:
    """One kind of daily file.

    Args:
        name: `metrics` (open interest and ratios) or `klines` (candles).
        interval: width of a kline, `5m` or `15m`; empty for metrics.
        daily: the folder of all datasets of a kind of contract.
    """

    name: str
    interval: str = ""
    daily: str = DAILY

    @property
    def slug(self) -> str:
        """The dataset as one word: `metrics`, `klines-5m`."""
        return f"{self.name}-{self.interval}" if self.interval else self.name

    @property
    def root(self) -> str:
        """The folder whose sub-folders are the symbols."""
        return f"{self.daily}/{self.name}/"

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


def lies_under(prefix: str, key: str) -> bool:
    """Tell whether a key names something directly under a prefix, and nothing else: a listing may say anything."""
    name = key.removeprefix(prefix)
    return key.startswith(prefix) and bool(name) and name not in (".", "..") and not _NO_NAME.search(name)


def inside(folder: Path, key: str) -> Path:
    """Return the path of a key below a folder.

    Raises:
        FormatError: the key leads out of the folder, or is none.
    """
    path = folder / key
    if not key or "\\" in key or "\0" in key or ".." in Path(key).parts or not path.is_relative_to(folder):
        raise FormatError(
            f"the archive offers {key[:200]!r}, which does not lie below its folder",
            expected="keys such as data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-01-11.zip",
            remedy="nothing was written; do not use this archive",
        )
    return path


METRICS = ArchiveDataset("metrics")


def klines(interval: str) -> ArchiveDataset:
    """Return the dataset of klines of one interval, e.g. `5m`."""
    return ArchiveDataset("klines", interval)


@dataclass(frozen=True)
class RemoteFile:
    """One line of a listing. `etag` and `size` (bytes) tell whether a file was rewritten; the sidecar is the truth."""

    key: str
    size: int
    etag: str
    last_modified: datetime
