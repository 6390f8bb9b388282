from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from urllib3.util import Retry
from werkzeug import Response

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, ChecksumsMissing, UnknownSymbol
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS, klines
from liq_pipeline.exchange.manifest import good_files, load_manifest, manifest_path, unverified_files
from liq_pipeline.exchange.report import SyncReport
from liq_pipeline.exchange.settlements import Settlement, listed_settlements
from liq_pipeline.exchange.sync import plan, sync

SINCE = date(2026, 1, 10)
DAYS = [date(2026, 1, day) for day in range(10, 20)]  # up to yesterday
WRONG = "0" * 64


class Local:
    """One local copy, synced again and again."""

    def __init__(self, raw: Path, now: datetime) -> None:
        self.raw, self.now, self.since = raw, now, SINCE

    def sync(self, archive: Any, **more: Any) -> SyncReport:
        arguments: dict[str, Any] = {"since": self.since, "now": self.now, "raw_dir": self.raw} | more
        return sync(archive, METRICS, "BTCUSDT", **arguments)

    def planned(self, archive: Any) -> list[str]:
        found = plan(archive, METRICS, "BTCUSDT", since=self.since, now=self.now, raw_dir=self.raw)
        return [file.key for file in found]

    @property
    def manifest(self) -> Path:
        return manifest_path(self.raw, METRICS, "BTCUSDT")

    def status(self, key: str) -> str:
        return load_manifest(self.manifest)[key].status

    def leftovers(self) -> list[Path]:
        return [*self.raw.rglob("*.part"), *self.raw.rglob("*.tmp")]


@pytest.fixture
def local(tmp_path: Path, now: datetime) -> Local:
    return Local(tmp_path / "raw", now)


@pytest.fixture
def keys(files: Any) -> list[str]:
    return [files.put(day) for day in DAYS]


@pytest.fixture
def folder(files: Any) -> FolderArchive:
    return FolderArchive(files.root)


def test_everything_once_then_nothing(local: Local, server: Any, keys: list[str]) -> None:
    first = local.sync(server.archive())
    assert (first.fetched, first.rewritten, len(first.files) - first.fetched, first.problems) == (10, 0, 0, [])
    assert (first.first_day, first.last_day) == (DAYS[0], DAYS[-1])
    assert first.files == [local.raw / key for key in keys]
    assert first.fetched_bytes == sum(path.stat().st_size for path in first.files)
    assert first.manifest["rows"].to_pylist() == [4] * 10
    assert not first.lost_data
    assert local.leftovers() == []

    before, asked = local.manifest.read_bytes(), len(server.asked)
    assert local.planned(server.archive()) == []
    second = local.sync(server.archive(), now=local.now + timedelta(minutes=1))
    assert (second.fetched, len(second.files) - second.fetched, second.files) == (0, 10, first.files)
    assert local.manifest.read_bytes() == before
    assert set(server.asked[asked:]) == {""}  # two listings, nothing else


def test_another_address_of_the_same_archive_changes_nothing(
    local: Local, server: Any, folder: FolderArchive, keys: list[str]
) -> None:
    local.sync(server.archive())
    before = local.manifest.read_bytes()
    assert local.sync(folder).fetched == 0
    assert local.manifest.read_bytes() == before


def test_only_days_since_the_first_are_fetched(local: Local, folder: FolderArchive, keys: list[str]) -> None:
    local.since = DAYS[5]
    assert local.sync(folder).fetched == 5
    local.since = SINCE
    assert local.sync(folder).fetched == 5
    local.since = DAYS[8]
    report = local.sync(folder)
    assert (
        report.files
        == [local.raw / key for key in keys[8:]]
        == good_files(local.raw, METRICS, "BTCUSDT", since=DAYS[8])
    )


def test_a_rewritten_file_is_fetched_again(
    local: Local, server: Any, files: Any, keys: list[str], rows_of_day: Callable[..., list[str]]
) -> None:
    local.sync(server.archive())
    files.put(DAYS[3], rows_of_day(DAYS[3], count=9))
    assert local.planned(server.archive()) == [keys[3]]
    report = local.sync(server.archive())
    assert (report.fetched, report.rewritten, len(report.files) - report.fetched) == (1, 1, 9)
    assert report.manifest["rows"].to_pylist()[3] == 9


