"""What a sync tells: its progress, and what became of the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from liq_pipeline.exchange.keys import ArchiveDataset


class Progress(Protocol):
    """What a sync tells about its progress."""

    def start(self, total_files: int, total_bytes: int) -> None:
        """Called once, before the first file."""

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        """Called after each file."""

    def finish(self) -> None:
        """Called once, at the end or on an error."""


class NoProgress:
    """Tells nobody."""

    def start(self, total_files: int, total_bytes: int) -> None:
        """Do nothing."""

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Problem:
    """A file that could not be used.

    Args:
        key: the file.
        day: its UTC day.
        status: `mismatch`, `bad` or `missing` (listed, but not there).
        message: what was read and expected, with hashes, and where it was put.
        kept_old: whether an older good file of that day stays in use.
    """

    key: str
    day: date
    status: str
    message: str
    kept_old: bool = False


@dataclass
class SyncReport:
    """What a sync did, and what there is to work on.

    Args:
        dataset: which dataset.
        symbol: which symbol.
        manifest: all that is known, a table of `MANIFEST_SCHEMA`.
        fetched: good files transferred.
        fetched_bytes: their size.
        rewritten: those of them that replaced another good file.
        files: good zips with day >= since, by day.
        problems: files with day >= since that could not be used.
        holes: absent days between the first and the last listed day; those of the last 7 days only if a later one came.
        not_yet: absent days of the last 7 days, with none behind them that came.
        unverified: days of good files that were taken without a checksum.
        first_day: first listed day that is not before `since`.
        last_day: last listed day that is not before `since`.
    """

    dataset: ArchiveDataset
    symbol: str
    manifest: pa.Table
    fetched: int = 0
    fetched_bytes: int = 0
    rewritten: int = 0
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    holes: list[date] = field(default_factory=list)
    not_yet: list[date] = field(default_factory=list)
    unverified: list[date] = field(default_factory=list)
    first_day: date | None = None
    last_day: date | None = None

    @property
    def lost_data(self) -> bool:
        """Whether a day that should be here has no good file: a listed one, or a hole between listed ones."""
        return bool(self.holes) or any(not problem.kept_old for problem in self.problems)
