"""Where the lines are drawn between a change of the contract and a market that moved: on days without any noise."""

from __future__ import annotations

from math import exp

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline_tests.exchange.flat_days import at, bars_with, changed, flat, paused, when
from liq_pipeline_tests.exchange.reused_ticker import Feeds


def is_found(feeds: Feeds) -> bool:
    return bool(when(feeds))


class TestBothFeedsSilent:
    # Four days allow log(1.8) + 0.1·√4 of the price, log(3) + 0.2·√4 of the contracts.
    @pytest.mark.parametrize("upwards", [True, False], ids=["up", "down"])
    @pytest.mark.parametrize(
        ("hours", "factor", "contracts", "expected"),
        [
            (96, 1.8 * exp(0.2) * 0.998, 1, False), (96, 1.8 * exp(0.2) * 1.002, 1, True),
            (1, 1.8 * exp(0.1 / 24**0.5) * 0.998, 1, False), (1, 1.8 * exp(0.1 / 24**0.5) * 1.002, 1, True),
            (96, 1, 3 * exp(0.4) * 0.998, False), (96, 1, 3 * exp(0.4) * 1.002, True),
            (1, 1, 3 * exp(0.2 / 24**0.5) * 0.998, False), (1, 1, 3 * exp(0.2 / 24**0.5) * 1.002, True),
            (96, 1.82, 1 / 1.82, True), (96, 1.78, 1 / 1.78, False),
            (96, 2, exp(0.19) / 2, True), (96, 2, exp(0.21) / 2, False),
            (96, 2, exp(-0.19) / 2, True), (96, 2, exp(-0.21) / 2, False),
        ],
    )  # fmt: skip
    def test_a_new_scale_is_one_beyond_what_so_long_a_pause_allows(
        self, hours: float, factor: float, contracts: float, expected: bool, upwards: bool
    ) -> None:
        scale = (factor, contracts) if upwards else (1 / factor, 1 / contracts)
        assert when(paused(hours, *scale)) == ([(80, 80 + hours)] if expected else [])

    @pytest.mark.parametrize(("hours", "expected"), [(0.75, False), (1, True)])
    def test_a_silence_lasts_an_hour(self, hours: float, expected: bool) -> None:
        assert is_found(paused(hours, 1, 4)) is expected

    @pytest.mark.parametrize(("values", "expected"), [(1, True), (2, True), (3, False)])
    @pytest.mark.parametrize("edge", [0, 8])
    def test_an_open_interest_that_repeats_itself_is_silent(self, values: int, edge: int, expected: bool) -> None:
        """Three values that differ say that somebody trades. The snapshots at either end are of the contracts."""
        feeds = paused(8, 1, 5)
        ts = feeds.open_interest["ts"].to_numpy()
        inside = [np.datetime64(at(80 + hour), "us") for hour in (1, 2, 3)] + [np.datetime64(at(80 + edge), "us")]
        kept = feeds.open_interest.filter(pa.array(~np.isin(ts, inside)))
        contracts = [1001.0 + min(row, values - 1) for row in range(3)] + [5000.0 if edge else 1000.0]
        more = pa.table(
            {"ts": np.array(inside), "open_interest": contracts, "open_interest_value_usd": np.multiply(contracts, 100)}
        )
        table = pa.concat_tables([kept, more]).sort_by("ts")
        assert is_found(Feeds(table, feeds.klines)) is expected

    def test_the_words(self) -> None:
        (one,) = changed(paused(30.25, 0.02, 40))
        assert one.found == "both feeds silent for 30.2 h, then price × 0.02, open interest × 40"

    def test_a_new_price_that_open_interest_is_not_valued_at_yet_counts(self) -> None:
        still = flat().silent(at(80), 8)
        (one,) = changed(Feeds(still.open_interest, still.scaled(at(88), 10).klines))
        assert one.found == "both feeds silent for 8.0 h, then price × 10"


class TestNoPause:
    @pytest.mark.parametrize(
        ("price", "contracts", "expected"),
        [
            (1.22, 1 / 1.22, True), (1.18, 1 / 1.18, False), (1 / 1.22, 1.22, True),
            (1.3, exp(0.12) / 1.3, True), (1.3, exp(0.14) / 1.3, False),  # half of log(1.3) is 0.131
            (4, exp(0.19) / 4, True), (1.7, exp(0.21) / 1.7, False),
            (1.82, 1, True), (1.78, 1, False), (1 / 1.82, 1, True),
        ],
    )  # fmt: skip
    def test_a_leap_counts_where_open_interest_changes_inversely_or_no_market_leaps_so_far(
        self, price: float, contracts: float, expected: bool
    ) -> None:
        assert when(flat().scaled(at(80), price, contracts)) == ([(80, 80)] if expected else [])

    @pytest.mark.parametrize(("price", "expected"), [(1.11, True), (1.08, False)])
    def test_of_a_leap_at_least_half_must_last(self, price: float, expected: bool) -> None:
        feeds = bars_with(flat().scaled(at(80), price, 1 / price), 80, open=130, high=130)
        assert is_found(feeds) is expected

    def test_the_words(self) -> None:
        (one,) = changed(flat().scaled(at(80), 7, 1 / 8))
        assert one.found == "price × 7 from one bar to the next, open interest × 0.125"

    def test_without_later_snapshots_nothing_confirms_it(self) -> None:
        scaled = flat().scaled(at(80), 10, 0.1)
        assert not is_found(Feeds(scaled.until(at(80)).open_interest, scaled.klines))

    @pytest.mark.parametrize(("factor", "expected"), [(1.48, True), (1.52, False), (1 / 1.48, True), (1 / 1.52, False)])
    def test_the_first_six_later_snapshots_must_be_valued_at_the_new_price(self, factor, expected: bool) -> None:
        """Up to half as much again; of six, the median: the seventh and later ones are not asked."""
        scaled = flat().scaled(at(80), 10, 0.1)
        ts, value = (scaled.open_interest[name].to_numpy() for name in ("ts", "open_interest_value_usd"))
        early = (ts > np.datetime64(at(80))) & (ts <= np.datetime64(at(80.5)))
        later = (ts > np.datetime64(at(80.5))) & (ts <= np.datetime64(at(81)))
        changed_value = np.where(early, value * factor, np.where(later, value * 1.9, value))
        open_interest = scaled.open_interest.set_column(2, "open_interest_value_usd", pa.array(changed_value))
        assert is_found(Feeds(open_interest, scaled.klines)) is expected