def test_damaged_and_deleted_files_heal(local: Local, folder: FolderArchive, keys: list[str]) -> None:
    good = [path.read_bytes() for path in local.sync(folder).files]
    (local.raw / keys[1]).write_bytes(b"rot")
    (local.raw / keys[2]).unlink()
    assert local.planned(folder) == [keys[1], keys[2]]
    report = local.sync(folder)
    assert (report.fetched, report.rewritten) == (2, 0)
    assert [path.read_bytes() for path in report.files] == good


def test_what_a_kill_leaves_behind(local: Local, server: Any, keys: list[str]) -> None:
    """A half file, and files that got their names before the manifest was written."""
    local.sync(server.archive())
    local.manifest.unlink()
    (local.raw / keys[0]).with_suffix(".zip.part").write_bytes(b"half")
    server.asked.clear()
    report = local.sync(server.archive())
    assert (report.fetched, len(report.files) - report.fetched) == (0, 10)
    assert not [key for key in server.asked if key.endswith(".zip")]
    assert local.leftovers() == []


def test_an_unreadable_manifest_is_rebuilt(local: Local, folder: FolderArchive, keys: list[str]) -> None:
    local.sync(folder)
    before = local.manifest.read_bytes()
    local.manifest.write_bytes(before[:100])
    assert local.sync(folder).fetched == 0
    assert local.manifest.read_bytes() == before


def test_a_wrong_checksum_is_quarantined_with_both_hashes_and_the_rest_goes_on(
    local: Local, server: Any, files: Any, keys: list[str]
) -> None:
    files.sign(keys[4], WRONG)
    report = local.sync(server.archive())
    assert server.asked.count(keys[4]) == 4
    assert report.fetched == 9
    assert report.lost_data
    (problem,) = report.problems
    actual = load_manifest(local.manifest)[keys[4]].sha256
    quarantined = local.raw / "quarantine" / keys[4]
    assert (problem.key, problem.status) == (keys[4], "mismatch")
    for part in (actual, WRONG, str(quarantined), Path(keys[4]).name):
        assert str(part) in problem.message
    facts = json.loads(quarantined.with_name(quarantined.name + ".json").read_text())
    assert (facts["sha256"], facts["expected_sha256"]) == (actual, WRONG)
    assert quarantined.read_bytes() == (files.root / keys[4]).read_bytes()
    assert not (local.raw / keys[4]).exists()

    before = local.manifest.read_bytes()
    assert local.sync(server.archive()).problems == report.problems
    assert local.manifest.read_bytes() == before
    files.sign(keys[4])  # the exchange mends its sidecar; nothing else changes
    healed = local.sync(server.archive())
    assert (healed.fetched, healed.problems) == (1, [])


@pytest.mark.parametrize("body", ["", "<html>Access denied</html>"])
def test_a_sidecar_that_is_no_checksum_is_not_a_missing_file(
    local: Local, server: Any, keys: list[str], body: str
) -> None:
    server.faults[keys[0] + ".CHECKSUM"] = [Response(body)] * 4
    report = local.sync(server.archive())
    assert [(problem.key, problem.status) for problem in report.problems] == [(keys[0], "mismatch")]
    assert "64 hex digits" in report.problems[0].message


def test_faults_that_pass_are_not_noticed(local: Local, server: Any, files: Any, keys: list[str], cut: Any) -> None:
    content = (files.root / keys[0]).read_bytes()
    server.faults[keys[0]] = [cut(content), cut(content), Response(b"stale")]
    server.faults[keys[1]] = [Response("slow down", 503)]
    server.faults[keys[2] + ".CHECKSUM"] = [Response("")]
    report = local.sync(server.archive())
    assert (report.fetched, report.problems) == (10, [])


def test_a_body_that_always_breaks_off_costs_its_day_only(
    local: Local, server: Any, files: Any, keys: list[str], cut: Any
) -> None:
    content = (files.root / keys[0]).read_bytes()
    server.faults[keys[0]] = [cut(content) for _ in range(4)]
    report = local.sync(server.archive())
    assert report.fetched == 9
    assert "broke off" in report.problems[0].message
    assert local.leftovers() == []
    assert local.sync(server.archive()).fetched == 1


