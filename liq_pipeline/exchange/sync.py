"""Bring the local copy of one symbol's dataset up to date with an archive.

Listing first, then only what is missing, changed or damaged. Killed at any moment, a later sync finishes the work: a
file gets its name only when it is whole and good, and the manifest is written after the files that it speaks of.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, LiqError
from liq_pipeline.exchange.absence import absence, days_without_file
from liq_pipeline.exchange.archive import Archive
from liq_pipeline.exchange.fetch import Fetched, fetch_files
from liq_pipeline.exchange.formats import FileFacts, read_dataset
from liq_pipeline.exchange.keys import ArchiveDataset, RemoteFile
from liq_pipeline.exchange.listing import Listing, ask_for_sidecars, list_days
from liq_pipeline.exchange.manifest import Entry, load_manifest, manifest_path, save_manifest, to_table
from liq_pipeline.exchange.quarantine import set_aside
from liq_pipeline.exchange.report import NoProgress, Problem, Progress, SyncReport
from liq_pipeline.exchange.settlements import is_between_contracts
from liq_pipeline.exchange.transfer import sha256_of

BATCH = 64  # files between two writes of the manifest: what a kill can cost


def plan(
    archive: Archive, dataset: ArchiveDataset, symbol: str, *, since: date, now: datetime, raw_dir: Path
) -> list[RemoteFile]:
    """Return what `sync` would fetch: missing, changed, damaged, or not good at the last try. Downloads nothing.

    Files that failed before are named again until they heal or prove bad; whoever triggers on a plan should remember
    `(key, etag, size)`.

    Raises:
        UnknownSymbol, ArchiveForbidden, ArchiveUnreachable: as `sync`.
    """
    state = _State(archive, dataset, symbol, since, now, raw_dir)
    state.look()
    return state.wanted()


def sync(
    archive: Archive,
    dataset: ArchiveDataset,
    symbol: str,
    *,
    since: date,
    now: datetime,
    raw_dir: Path,
    workers: int = 8,
    progress: Progress | None = None,
) -> SyncReport:
    """Bring `raw_dir` up to date. Two processes may do so at once: the second waits, then finds the work done.

    Args:
        archive: where from.
        dataset: which files.
        symbol: whose files.
        since: first UTC day.
        now: the current instant, UTC.
        raw_dir: local copy, in the layout of the archive, with `manifest/` and `quarantine/` beside `data/`.
        workers: parallel transfers.
        progress: told about every file.

    Returns:
        What was done. Files that are not good are in `problems`, and do not stop the others.

    Raises:
        UnknownSymbol: nothing is listed for the symbol.
        ChecksumsMissing: zips are listed, but no sidecar at all, and the archive may not do without.
        ArchiveForbidden: 401, 403 or 451.
        ArchiveUnreachable: no answer, or none that can be used. What was fetched before stays.
    """
    lock = manifest_path(raw_dir, dataset, symbol).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        state = _State(archive, dataset, symbol, since, now, raw_dir)
        state.remove_leftovers()
        state.look()
        state.fetch(workers, progress or NoProgress())
        return state.report()


class _State:
    """One sync at work: the listing, the manifest, and which local files are good."""

    def __init__(
        self, archive: Archive, dataset: ArchiveDataset, symbol: str, since: date, now: datetime, raw_dir: Path
    ) -> None:
        self.archive, self.dataset, self.symbol, self.since, self.now = archive, dataset, symbol, since, now
        self.raw_dir = raw_dir
        self.path = manifest_path(raw_dir, dataset, symbol)
        self.saved = load_manifest(self.path)
        self.entries = dict(self.saved)
        self.listing = Listing()
        self.good: dict[date, str] = {}  # days whose local file is what the manifest says, with its hash
        self.lacking: list[Fetched] = []  # listed, but the zip or its sidecar is not there
        self.fetched = self.fetched_bytes = self.rewritten = 0

    def remove_leftovers(self) -> None:
        """Remove what a killed sync left behind."""
        for part in (self.raw_dir / self.dataset.prefix(self.symbol)).glob("*.part"):
            part.unlink()

    def look(self) -> None:
        """List the archive, and verify the local files."""
        for key, entry in self.entries.items():
            day = self.dataset.day_of(self.symbol, key)
            if day and day >= self.since and entry.good_sha256:
                if sha256_of(self.raw_dir / key) == entry.good_sha256:
                    self.good[day] = entry.good_sha256
                elif entry.status != "ok":
                    self.entries[key] = replace(entry, kept_sha256=None)
        try:
            self.listing = list_days(self.archive, self.dataset, self.symbol)
        except (ArchiveForbidden, ArchiveUnreachable) as error:
            raise self._with_local_count(error) from error
        for day in list(self.good):  # what was taken without a checksum is verified as soon as that is possible
            key = self.dataset.key(self.symbol, day)
            if self.entries[key].unverified and (self.archive.needs_checksums or key in self.listing.signed):
                del self.good[day]

    def wanted(self) -> list[RemoteFile]:
        """Return the files to fetch, by day."""
        return [
            file for day, file in self.listing.days.items() if day >= self.since and not self._is_settled(day, file)
        ]

    def _is_settled(self, day: date, file: RemoteFile) -> bool:
        entry = self.entries.get(file.key)
        if entry is None or (entry.etag, entry.size) != (file.etag, file.size):
            return False
        return entry.status == "bad" or (entry.status == "ok" and day in self.good)

    def fetch(self, workers: int, progress: Progress) -> None:
        """Fetch what is wanted, batch by batch."""
        wanted = self.wanted()
        what = f"{self.symbol} {self.dataset.slug}"
        ask_for_sidecars(self.archive, len(self.listing.days) if wanted else 0, self.listing.signed, what)
        progress.start(len(wanted), sum(file.size for file in wanted))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="download")
        try:
            for start in range(0, len(wanted), BATCH):
                batch = wanted[start : start + BATCH]
                outcomes, fatal = fetch_files(
                    pool, self.archive, batch, self.raw_dir, lambda file: progress.advance(1, file.size)
                )
                self._accept(outcomes)
                self.save()
                if fatal:
                    raise self._with_local_count(fatal)
        finally:
            pool.shutdown(cancel_futures=True)
            progress.finish()

    def save(self) -> None:
        """Write the manifest, unless nothing is new: then it stays as it is, to the byte."""
        if self.entries != self.saved:
            save_manifest(self.path, self.entries)
            self.saved = dict(self.entries)

    def _accept(self, outcomes: list[Fetched]) -> None:
        """Check the content of what was fetched; give good files their names, put the others in quarantine."""
        whole = [outcome for outcome in outcomes if outcome.status == "ok" and outcome.path]
        parsed = read_dataset(self.dataset, [outcome.path for outcome in whole if outcome.path], self.symbol)
        facts = {fact.path: fact for fact in parsed.facts}
        bad = dict(parsed.bad)
        for outcome in outcomes:
            if outcome.path in facts:
                self._keep(outcome, facts[outcome.path])
            elif outcome.path in bad:
                self._refuse(outcome, "bad", str(bad[outcome.path]))
            elif outcome.status == "mismatch":
                self._refuse(outcome, "mismatch", outcome.message)
            else:
                self.lacking.append(outcome)  # only when all is fetched it shows whether later days are there

    def _keep(self, outcome: Fetched, facts: FileFacts) -> None:
        day, final = self._day(outcome.remote), self.raw_dir / outcome.remote.key
        facts.path.replace(final)
        if outcome.downloaded:
            self.fetched += 1
            self.fetched_bytes += outcome.remote.size
            self.rewritten += self.good.get(day, outcome.sha256) != outcome.sha256
        self.good[day] = outcome.sha256 or ""
        found = {"rows": facts.rows, "first_ts": facts.first_ts, "last_ts": facts.last_ts}
        self._put(self._entry(outcome, "ok", unverified=outcome.expected_sha256 is None, **found))

    def _refuse(self, outcome: Fetched, status: str, message: str) -> None:
        """Note a file that is not good. An older good file of the same day stays in use."""
        key, day = outcome.remote.key, self._day(outcome.remote)
        if outcome.path == self.raw_dir / key:  # what lies here has the promised hash, and is bad all the same
            self.good.pop(day, None)
        if status == "bad":
            promised = ", as its sidecar promises" if outcome.expected_sha256 else "; it has no sidecar"
            message += f" It has sha256 {outcome.sha256}{promised}"
        if outcome.path:
            message += f" (kept for inspection: {self.raw_dir / 'quarantine' / key})"
        if day in self.good:
            message += "; the older good file stays in use"
        kept = {"kept_sha256": self.good.get(day), "unverified": day in self.good and self.entries[key].unverified}
        entry = self._entry(outcome, status, **kept, message=message)
        if outcome.path:
            set_aside(self.raw_dir, outcome.path, key, json.dumps(asdict(entry), default=str, indent=1), ".json")
        self._put(entry)

    def _entry(self, outcome: Fetched, status: str, **more: Any) -> Entry:
        remote = outcome.remote
        return Entry(
            key=remote.key,
            url=self.archive.url(remote.key),
            status=status,
            fetched_at=self.now,
            sha256=outcome.sha256,
            expected_sha256=outcome.expected_sha256,
            etag=remote.etag,
            size=remote.size,
            last_modified=remote.last_modified,
            **more,
        )

    def _put(self, entry: Entry) -> None:
        """Note a finding; one that says nothing new keeps its old entry, and so the manifest its bytes."""
        if not entry.same_finding(self.entries.get(entry.key)):
            self.entries[entry.key] = entry

    def _last_arrived(self) -> date:
        """Return the newest day of which there is a file, good or bad: what lies before it is not just late."""
        gave_a_file = (
            day
            for day, file in self.listing.days.items()
            if self.entries.get(file.key) and self.entries[file.key].sha256
        )
        return max((*self.good, *gave_a_file), default=date.min)

    def report(self) -> SyncReport:
        """Note the absent days, save the manifest, and tell what there is."""
        today, last_arrived = self.now.date(), self._last_arrived()
        for outcome in self.lacking:
            self._refuse(outcome, absence(self._day(outcome.remote), last_arrived, today), outcome.message)
        holes, not_yet = [], []
        known = self.listing.days.keys() | self.good.keys()
        last_known = max(known)
        for day in days_without_file(self.since, known, today):
            key, status = self.dataset.key(self.symbol, day), absence(day, last_arrived, today)
            self._put(Entry(key, self.archive.url(key), status, self.now, message="not listed"))
            if status == "not_yet":
                not_yet.append(day)
            # Behind the last day the archive just ends: stale, but without a hole.
            elif day < last_known and not is_between_contracts(self.symbol, day):
                holes.append(day)
        self.save()

        problems = []
        in_window = sorted(day for day in self.listing.days if day >= self.since)
        for day in in_window:
            entry = self.entries[self.listing.days[day].key]
            if entry.status == "not_yet":
                not_yet.append(day)
            elif entry.status != "ok":
                problems.append(Problem(entry.key, day, entry.status, entry.message, day in self.good))
        files = [self.raw_dir / self.dataset.key(self.symbol, day) for day in sorted(self.good)]
        return SyncReport(
            dataset=self.dataset,
            symbol=self.symbol,
            manifest=to_table(self.entries),
            fetched=self.fetched,
            fetched_bytes=self.fetched_bytes,
            rewritten=self.rewritten,
            files=files,
            problems=problems,
            holes=holes,
            not_yet=sorted(not_yet),
            unverified=[
                day for day in sorted(self.good) if self.entries[self.dataset.key(self.symbol, day)].unverified
            ],
            first_day=in_window[0] if in_window else None,
            last_day=in_window[-1] if in_window else None,
        )

    def _day(self, remote: RemoteFile) -> date:
        day = self.dataset.day_of(self.symbol, remote.key)
        assert day is not None, remote.key  # only such keys are listed
        return day

    def _with_local_count(self, error: LiqError) -> LiqError:
        here = f"{len(self.good)} {self.dataset.slug} files of {self.symbol} are already in {self.raw_dir}"
        return type(error)(
            f"{error.problem}; {here}",
            expected=error.expected,
            remedy=f"{error.remedy}; `liq demo` shows the whole chain without the exchange",
        )
