"""The dated file of contracts that ended, to the instant; and of which contract each row is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from liq_pipeline.exchange.settlements import (
    Settlement,
    contracts_of_bars,
    contracts_of_snapshots,
    find_settlements,
    is_between_contracts,
    listed_settlements,
)
from liq_pipeline_tests.exchange.flat_days import START, at, flat
from liq_pipeline_tests.exchange.reused_ticker import Feeds

SYMBOL = "ANYUSDT"


def instant(hours: float) -> datetime:
    begin: datetime = START.item()
    return begin.replace(tzinfo=UTC) + timedelta(hours=hours)


def listed(settled: float, resumed: float) -> Settlement:
    return Settlement(instant(settled), instant(resumed), True, "settlement (a source)")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch):
    """Put these into the dated file."""

    def put(*settlements: Settlement) -> None:
        monkeypatch.setitem(listed_settlements(), SYMBOL, settlements)

    return put


def found(feeds: Feeds) -> list[Settlement]:
    return find_settlements(SYMBOL, feeds.open_interest, feeds.klines)


def on(day: int, second: int = 0) -> datetime:
    return datetime(2025, 1, day, 0, 0, second, tzinfo=UTC)


class TestARow:
    def read(self, tmp_path: Path, *rows: str) -> dict[str, tuple[Settlement, ...]]:
        file = tmp_path / "listed.csv"
        file.write_text("\n".join(["symbol,settled_at,resumed_at,kind,source", *rows]))
        return listed_settlements(file)

    def test_is_kept_by_symbol_with_kind_and_source(self, tmp_path: Path) -> None:
        assert self.read(
            tmp_path,
            "AUSDT,2025-01-01T00:00:00Z,2025-01-02T00:00:00Z,settlement,one",
            "BUSDT,2025-01-01T00:00:00Z,2025-01-03T00:00:00Z,redenomination,two",
            "AUSDT,2025-01-02T00:00:01Z,2025-01-02T00:00:02Z,redenomination,three",
        ) == {
            "AUSDT": (
                Settlement(on(1), on(2), True, "settlement (one)"),
                Settlement(on(2, 1), on(2, 2), True, "redenomination (three)"),
            ),
            "BUSDT": (Settlement(on(1), on(3), True, "redenomination (two)"),),
        }

    @pytest.mark.parametrize(
        ("settled", "resumed"),
        [
            pytest.param("01T00:00:00", "02T00:00:00", id="before what is listed before it"),
            pytest.param("10T00:00:00", "11T00:00:00", id="between two that are listed"),
            pytest.param("20T00:00:00", "21T00:00:00", id="at the instant at which the one before resumed"),
            pytest.param("25T00:00:00", "25T00:00:00", id="at the instant at which it resumes"),
            pytest.param("25T00:00:00", "24T00:00:00", id="after it resumes"),
        ],
    )
    def test_that_is_not_in_order_is_refused(self, tmp_path: Path, settled: str, resumed: str) -> None:
        first = "AUSDT,2025-01-05T00:00:00Z,2025-01-06T00:00:00Z,settlement,s"
        second = "AUSDT,2025-01-15T00:00:00Z,2025-01-20T00:00:00Z,settlement,s"
        with pytest.raises(ValueError, match="settled before it resumed, and after what is listed before it"):
            self.read(tmp_path, first, second, f"AUSDT,2025-01-{settled}Z,2025-01-{resumed}Z,settlement,s")


def test_a_day_lies_between_two_contracts_if_it_does_wholly(known) -> None:
    known(listed(24, 72), listed(96.5, 168))
    days = [day for day in range(1, 12) if is_between_contracts(SYMBOL, date(2026, 3, day))]
    assert days == [2, 3, 6, 7]


class TestWithinTheRows:
    @pytest.mark.parametrize(
        ("settled", "resumed", "expected"),
        [(0, 20, False), (0.25, 20, True), (30, 47.75, True), (30, 48, False), (30, 60, False), (-5, 20, False)],
    )
    def test_lies_what_settles_after_the_first_bar_opened_and_resumes_before_the_last_row(
        self, known, settled: float, resumed: float, expected: bool
    ) -> None:
        known(listed(settled, resumed))
        assert found(flat(2)) == ([listed(settled, resumed)] if expected else [])

    @pytest.mark.parametrize("shorter", ["open_interest", "klines"])
    def test_the_last_row_is_that_of_the_longer_feed(self, known, shorter: str) -> None:
        known(listed(30, 40))
        whole, cut = flat(2), flat(2).until(at(36))
        assert found(Feeds(**{**vars(whole), shorter: getattr(cut, shorter)})) == [listed(30, 40)]
        assert found(cut) == []

    @pytest.mark.parametrize("empty", ["open_interest", "klines"])
    def test_lies_nothing_where_a_feed_is_empty(self, known, empty: str) -> None:
        known(listed(30, 40))
        whole = flat(2)
        assert found(Feeds(**{**vars(whole), empty: getattr(whole, empty).slice(0, 0)})) == []

    @pytest.mark.parametrize(
        ("hours", "is_another"), [(29.75, True), (30, False), (33, False), (40, False), (40.25, True)]
    )
    def test_what_is_suspected_at_the_same_time_is_the_same(self, known, hours: float, is_another: bool) -> None:
        known(listed(5, 6), listed(30, 40))
        seen = found(flat().scaled(at(hours), 10, 0.1))
        told = [(one.settled_at, one.is_listed) for one in seen]
        expected = [(instant(5), True), (instant(30), True)]
        assert told == sorted(expected + [(instant(hours), False)] * is_another)
        assert seen[0].found == "settlement (a source)"


def test_a_contract_begins_with_the_bar_that_opens_as_it_resumes_and_the_snapshots_after_the_pause() -> None:
    """Without a pause, the snapshot at the seam closes the old contract's last bar."""
    feeds = flat(0.125, minutes=15)
    seams = [listed(0.5, 1), listed(1.5, 1.5), listed(1.75, 2.25)]
    assert contracts_of_bars(seams, feeds.klines).tolist() == [1, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4]
    assert contracts_of_snapshots(seams, feeds.open_interest).tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4]
    assert contracts_of_bars([], feeds.klines).tolist() == [1] * 12
