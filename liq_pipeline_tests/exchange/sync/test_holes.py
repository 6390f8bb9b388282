"""Days that are absent: which are lost, which are not yet there, and which never were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from werkzeug import Response

from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.settlements import Settlement, listed_settlements
from liq_pipeline_tests.exchange.sync.local import DAYS, Local


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
