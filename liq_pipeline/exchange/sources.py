"""The two places where the exchange's data comes from, with the local copy beside them: its archive and REST."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from liq_pipeline.exchange.archive import Archive, open_archive
from liq_pipeline.exchange.kept import KeptRaw
from liq_pipeline.exchange.keys import METRICS, ArchiveDataset, RemoteFile, klines
from liq_pipeline.exchange.manifest import good_files, unverified_files
from liq_pipeline.exchange.report import Progress, SyncReport
from liq_pipeline.exchange.rest import RestClient
from liq_pipeline.exchange.sync import plan, sync
from liq_pipeline.exchange.tail import TailReport, read_tail, refusal, unarchived, update_tail
from liq_pipeline.settings import DEFAULT_HISTORY
from liq_pipeline.system.objects import objects_at
from liq_pipeline.system.storage import writing


class ArchiveSource(BaseModel):
    """The exchange's archive and the local copy of it.

    Args:
        location: URL, or a folder in the same layout.
        listing_url: where the archive is listed.
        raw_dir: the local copy, its manifest and its quarantine.
        bar_minutes: width of a bar; decides which klines are loaded.
        since: first day to load, ISO; empty for 120 days before now.
        workers: parallel downloads.
        needs_checksums: whether a file without a sidecar is refused; only a folder can do without.
        storage: `s3://bucket/prefix` that holds the same files, for other machines; empty: none.
    """

    model_config = ConfigDict(frozen=True)

    location: str
    listing_url: str
    raw_dir: str
    bar_minutes: int
    since: str = ""
    workers: int = 8
    needs_checksums: bool = True
    storage: str = ""

    @contextmanager
    def kept(self, symbol: str) -> Iterator[None]:
        """Inside, the local files of a symbol are those of the bucket; at the end what changed goes there."""
        if not self.storage:
            yield
            return
        kept = KeptRaw(objects_at(self.storage), Path(self.raw_dir), (self.open_interest_files, self.kline_files))
        with writing(self.raw_dir):
            kept.fetch(symbol)
        try:
            yield
        finally:
            kept.store(symbol)

    @property
    def open_interest_files(self) -> ArchiveDataset:
        """The dataset that holds open interest."""
        return METRICS

    @property
    def kline_files(self) -> ArchiveDataset:
        """The dataset that holds bars of the base interval."""
        return klines(f"{self.bar_minutes}m")

    def first_day(self, now: datetime) -> date:
        """Return the first day to load."""
        return date.fromisoformat(self.since) if self.since else (now - DEFAULT_HISTORY).date()

    def sync(self, dataset: ArchiveDataset, symbol: str, now: datetime, progress: Progress | None = None) -> SyncReport:
        """Bring the local copy up to date: fetch what is missing or changed."""
        with writing(self.raw_dir):
            return sync(
                self._open(), dataset, symbol, since=self.first_day(now), now=now, raw_dir=Path(self.raw_dir),
                workers=self.workers, progress=progress,
            )  # fmt: skip

    def plan(self, dataset: ArchiveDataset, symbol: str, now: datetime) -> list[RemoteFile]:
        """Return what `sync` would fetch, without fetching it."""
        return plan(self._open(), dataset, symbol, since=self.first_day(now), now=now, raw_dir=Path(self.raw_dir))

    def good_files(self, dataset: ArchiveDataset, symbol: str, now: datetime) -> list[Path]:
        """Return the local files that passed their checks, in date order."""
        return good_files(Path(self.raw_dir), dataset, symbol, since=self.first_day(now))

    def checksums(self, symbol: str, since: date) -> str:
        """Say whether the files in use, with day >= since, were checked against their sidecars."""
        datasets = (self.open_interest_files, self.kline_files)
        count = sum(unverified_files(Path(self.raw_dir), dataset, symbol, since=since) for dataset in datasets)
        return f"not verified: {count} files without a .CHECKSUM" if count else "verified"

    def _open(self) -> Archive:
        return open_archive(self.location, self.listing_url, needs_checksums=self.needs_checksums)


class RestSource(BaseModel):
    """The exchange's REST interface, which has the newest hours.

    Args:
        url: its address; empty: off.
        raw_dir: the local copy of the archive, beside which the newest hours are kept.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    raw_dir: str

    def update(self, dataset: ArchiveDataset, symbol: str, now: datetime, *, patient: bool = False) -> TailReport:
        """Drop what the archive has meanwhile, and fetch what it does not have yet."""
        client = RestClient(self.url) if self.url else None
        with writing(self.raw_dir):
            return update_tail(client, dataset, symbol, Path(self.raw_dir), now, patient=patient)

    def rows(self, dataset: ArchiveDataset, symbol: str) -> pa.Table:
        """Return the stored rows that no good file of the archive covers, by `ts`."""
        raw_dir = Path(self.raw_dir)
        return unarchived(raw_dir, dataset, symbol, read_tail(raw_dir, dataset, symbol))

    def refusal(self, now: datetime) -> str:
        """Return what REST said when it refused within the last hour; empty if it did not."""
        return refusal(Path(self.raw_dir), now)