def test_a_bad_file_is_reported_every_time_but_fetched_once(
    local: Local, server: Any, files: Any, keys: list[str]
) -> None:
    files.put(DAYS[2], ["garbage"])
    report = local.sync(server.archive())
    (problem,) = report.problems
    assert problem.status == "bad"
    assert "line 2: 'garbage'" in problem.message
    assert (local.raw / "quarantine" / keys[2]).exists()
    assert local.planned(server.archive()) == []
    server.asked.clear()
    again = local.sync(server.archive())
    assert (again.problems, again.lost_data) == ([problem], True)
    assert keys[2] not in server.asked


@pytest.mark.parametrize("damage", ["content", "checksum"])
def test_a_bad_rewrite_does_not_cost_the_good_file(
    local: Local, folder: FolderArchive, files: Any, keys: list[str], damage: str
) -> None:
    good = local.sync(folder).files[2].read_bytes()
    files.put(DAYS[2], ["garbage"])
    if damage == "checksum":
        files.sign(keys[2], WRONG)
    for _ in range(2):
        report = local.sync(folder)
        assert report.files[2].read_bytes() == good
        assert len(report.files) == 10
        assert report.problems[0].kept_old
        assert "stays in use" in report.problems[0].message
        assert not report.lost_data
    (local.raw / keys[2]).unlink()
    assert local.sync(folder).lost_data
    files.put(DAYS[2])
    assert local.sync(folder).problems == []


def _january(*days: int) -> list[date]:
    return [date(2026, 1, day) for day in days]


def test_a_day_before_one_that_came_is_a_hole_and_only_the_trailing_end_is_not_yet(
    local: Local, folder: FolderArchive, files: Any
) -> None:
    """Now is the 20th: the 12th and, though it is of this week, the 14th are holes; what follows the 15th may come."""
    for day in _january(10, 11, 13, 15):
        files.put(day)
    report = local.sync(folder)
    assert report.holes == _january(12, 14)
    assert report.lost_data
    assert report.not_yet == _january(16, 17, 18, 19)
    assert local.status(METRICS.key("BTCUSDT", date(2026, 1, 14))) == "missing"
    assert local.status(METRICS.key("BTCUSDT", date(2026, 1, 16))) == "not_yet"
    before = local.manifest.read_bytes()
    local.sync(folder)
    assert local.manifest.read_bytes() == before

    local.now += timedelta(days=30)
    later = local.sync(folder)
    assert later.holes == _january(12, 14)  # what lies behind the last day is no hole
    assert len(later.not_yet) == 7
    assert local.status(METRICS.key("BTCUSDT", date(2026, 1, 19))) == "missing"


@pytest.mark.parametrize(
    ("here", "holes", "not_yet"),
    [
        ((10, 11, 12, 13, 14, 15, 16, 17, 18, 19), (), ()),
        ((10, 11, 12, 13, 14, 15, 16, 17, 19), (18,), ()),  # next to the last day
        ((10, 11, 12, 13, 14, 15, 18, 19), (16, 17), ()),  # of two days
        ((10, 11, 12, 13, 14, 15, 17, 18), (16,), (19,)),
        ((10, 11), (), (13, 14, 15, 16, 17, 18, 19)),  # the end is old; the 12th is stale, not lost
        ((11, 12, 13, 14, 15, 16, 17, 18, 19), (), ()),  # nothing lies before the first day: it may have begun there
    ],
)
def test_which_absent_days_are_holes(
    local: Local, folder: FolderArchive, files: Any, here: tuple[int, ...], holes: tuple[int, ...], not_yet: Any
) -> None:
    for day in _january(*here):
        files.put(day)
    report = local.sync(folder)
    assert (report.holes, report.not_yet) == (_january(*holes), _january(*not_yet))
    assert report.lost_data == bool(holes)