class TestBarsAbsentAndOpenInterestNot:
    @pytest.mark.parametrize(
        ("price", "contracts", "expected"),
        [
            (1.82, 1 / 1.82, True), (1.78, 1 / 1.78, False), (1 / 1.82, 1.82, True),
            (2, 3 * exp(0.2 * (8 / 24) ** 0.5) * 0.99, False), (2, 3 * exp(0.2 * (8 / 24) ** 0.5) * 1.01, True),
            (1, 4, False), (8, 1, False),
        ],
    )  # fmt: skip
    def test_a_new_price_counts_with_inverse_or_new_contracts(self, price, contracts, expected: bool) -> None:
        # The three last values before 88 h differ: open interest goes on.
        scaled = flat().scaled(at(88), price, contracts).silent(at(80), 8)
        ts = np.array([at(hour) for hour in (81, 82, 83)], dtype="datetime64[us]")
        more = pa.table({"ts": ts, "open_interest": [1001.0, 1002, 1003], "open_interest_value_usd": [1e5] * 3})
        feeds = Feeds(pa.concat_tables([scaled.open_interest, more]).sort_by("ts"), scaled.klines)
        found = changed(feeds)
        assert len(found) == expected
        for one in found:
            assert one.found.startswith(f"no bar for 8.0 h, then price × {price:.4g}, open interest × ")


class TestWithinOneBar:
    @pytest.mark.parametrize(("factor", "expected"), [(5.1, True), (4.9, False), (1 / 5.1, True), (1 / 4.9, False)])
    def test_a_new_scale_is_a_fifth_or_five_times_with_inverse_contracts(self, factor: float, expected: bool) -> None:
        scaled = bars_with(flat().scaled(at(80), factor, 1 / factor), 80, open=100, low=100 * min(factor, 1))
        found = changed(scaled)
        assert len(found) == expected
        if expected:
            assert found[0].found == f"price × {factor:.4g} within one bar, open interest × {1 / factor:.4g}"
            assert when(scaled) == [(80, 80.25)]

    def test_needs_inverse_contracts(self) -> None:
        assert not is_found(bars_with(flat().scaled(at(80), 6, 1), 80, open=100, low=100))

    @pytest.mark.parametrize("opened_at", [0, 24 * 9 - 0.25], ids=["first", "last"])
    def test_a_bar_at_either_end_has_none_on_the_other_side(self, opened_at: float) -> None:
        feeds = flat().scaled(at(80), 10, 0.1)
        odd = {"open": 900} if opened_at == 0 else {"close": 9000}
        assert when(bars_with(feeds, opened_at, high=9000, **odd)) == [(80, 80)]


class TestWhatIsTakenBack:
    @pytest.mark.parametrize(("hours", "count"), [(70, 0), (73, 2)])
    @pytest.mark.parametrize("pause", [0, 0.5])
    def test_a_scale_that_does_not_last_three_days_is_none_nor_is_the_way_back(self, hours, pause, count) -> None:
        feeds = flat().scaled(at(60), 10, 0.1).scaled(at(60 + hours), 0.1, 10)
        assert len(when(feeds.silent(at(60 - pause), pause))) == count

    def test_across_silences_contracts_may_follow_each_other_fast(self) -> None:
        feeds = flat().silent(at(80), 8).scaled(at(88), 10, 1).silent(at(95), 5).scaled(at(100), 0.01, 1)
        feeds = feeds.silent(at(110), 2).scaled(at(112), 100, 1)
        assert when(feeds) == [(80, 88), (95, 100), (110, 112)]

    def test_a_silence_after_which_prices_come_back_within_hours_and_without_another_is_none(self) -> None:
        feeds = flat().silent(at(80), 8).scaled(at(88), 10, 0.1).scaled(at(95), 0.1, 10)
        assert when(feeds) == []

    @pytest.mark.parametrize(("hours", "count"), [(71, 1), (73, 1)])
    def test_so_are_contracts_alone_judged_by_open_interest(self, hours: float, count: int) -> None:
        feeds = flat().silent(at(60), 8).scaled(at(68), 1, 10).silent(at(68 + hours), 8)
        assert when(feeds) == [(60, 68)][:count]
        assert is_found(feeds.scaled(at(68 + 2), 1, 0.1)) is False
