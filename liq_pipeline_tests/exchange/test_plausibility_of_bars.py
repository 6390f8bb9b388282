"""Prices and volumes that contradict each other: each kind is found where it is planted, and nothing else is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange import plausibility as why
from liq_pipeline.exchange.judged import judge
from liq_pipeline_tests.exchange.feeds import PRICES, Feeds, times

pytestmark = pytest.mark.shared


class TestPrices:
    @pytest.mark.parametrize("factor", [10, 0.1, 2, 0.5, 1.3])
    @pytest.mark.parametrize("count", [1, 2, 12])
    @pytest.mark.parametrize("where", ["first", "middle", "last"])
    @pytest.mark.parametrize("columns", [PRICES, (*PRICES, "quote_volume")], ids=["prices", "and-quote"])
    def test_of_bars_that_leap_away_and_back_become_null(self, feeds, factor, count, where, columns) -> None:
        bars = feeds.klines.num_rows
        begin = {"first": 0, "middle": bars // 2, "last": bars - count}[where]
        rows = np.arange(begin, begin + count)
        planted = feeds.plant("klines", rows, **dict.fromkeys(columns, times(factor)))
        assert list(planted.found("klines")) == rows.tolist()
        assert planted.found("open_interest") == {}
        judged = judge(planted.open_interest, planted.klines).klines
        assert [judged[name].null_count for name in PRICES] == 4 * [count]

    @pytest.mark.parametrize(
        "changes",
        [
            {"low": 0.01}, {"low": 0.5}, {"high": 10}, {"high": 1.5},
            {"high": 10, "close": 10}, {"low": 0.1, "open": 0.1},
        ],
        ids=str,
    )  # fmt: skip
    def test_of_a_wick_that_nobody_traded_become_null(self, feeds: Feeds, changes: dict[str, float]) -> None:
        row = feeds.klines.num_rows // 2
        planted = feeds.plant("klines", [row], **{name: times(factor) for name, factor in changes.items()})
        assert planted.found("klines") == {row: why.UNTRADED_RANGE}

    @pytest.mark.parametrize(
        "changes",
        [
            {"low": 0}, {"low": -1}, dict.fromkeys(PRICES, 0), {"high": np.inf}, {"open": np.nan},
            {"close": times(1.1)}, {"open": times(0.9)},
        ],
        ids=str,
    )  # fmt: skip
    def test_that_no_bar_can_have_become_null(self, feeds: Feeds, changes) -> None:
        row = feeds.klines.num_rows // 2
        planted = feeds.plant("klines", [row], **changes)
        assert planted.found("klines") == {row: why.NOT_A_BAR}
        judged = judge(planted.open_interest, planted.klines).klines
        assert [np.flatnonzero(judged[name].is_null()).tolist() for name in PRICES] == [[row]] * 4

    @pytest.mark.parametrize(("factor", "is_blamed"), [(1 / 7, False), (1 / 9, True)])
    def test_of_a_fall_to_an_eighth_within_one_bar_become_null_however_much_was_traded(
        self, feeds: Feeds, factor: float, is_blamed: bool
    ) -> None:
        row = feeds.klines.num_rows // 2
        more = times(30)
        fallen = feeds.plant("klines", [row], low=times(factor), volume=more, quote_volume=more)
        assert fallen.found("klines") == ({row: why.UNTRADED_RANGE} if is_blamed else {})

    @pytest.mark.parametrize(
        ("reach", "volume", "is_blamed"),
        [(1.249, 0.5, False), (1.251, 0.5, True), (1.251, 4.9, True), (1.251, 5.1, False)],
    )
    def test_of_a_range_of_more_than_a_quarter_need_five_times_the_usual_volume(
        self, feeds: Feeds, reach: float, volume: float, is_blamed: bool
    ) -> None:
        row, ts = feeds.klines.num_rows // 2, feeds.klines["ts"].to_numpy().astype("datetime64[D]")
        usual = np.median(feeds.klines["volume"].to_numpy()[(ts == ts[row]) | (ts == ts[row] - 1)])
        low, close = feeds.klines["low"][row].as_py(), feeds.klines["close"][row].as_py()
        wide = feeds.plant(
            "klines", [row], high=reach * low, volume=volume * usual, quote_volume=volume * usual * close,
            taker_buy_volume=0, taker_buy_quote_volume=0,
        )  # fmt: skip
        assert wide.found("klines") == ({row: why.UNTRADED_RANGE} if is_blamed else {})

    def test_of_a_deep_fall_that_was_traded_stay(self, feeds: Feeds) -> None:
        row = feeds.klines.num_rows // 2
        more = times(30)
        fallen = feeds.plant("klines", [row], low=times(0.6), volume=more, quote_volume=more)
        assert fallen.found("klines") == {}

    @pytest.mark.parametrize("which", [0, 1, -1], ids=["first", "middle", "last"])
    @pytest.mark.parametrize("factor", [10, 0.1, 2])
    @pytest.mark.parametrize("columns", [PRICES, (*PRICES, "quote_volume")], ids=["prices", "and-quote"])
    def test_of_a_whole_day_become_null(self, feeds: Feeds, which: int, factor: float, columns) -> None:
        rows = feeds.rows_of_day("klines", which)
        planted = feeds.plant("klines", rows, **dict.fromkeys(columns, times(factor)))
        assert planted.found("klines") == dict.fromkeys(rows.tolist(), why.PRICES_LEAP)
        assert planted.found("open_interest") == {}

    @pytest.mark.parametrize(
        ("hours", "most"), [pytest.param(0, 1.25, id="no pause"), pytest.param(3, 1.25**2, id="three hours")]
    )
    @pytest.mark.parametrize("beyond", [0.999, 1.001])
    @pytest.mark.parametrize("up", [1, -1], ids=["up", "down"])
    def test_may_leap_by_a_quarter_and_over_a_pause_by_more(self, feeds, hours, most, beyond: float, up: int) -> None:
        """A quarter to the power of the square root of one more than the hours; the market stands still besides."""
        ts, middle = feeds.klines["ts"].to_numpy(), feeds.klines.num_rows // 2
        paused = feeds.klines.filter(pa.array((ts <= ts[middle]) | (ts > ts[middle] + np.timedelta64(hours, "h"))))
        closed, opened = paused["close"][middle].as_py(), paused["open"][middle + 1].as_py()
        moved = times((most * beyond) ** up * closed / opened)
        later = np.arange(middle + 1, paused.num_rows)
        planted = Feeds(feeds.open_interest.slice(0, 0), paused).plant(
            "klines", later, **dict.fromkeys((*PRICES, "quote_volume"), moved)
        )
        assert planted.klines["open_time"].to_numpy()[middle + 1] - ts[middle] == np.timedelta64(hours, "h")
        assert planted.found("klines") == ({middle + 1: why.PRICES_STAY} if beyond > 1 else {})

    def test_of_all_bars_become_null_where_open_interest_and_volume_know_better(self, feeds: Feeds) -> None:
        rows = np.arange(feeds.klines.num_rows)
        planted = feeds.plant("klines", rows, **dict.fromkeys(PRICES, times(10)))
        assert planted.found("klines") == dict.fromkeys(rows.tolist(), why.OTHER_PRICES)
        assert planted.found("open_interest") == {}

    def test_of_all_bars_that_nothing_but_open_interest_speaks_against_are_said_of_every_snapshot(self, feeds) -> None:
        rows = np.arange(feeds.klines.num_rows)
        planted = feeds.plant("klines", rows, **dict.fromkeys((*PRICES, "quote_volume"), times(10)))
        found = planted.found("open_interest")
        assert set(found.values()) == {why.VALUE_IS_OFF}
        assert len(found) > 0.99 * feeds.open_interest.num_rows


class TestVolumes:
    @pytest.mark.parametrize(
        ("changes", "reason", "blank"),
        [
            ({"quote_volume": times(-1)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": 0}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": np.nan}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": times(1e6)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": times(1e-6)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"volume": 0}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(-1)}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": np.nan}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(1e6)}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(1e-6)}, why.VOLUME_IS_OFF, "volume"),
            ({"taker_buy_volume": 1e15}, why.TAKERS_ARE_OFF, "taker_buy_volume"),
            ({"taker_buy_quote_volume": 1e15}, why.TAKERS_ARE_OFF, "taker_buy_quote_volume"),
        ],
        ids=str,
    )
    def test_that_contradict_each_other_become_null_and_the_prices_stay(self, feeds, changes, reason, blank) -> None:
        row = feeds.klines.num_rows // 2
        planted = feeds.plant("klines", [row], **changes)
        assert planted.found("klines") == {row: reason}
        judged = judge(planted.open_interest, planted.klines).klines
        assert np.flatnonzero(judged[blank].is_null().to_numpy()).tolist() == [row]
        assert judged.select(PRICES).equals(feeds.klines.select(PRICES))

    @pytest.mark.parametrize("factor", [1e4, 1e-4])
    @pytest.mark.parametrize("unit", ["volume", "quote_volume"], ids=["contract", "dollar"])
    def test_of_less_than_one_are_judged_as_large_ones_are(self, feeds: Feeds, factor: float, unit: str) -> None:
        every, row = np.arange(feeds.klines.num_rows), feeds.klines.num_rows // 2
        columns = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
        values = feeds.klines[unit].to_numpy()  # of a dollar a tenth is rounded away: not less than .3 are told apart
        scale = 0.9 / values.max() if unit == "volume" else 0.3 / values[row]
        small = feeds.plant("klines", every, **dict.fromkeys(columns, times(scale)))
        quiet = small.plant("klines", [row], taker_buy_volume=0, taker_buy_quote_volume=0)
        assert small.found("klines") == {}
        assert quiet.plant("klines", [row], quote_volume=times(factor)).found("klines") == {row: why.QUOTE_IS_OFF}
        assert quiet.plant("klines", [row], volume=times(factor)).found("klines") == {row: why.VOLUME_IS_OFF}

    def test_of_which_neither_can_be_are_both_null(self, feeds: Feeds) -> None:
        planted = feeds.plant("klines", [9], volume=-1, quote_volume=-1)
        assert planted.found("klines") == {9: why.NO_VOLUME}

    def test_of_a_silent_bar_contradict_nothing(self, feeds: Feeds) -> None:
        close = feeds.klines["close"].to_numpy()[8]
        silent = feeds.plant("klines", [9], **dict.fromkeys(PRICES, close), volume=0, quote_volume=0)
        assert silent.found("klines") == {}

    def test_of_a_trade_whose_quote_volume_was_rounded_away_contradict_nothing(self, feeds: Feeds) -> None:
        cheap = dict.fromkeys(PRICES, times(1e-9))  # a coin of a hundredth of a cent
        every = {name: np.arange(getattr(feeds, name).num_rows) for name in vars(feeds)}
        feeds = feeds.plant("klines", every["klines"], **cheap, quote_volume=times(1e-9))
        feeds = feeds.plant("open_interest", every["open_interest"], open_interest_value_usd=times(1e-9))
        assert feeds.plant("klines", [9], volume=3, quote_volume=0).found("klines") == {}


def test_without_open_interest_bars_are_judged_by_each_other(feeds: Feeds) -> None:
    planted = feeds.plant("klines", [50], **dict.fromkeys(PRICES, times(10)))
    judged = judge(planted.open_interest.slice(0, 0), planted.klines)
    assert np.flatnonzero(judged.klines["bad_print"].is_valid().to_numpy()).tolist() == [50]