def test_days_between_two_listed_contracts_are_no_holes(
    local: Local, folder: FolderArchive, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settled in the middle of the 11th, used again from the middle of the 14th on: the 12th and 13th have no file."""
    settled = Settlement(datetime(2026, 1, 11, 9, tzinfo=UTC), datetime(2026, 1, 14, 12, tzinfo=UTC), True, "listed")
    monkeypatch.setitem(listed_settlements(), "BTCUSDT", (settled,))
    for day in _january(10, 11, 15, 16, 17, 18, 19):
        files.put(day)
    assert local.sync(folder).holes == _january(14)


@pytest.mark.parametrize("first", [12, 15])
def test_the_first_day_that_was_asked_for_is_a_hole_if_older_days_are_there(
    local: Local, folder: FolderArchive, files: Any, first: int
) -> None:
    for day in _january(10, 11, 12, 13, 14, 15, 16, 17, 18, 19):
        if day.day != first:
            files.put(day)
    local.since = date(2026, 1, first)
    assert local.sync(folder).holes == [local.since]


def test_a_hole_that_is_filled_later_is_none_any_more(local: Local, folder: FolderArchive, files: Any) -> None:
    for day in _january(10, 11, 12, 13, 14, 15, 16, 17, 19):
        files.put(day)
    assert local.sync(folder).lost_data
    files.put(date(2026, 1, 18))
    report = local.sync(folder)
    assert (report.fetched, report.holes, report.lost_data) == (1, [], False)


@pytest.mark.parametrize("suffix", ["", ".CHECKSUM"])
@pytest.mark.parametrize(
    ("absent", "lost", "not_yet"),
    [((19,), (), (19,)), ((18, 19), (), (18, 19)), ((18,), (18,), ()), ((17, 19), (17,), (19,)), ((10,), (10,), ())],
)
def test_a_listed_file_without_its_zip_or_sidecar_is_lost_unless_no_later_day_came(
    local: Local, server: Any, keys: list[str], suffix: str, absent: Any, lost: Any, not_yet: Any
) -> None:
    for day in absent:
        server.faults[METRICS.key("BTCUSDT", date(2026, 1, day)) + suffix] = [Response("no such key", 404)] * 2
    report = local.sync(server.archive())
    assert [(problem.day, problem.status) for problem in report.problems] == [(d, "missing") for d in _january(*lost)]
    assert report.not_yet == _january(*not_yet)
    assert report.lost_data == bool(lost)
    before = local.manifest.read_bytes()
    assert local.sync(server.archive()).problems == report.problems
    assert local.manifest.read_bytes() == before
    assert local.sync(server.archive()).fetched == len(absent)


def test_an_absent_day_before_a_bad_file_is_a_hole(local: Local, folder: FolderArchive, files: Any) -> None:
    for day in _january(10, 11, 12, 13, 14, 15, 16, 17, 19):
        files.put(day, ["garbage"] if day.day == 19 else None)
    report = local.sync(folder)
    assert (report.holes, report.not_yet) == (_january(18), [])


@pytest.mark.parametrize("suffix", ["", ".CHECKSUM"])
def test_a_listed_file_that_is_not_there(local: Local, server: Any, keys: list[str], suffix: str) -> None:
    for key in (keys[0], keys[-1]):
        server.faults[key + suffix] = [Response("no such key", 404)]
    report = local.sync(server.archive())
    assert [(problem.key, problem.status) for problem in report.problems] == [(keys[0], "missing")]
    assert report.not_yet == [DAYS[-1]]
    assert server.asked.count(keys[0] + suffix) == 1
    assert local.sync(server.archive()).fetched == 2


class TestWithoutSidecars:
    """The exchange's own download scripts leave them out unless told otherwise."""

    @pytest.fixture
    def bare(self, files: Any, keys: list[str]) -> Path:
        for key in keys:
            (files.root / f"{key}.CHECKSUM").unlink()
        return files.root

    def test_a_folder_without_any_is_said_to_be_so_with_the_way_out(self, local: Local, bare: Path) -> None:
        with pytest.raises(ChecksumsMissing, match=r"no \.CHECKSUM beside 10 zips of BTCUSDT metrics.*--no-checksums"):
            local.sync(FolderArchive(bare))

    def test_over_http_there_is_no_way_around_them(self, local: Local, server: Any, bare: Path) -> None:
        with pytest.raises(ChecksumsMissing, match=r"no \.CHECKSUM beside 10 zips") as error:
            local.sync(server.archive())
        assert "--no-checksums" not in str(error.value)

    def test_with_leave_they_are_taken_and_marked(self, local: Local, bare: Path) -> None:
        unchecked = FolderArchive(bare, needs_checksums=False)
        report = local.sync(unchecked)
        assert (report.fetched, report.problems, report.unverified) == (10, [], DAYS)
        assert report.manifest["unverified"].to_pylist() == [True] * 10
        assert unverified_files(local.raw, METRICS, "BTCUSDT", since=DAYS[4]) == 6
        before = local.manifest.read_bytes()
        assert local.sync(unchecked).fetched == 0
        assert local.manifest.read_bytes() == before

    def test_a_sidecar_that_is_there_counts_all_the_same(self, local: Local, bare: Path, files: Any, keys: Any) -> None:
        files.sign(keys[2])
        files.sign(keys[3], WRONG)
        report = local.sync(FolderArchive(bare, needs_checksums=False))
        assert [(problem.key, problem.status) for problem in report.problems] == [(keys[3], "mismatch")]
        assert report.unverified == [day for day in DAYS if day not in (DAYS[2], DAYS[3])]

    def test_where_only_some_are_there_the_others_are_lost_days(
        self, local: Local, bare: Path, files: Any, keys: Any
    ) -> None:
        for key in (keys[0], keys[2], keys[5]):
            files.sign(key)
        report = local.sync(FolderArchive(bare))
        assert [problem.day for problem in report.problems] == [DAYS[1], DAYS[3], DAYS[4]]
        assert report.not_yet == DAYS[6:]
        assert "has no .CHECKSUM beside it" in report.problems[0].message

    def test_sidecars_that_come_later_verify_what_is_here(
        self, local: Local, bare: Path, files: Any, keys: Any, server: Any
    ) -> None:
        local.sync(FolderArchive(bare, needs_checksums=False))
        for key in keys:
            files.sign(key)
        assert len(local.planned(server.archive())) == 10
        server.asked.clear()
        report = local.sync(server.archive())
        assert (len(report.files) - report.fetched, report.unverified, report.problems) == (10, [], [])
        assert not [key for key in server.asked if key.endswith(".zip")]

    @pytest.mark.parametrize("needs_checksums", [True, False])
    def test_a_sidecar_that_contradicts_what_is_here_takes_it_out_of_use(
        self, local: Local, bare: Path, files: Any, keys: Any, needs_checksums: bool
    ) -> None:
        local.sync(FolderArchive(bare, needs_checksums=False))
        for key in keys:
            files.sign(key, WRONG if key == keys[4] else None)
        report = local.sync(FolderArchive(bare, needs_checksums=needs_checksums))
        assert report.lost_data
        assert [problem.kept_old for problem in report.problems] == [False]
        assert local.raw / keys[4] not in good_files(local.raw, METRICS, "BTCUSDT", since=SINCE)

    def test_without_leave_what_was_taken_unverified_is_not_used_any_more(
        self, local: Local, bare: Path, files: Any, keys: Any
    ) -> None:
        local.sync(FolderArchive(bare, needs_checksums=False))
        for key in keys[:4]:
            files.sign(key)
        report = local.sync(FolderArchive(bare))
        assert len(report.files) == len(good_files(local.raw, METRICS, "BTCUSDT", since=SINCE)) == 4

    def test_a_bad_rewrite_keeps_the_old_file_and_its_mark(self, local: Local, bare: Path, files: Any) -> None:
        unchecked = FolderArchive(bare, needs_checksums=False)
        local.sync(unchecked)
        (bare / f"{files.put(DAYS[2], ['garbage'])}.CHECKSUM").unlink()
        report = local.sync(unchecked)
        assert report.problems[0].kept_old
        assert "it has no sidecar" in report.problems[0].message
        assert report.unverified == DAYS


def test_a_manifest_from_before_there_was_a_mark_is_of_verified_files(
    local: Local, folder: FolderArchive, keys: list[str]
) -> None:
    local.sync(folder)
    pq.write_table(pq.read_table(local.manifest, partitioning=None).drop_columns(["unverified"]), local.manifest)
    before = local.manifest.read_bytes()
    assert local.sync(folder).fetched == 0
    assert local.manifest.read_bytes() == before


def test_junk_keys_are_left_alone(local: Local, folder: FolderArchive, files: Any, keys: list[str]) -> None:
    (files.root / keys[0]).with_name("BTCUSDT-metrics-1993.zip").write_bytes(b"junk")
    report = local.sync(folder)
    assert (report.fetched, report.problems, report.first_day) == (10, [], DAYS[0])


def test_files_that_the_archive_drops_stay_in_use(
    local: Local, folder: FolderArchive, files: Any, keys: list[str]
) -> None:
    local.sync(folder)
    (files.root / keys[3]).unlink()
    report = local.sync(folder)
    assert (len(report.files), report.holes) == (10, [])


def test_unknown_symbols_come_with_close_matches(local: Local, folder: FolderArchive, keys: list[str]) -> None:
    with pytest.raises(UnknownSymbol, match="for example BTCUSDT"):
        sync(folder, METRICS, "BTCUSD", since=SINCE, now=local.now, raw_dir=local.raw)


def test_unknown_intervals_come_with_those_that_are_there(local: Local, folder: FolderArchive, files: Any) -> None:
    files.put(DAYS[0], dataset=klines("15m"))
    with pytest.raises(UnknownSymbol, match=r"lists no 5m klines of BTCUSDT.*are there: 15m"):
        sync(folder, klines("5m"), "BTCUSDT", since=SINCE, now=local.now, raw_dir=local.raw)


@pytest.mark.parametrize("status", [403, 451])
def test_a_refusal_says_what_is_here_already(local: Local, server: Any, keys: list[str], status: int) -> None:
    local.sync(server.archive())
    server.faults[""] = [Response("no", status)]
    with pytest.raises(ArchiveForbidden, match=r"localhost.*10 metrics files of BTCUSDT are already.*`liq demo`"):
        local.sync(server.archive())


def test_an_outage_half_way_loses_nothing(local: Local, server: Any, keys: list[str]) -> None:
    server.faults[keys[-1]] = [Response("down", 503)] * 5
    with pytest.raises(ArchiveUnreachable, match=r"HTTP 503.*`liq demo`"):
        local.sync(server.archive(), workers=1)
    assert local.leftovers() == []
    report = local.sync(server.archive())
    assert (report.fetched, len(report.files) - report.fetched) == (1, 9)


def test_nobody_there(local: Local, server: Any, keys: list[str]) -> None:
    local.sync(server.archive())
    archive = HttpArchive("http://127.0.0.1:1", retry=Retry(0))
    with pytest.raises(ArchiveUnreachable, match=r"does not answer.*10 metrics files of BTCUSDT are already"):
        local.sync(archive)


def test_two_syncs_at_once_both_finish(local: Local, server: Any, keys: list[str]) -> None:
    reports: list[SyncReport] = []
    threads = [threading.Thread(target=lambda: reports.append(local.sync(server.archive()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.fetched for report in reports) == [0, 10]
    assert reports[0].files == reports[1].files


def test_progress_is_told(local: Local, folder: FolderArchive, keys: list[str]) -> None:
    class Delivery:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def start(self, total_files: int, total_bytes: int) -> None:
            self.calls.append((total_files, total_bytes))

        def advance(self, files: int = 1, bytes: int = 0) -> None:
            self.calls.append((files, bytes))

        def finish(self) -> None:
            self.calls.append("finish")

    told = Delivery()
    report = local.sync(folder, progress=told)
    assert told.calls[0] == (10, report.fetched_bytes)
    assert sum(call[1] for call in told.calls[1:-1]) == report.fetched_bytes
    assert told.calls[-1] == "finish"


def test_a_local_copy_without_its_archive(local: Local, folder: FolderArchive, files: Any, keys: list[str]) -> None:
    local.sync(folder)
    shutil.rmtree(files.root)
    with pytest.raises(UnknownSymbol):
        local.sync(folder)
    assert len(good_files(local.raw, METRICS, "BTCUSDT", since=SINCE)) == 10
