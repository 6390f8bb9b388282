"""The local copy is the archive's: everything once, damage heals, an outage loses nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from urllib3.util import Retry
from werkzeug import Response

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, UnknownSymbol
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS, klines
from liq_pipeline.exchange.manifest import good_files
from liq_pipeline.exchange.report import SyncReport
from liq_pipeline.exchange.sync import sync
from liq_pipeline_tests.exchange.sync.local import DAYS, SINCE, Local


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
