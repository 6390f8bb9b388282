"""The newest hours of one symbol: what is asked of REST, what is kept of it, and what the archive says of it later.

REST answers from tables here; over sockets it is tested in `rest` and with the whole pipeline.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from liq_pipeline.errors import FormatError, RestForbidden, RestUnreachable
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.manifest import Entry
from liq_pipeline.exchange.tail import Replacement, TailReport, read_tail, refusal, unarchived
from liq_pipeline_tests.exchange.conftest import KLINES_HEADER, Files
from liq_pipeline_tests.exchange.tails import (
    KLINES,
    MIDNIGHT,
    MINUTE,
    NOW,
    SYMBOL,
    Answers,
    archived,
    at,
    bars,
    entry,
    kept,
    snapshots,
    update,
    write_tail,
)


def test_what_a_good_file_covers_is_archived_up_to_its_last_row_or_its_whole_day(tmp_path: Path) -> None:
    archived(
        tmp_path,
        no_last=entry(date(2026, 6, 21), "ok", sha256="b"),
        kept=entry(date(2026, 6, 22), "bad", sha256="c", kept_sha256="d"),
        lost=entry(date(2026, 6, 23), "bad", sha256="e"),
        short=entry(date(2026, 6, 25), "ok", sha256="f", last_ts=at(6000)),
        junk=Entry("junk", "", "ok", NOW, sha256="g", last_ts=at(99_999)),
    )
    rows = bars(-1455, -1440, -1425, 0, 15, 1440, 1455, 2880, 2895, 4320, 4335, 5775, 6000, 6015, 7200)
    left = unarchived(tmp_path, KLINES, SYMBOL, rows)
    minutes = [(ts - MIDNIGHT) / MINUTE for ts in left["ts"].to_pylist()]
    assert minutes == [-1455, -1440, 2895, 4320, 4335, 6015, 7200]


class TestWhatIsAsked:
    def test_is_what_lies_behind_the_archive_and_the_rows_that_are_here(self, tmp_path: Path) -> None:
        archived(tmp_path)
        first = Answers(bars(-15, 0, 15, 30, 375))
        assert update(first, tmp_path) == TailReport(
            SYMBOL, KLINES, rows=2, fetched=2, newest=at(30), asked=True, notes={"noted": 3}
        )
        assert first.asked == [("klines", SYMBOL, "15m", MIDNIGHT, NOW, NOW)]
        assert kept(tmp_path) == [15, 30]
        again = Answers(bars(15, 30, 45))
        report = update(again, tmp_path)
        assert again.asked == [("klines", SYMBOL, "15m", at(30), NOW, NOW)]
        assert (report.rows, report.fetched, report.newest, kept(tmp_path)) == (3, 1, at(45), [15, 30, 45])

    @pytest.mark.parametrize(("clock", "expected"), [(at(344), []), (at(345), [345]), (at(380), [345, 360])])
    def test_ends_now_by_both_clocks(self, tmp_path: Path, clock: datetime, expected: list[float]) -> None:
        archived(tmp_path)
        update(Answers(bars(345, 360, 375), server_now=clock), tmp_path)
        assert kept(tmp_path) == expected

    def test_is_nothing_while_rest_is_off(self, tmp_path: Path) -> None:
        archived(tmp_path)
        update(Answers(bars(15)), tmp_path)
        assert update(None, tmp_path) == TailReport(
            SYMBOL, KLINES, rows=1, newest=at(15), problem="REST is off (LIQ_REST)"
        )

    def test_is_nothing_while_the_archive_has_nothing(self, tmp_path: Path) -> None:
        client = Answers(bars(15))
        assert update(client, tmp_path) == TailReport(
            SYMBOL, KLINES, problem="the archive has nothing yet to go on from"
        )
        assert client.asked == []

    @pytest.mark.parametrize(("days", "asked"), [(28, True), (28.001, False)])
    def test_is_nothing_that_rest_does_not_go_back_to(self, tmp_path: Path, days: float, asked: bool) -> None:
        archived(tmp_path)
        report = update(Answers(bars(15)), tmp_path, now=MIDNIGHT + timedelta(days=days))
        assert report.asked is asked
        assert (
            report.problem == ""
            if asked
            else (
                "the archive's files end at 2026-06-21 00:00 UTC; REST goes back 28 days only, and a hole between them "
                "would be guesswork"
            )
        )

    @pytest.mark.parametrize(
        ("minutes", "status", "problem"),
        [
            (45, "TRADING", ""), (46, "SETTLING", "REST has nothing of XUSDT since 2026-06-21 00:00 UTC; its status: "
             "SETTLING"), (46, None, "REST has nothing of XUSDT since 2026-06-21 00:00 UTC; its status: not listed "
             "any more"),
        ],
    )  # fmt: skip
    def test_after_a_silence_is_what_became_of_the_symbol(self, tmp_path, minutes: float, status, problem: str) -> None:
        archived(tmp_path)
        assert update(Answers(bars(), status=status), tmp_path, now=at(minutes)).problem == problem


class TestARefusal:
    SAID = "refused at 06:00 UTC, asked again at 07:00: "

    def test_is_remembered_for_an_hour_where_rest_was_asked(self, tmp_path: Path) -> None:
        archived(tmp_path)
        refused = RestForbidden("not from here", expected="an answer", remedy="none")
        report = update(Answers(error=refused), tmp_path)
        assert (report.problem, report.asked, report.rows, report.newest) == (str(refused), True, 0, None)
        client = Answers(bars(15))
        assert update(client, tmp_path, patient=True).problem == self.SAID + str(refused)
        assert client.asked == []
        assert update(client, tmp_path).rows == 1
        assert refusal(tmp_path, NOW) == ""

    def test_is_no_outage(self, tmp_path: Path) -> None:
        archived(tmp_path)
        update(Answers(error=RestUnreachable("down", expected="an answer", remedy="none")), tmp_path)
        assert refusal(tmp_path, NOW) == ""

    @pytest.mark.parametrize(
        ("after", "is_said"),
        [(timedelta(), True), (timedelta(seconds=3599), True), (timedelta(hours=1), False), (-MINUTE, False)],
    )
    def test_holds_within_the_hour(self, tmp_path: Path, after: timedelta, is_said: bool) -> None:
        archived(tmp_path)
        refused = RestForbidden("not from here", expected="an answer", remedy="none")
        update(Answers(error=refused), tmp_path)
        assert refusal(tmp_path, NOW + after) == (self.SAID + str(refused)) * is_said


class TestTheArchiveCatchesUp:
    def write(self, files: Files, **values: list[float]) -> None:
        """The day's bars at 00:15, 00:30 … of the archive."""
        day = date(2026, 6, 21)
        key = KLINES.key(SYMBOL, day)
        lines = [KLINES_HEADER]
        for n in range(len(values["close"])):
            begin = round(at(15 * n).timestamp() * 1000)
            lines.append(
                f"{begin},100,{values['high'][n]},99,{values['close'][n]},10.5,{begin + 899999},1050,7,5,500,0"
            )
        files.zip(key, lines)
        archived(files.root, next=Entry(key, "", "ok", NOW, sha256="b", last_ts=at(60)))

    def test_and_its_rows_count_then_after_they_were_compared(self, files: Files) -> None:
        archived(files.root)
        update(Answers(bars(15, 30, 45, 60, 75)), files.root)
        self.write(files, high=[102, 102.00004, 103], close=[101, 101.00006, 101])
        report = update(Answers(bars(75, 90)), files.root)
        assert report.replaced == Replacement(3, 1, 2, pytest.approx(100 / 103))
        assert (report.rows, report.fetched, kept(files.root)) == (2, 1, [75, 90])

    def test_what_differs_by_rests_rounding_is_the_same(self, files: Files) -> None:
        archived(files.root)
        update(Answers(bars(15, 30)), files.root)
        self.write(files, high=[102, 102], close=[101.00004, 100.99996])
        replaced = update(None, files.root).replaced
        assert (replaced.compared, replaced.missing, replaced.differing) == (2, 0, 0)
        assert replaced.largest_difference_pct == pytest.approx(4e-3 / 100.99996)
        assert kept(files.root) == []

    def test_large_numbers_are_rounded_by_a_billionth(self, files: Files) -> None:
        day = date(2026, 6, 20)
        files.put(day, [f"2026-06-20 {hour:02d}:00:00,{SYMBOL},{value},1,1,1,1,1" for hour, value in
                        ((1, 1e6 + 9e-4), (2, 1e6 + 1.1e-3), (3, 1e6), (4, 0), (5, 0))], METRICS, SYMBOL)  # fmt: skip
        rows = [snapshots(60 * hour - 1440, contracts=1e6) for hour in (1, 2, 3, 4)]
        stored = pa.concat_tables([*rows, _blank(snapshots(300 - 1440))])
        write_tail(files.root, METRICS, stored)
        archived(files.root, METRICS)
        replaced = update(None, files.root, METRICS).replaced
        # The second is too far off, the fourth has a value on one side only, the fifth on neither.
        assert replaced == Replacement(5, 0, 2, pytest.approx(100 * 1.1e-3 / 1e6))


def _blank(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "open_interest", pa.array([None], pa.float64()))


def test_a_stored_row_without_a_stamp_is_refused(tmp_path: Path) -> None:
    rows = bars(15)
    write_tail(tmp_path, KLINES, rows.set_column(1, rows.schema.field(1), pa.nulls(1, rows.schema.field(1).type)))
    with pytest.raises(FormatError, match="delete it: it is fetched again"):
        read_tail(tmp_path, KLINES, SYMBOL)
