"""Files that are not what their sidecars promise, and archives without sidecars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from werkzeug import Response

from liq_pipeline.errors import ChecksumsMissing
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.manifest import good_files, load_manifest, unverified_files
from liq_pipeline_tests.exchange.sync.local import DAYS, SINCE, WRONG, Local


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


@pytest.mark.parametrize("stale", ["", ".CHECKSUM"], ids=["zip", "sidecar"])
def test_what_a_cache_kept_too_long_is_asked_for_again_around_caches(
    local: Local, server: Any, keys: list[str], stale: str
) -> None:
    old = f"{WRONG}  {Path(keys[4]).name}\n" if stale else "what the zip was before"
    server.faults[keys[4] + stale] = [Response(old)]
    report = local.sync(server.archive())
    assert (report.fetched, report.problems) == (10, [])
    both = [f"{keys[4]}.CHECKSUM", keys[4]]
    assert [key for key in server.asked if key in both] == 2 * both
    assert server.asked_around_caches == both, "and nothing else: caches spare the exchange"


@pytest.mark.parametrize("body", ["", "<html>Access denied</html>"])
def test_a_sidecar_that_is_no_checksum_is_not_a_missing_file(
    local: Local, server: Any, keys: list[str], body: str
) -> None:
    server.faults[keys[0] + ".CHECKSUM"] = [Response(body)] * 4
    report = local.sync(server.archive())
    assert [(problem.key, problem.status) for problem in report.problems] == [(keys[0], "mismatch")]
    assert "64 hex digits" in report.problems[0].message


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
