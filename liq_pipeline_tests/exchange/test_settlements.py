"""One ticker, several contracts: each change is found where it is, ordinary pauses are none. On real days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liq_pipeline.exchange.settlements import (
    contracts_of_bars,
    contracts_of_snapshots,
    find_settlements,
    listed_settlements,
)
from liq_pipeline_tests.exchange.reused_ticker import SYMBOL, Feeds, real_days

AT = "2026-03-15T09:00"


@pytest.fixture(scope="module")
def real(shared_archive: Path) -> Feeds:
    return real_days(shared_archive)


def found(feeds: Feeds, symbol: str = SYMBOL) -> list[tuple[str, str]]:
    """Return when contracts ended and began, to the minute."""
    return [
        (f"{one.settled_at:%m-%d %H:%M}", f"{one.resumed_at:%m-%d %H:%M}")
        for one in find_settlements(symbol, feeds.open_interest, feeds.klines)
    ]


@pytest.mark.shared
class TestSuspectedFromTheRows:
    @pytest.mark.parametrize(
        ("hours", "price", "contracts"),
        [(32.5, 0.01, 100), (32.5, 0.5, 0.01), (32.5, 0.01, 1), (10, 1, 50), (3, 0.1, 10), (300, 0.01, 100)],
    )
    def test_silence_and_a_new_scale_of_price_or_open_interest(self, real, hours, price, contracts) -> None:
        paused = real.silent(AT, hours).scaled(_later(AT, hours), price, contracts)

        assert found(paused) == [("03-15 09:00", f"{datetime.fromisoformat(_later(AT, hours)):%m-%d %H:%M}")]

    def test_the_text_names_the_silence_and_both_ratios(self, real) -> None:
        feeds = real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.01, 100)
        (one,) = find_settlements(SYMBOL, feeds.open_interest, feeds.klines)

        assert one.found == "both feeds silent for 32.5 h, then price × 0.01035, open interest × 108.3"
        assert not one.is_listed

    @pytest.mark.parametrize("price", [1000, 0.1, 0.5, 2])
    def test_a_redenomination_without_a_pause(self, real, price) -> None:
        assert found(real.scaled("2026-03-25T06:00", price, 1 / price)) == [("03-25 06:00", "03-25 06:00")]

    @pytest.mark.parametrize("hours", [6.5, 24, 100])
    def test_open_interest_of_zero_for_long(self, real, hours) -> None:
        (one,) = found(real.zero("2026-03-20T00:00", hours))

        assert one[0] == "03-20 00:00"

    def test_two_in_one_history(self, real) -> None:
        feeds = real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.1, 10)
        feeds = feeds.silent("2026-04-01T00:00", 12).scaled("2026-04-01T12:00", 10, 0.1)

        assert [begin for begin, _ in found(feeds)] == ["03-15 09:00", "04-01 00:00"]

    def test_in_the_last_hours_with_one_bar_of_the_new_contract(self, real) -> None:
        feeds = real.silent("2026-04-11T00:00", 8).scaled("2026-04-11T08:00", 0.01, 100).until("2026-04-11T08:15")

        assert found(feeds) == [("04-11 00:00", "04-11 08:00")]


@pytest.mark.shared
class TestNotSuspected:
    def test_real_days(self, real) -> None:
        assert found(real) == []

    @pytest.mark.parametrize("hours", [2, 32.5, 300])
    def test_a_pause_with_the_same_scale_afterwards(self, real, hours) -> None:
        assert found(real.silent(AT, hours)) == []

    @pytest.mark.parametrize(("price", "contracts"), [(1.3, 1), (0.75, 0.8), (1, 1.8)])
    def test_a_pause_over_which_the_market_moved(self, real, price, contracts) -> None:
        assert found(real.silent(AT, 40).scaled(_later(AT, 40), price, contracts)) == []

    def test_open_interest_alone_is_silent_while_bars_go_on(self, real) -> None:
        paused = Feeds(real.silent(AT, 32.5).scaled(_later(AT, 32.5), 1, 1.5).open_interest, real.klines)

        assert found(paused) == []

    @pytest.mark.parametrize("hours", [0.25, 2])
    def test_zeros_for_a_short_while(self, real, hours) -> None:
        assert found(real.zero("2026-03-20T00:00", hours)) == []

    def test_a_leap_that_comes_back(self, real) -> None:
        there = real.scaled("2026-03-25T06:00", 10, 0.1).scaled("2026-03-25T18:00", 0.1, 10)

        assert found(there) == []

    def test_prices_that_leap_while_open_interest_is_valued_as_before(self, real) -> None:
        assert found(Feeds(real.open_interest, real.scaled("2026-04-10T06:00", 10).klines)) == []

    def test_one_feed_is_empty(self, real) -> None:
        assert found(Feeds(real.open_interest.slice(0, 0), real.klines)) == []
        assert found(Feeds(real.open_interest, real.klines.slice(0, 0))) == []


@pytest.mark.shared
def test_a_snapshot_at_the_seam_belongs_to_the_old_contract_only_without_a_pause(real) -> None:
    feeds = real.scaled("2026-03-25T06:00", 10, 0.1)
    settlements = find_settlements(SYMBOL, feeds.open_interest, feeds.klines)
    of_snapshots = contracts_of_snapshots(settlements, feeds.open_interest)
    snapshots = dict(zip(feeds.open_interest["ts"].to_pylist(), of_snapshots, strict=True))
    bars = dict(zip(feeds.klines["ts"].to_pylist(), contracts_of_bars(settlements, feeds.klines), strict=True))
    seam = datetime(2026, 3, 25, 6, tzinfo=UTC)

    assert (snapshots[seam], snapshots[seam.replace(minute=5)]) == (1, 2)
    assert (bars[seam], bars[seam.replace(minute=15)]) == (1, 2)


class TestTheDatedFile:
    def test_every_row_has_a_source_and_is_in_order(self) -> None:
        assert listed_settlements()["LITUSDT"][0].settled_at == datetime(2025, 1, 31, 9, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("row", "wrong"),
        [
            ("XUSDT,2025-02-01T00:00:00Z,2025-01-01T00:00:00Z,settlement,s", "before it resumed"),
            ("XUSDT,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,settlement,", "with its source"),
            ("XUSDT,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,merger,s", "expected a settlement or redenomination"),
        ],
    )
    def test_a_bad_row_is_refused(self, row: str, wrong: str, tmp_path: Path) -> None:
        file = tmp_path / "settlements.csv"
        file.write_text(f"symbol,settled_at,resumed_at,kind,source\n{row}\n")

        with pytest.raises(ValueError, match=wrong):
            listed_settlements(file)

    @pytest.mark.shared
    def test_what_is_listed_ends_a_contract_whatever_its_scale(self, real, monkeypatch) -> None:
        listed = listed_settlements()
        known = listed["LITUSDT"][0]
        moved = type(known)(
            datetime(2026, 3, 15, 9, tzinfo=UTC), datetime(2026, 3, 16, 17, 30, tzinfo=UTC), True, known.found
        )
        monkeypatch.setitem(listed, "LITUSDT", (moved,))

        assert found(real.silent(AT, 32.5), "LITUSDT") == [("03-15 09:00", "03-16 17:30")]
        assert found(real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.01, 100), "LITUSDT") == [
            ("03-15 09:00", "03-16 17:30")
        ]


def _later(instant: str, hours: float) -> str:
    return f"{datetime.fromisoformat(instant) + timedelta(hours=hours):%Y-%m-%dT%H:%M}"
