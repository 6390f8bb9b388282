"""Where the lines are drawn between what is plausible and what is not: on bars of equal prices, one step to a side."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.exchange import plausibility as why
from liq_pipeline.exchange.feeds import Bars, Snapshots
from liq_pipeline_tests.exchange.flat_bars import ALL, COUNT, INF, NAN, ROW, bars, reasons, snapshots

NONE = Snapshots(np.array([], "datetime64[us]"), np.array([]), np.array([]), np.array([], object))


def judged_prices(feed: Bars, told: Snapshots = NONE) -> dict[int, str]:
    with np.errstate(all="ignore"):
        why.judge_prices(feed, told)
    return reasons(feed)


class TestTheRangeOfABar:
    @pytest.mark.parametrize(
        ("planted", "blamed"),
        [
            ({"high": 124.9}, False), ({"high": 125.1}, True), ({"low": 80.1}, False), ({"low": 79.9}, True),
            ({"high": 125.1, "volume": 49}, True), ({"high": 125.1, "volume": 50}, False),
            ({"high": 125.1, "volume": NAN}, True), ({"high": 124.9, "volume": 1}, False),
            ({"high": 799, "volume": 1e6}, False), ({"high": 801, "volume": 1e6}, True),
        ],
        ids=str,
    )  # fmt: skip
    def test_is_a_quarter_or_was_traded_and_never_eightfold(self, planted: dict, blamed: bool) -> None:
        feed = bars(**planted)
        assert judged_prices(feed) == ({ROW: why.UNTRADED_RANGE} if blamed else {})
        assert [bool(np.isnan(feed.of[name][ROW])) for name in ALL] == [blamed] * 4


class TestPricesThatLeap:
    @pytest.mark.parametrize("factor", [1.24, 1 / 1.24, 1.26, 1 / 1.26])
    def test_do_so_by_a_quarter_from_one_bar_to_the_next(self, factor: float) -> None:
        feed = bars(slice(30, None), **dict.fromkeys(ALL, 100 * factor))
        assert list(judged_prices(feed)) == (list(range(30, 40)) if factor in (1.26, 1 / 1.26) else [])

    @pytest.mark.parametrize(("hours", "factor"), [(1, 1.25**2**0.5), (3, 1.25**2), (8, 1.25**3)])
    @pytest.mark.parametrize("nearly", [0.99, 1.01])
    def test_may_do_so_by_more_over_a_hole(self, hours: int, factor: float, nearly: float) -> None:
        """By the square root of one and the hours."""
        feed = bars(slice(30, None), **dict.fromkeys(ALL, 100 * factor * nearly))
        feed.ts[30:] += np.timedelta64(hours, "h")
        assert bool(judged_prices(feed)) is (nearly > 1)

    @pytest.mark.parametrize(("opened", "leaps"), [(79, False), (100, True)])
    def test_are_measured_from_close_to_open(self, opened: float, leaps: bool) -> None:
        """A bar that falls by a fifth, traded, and one that opens where it closed or where it opened."""
        fall = bars(volume=1e3, low=79, close=79)
        for name in ALL:
            fall.of[name][ROW + 1 :] = opened
        assert bool(judged_prices(fall)) is leaps

    def test_are_kept_and_said_where_open_interest_has_them_too(self) -> None:
        feed = bars(slice(38, None), **dict.fromkeys(ALL, 200))
        assert judged_prices(feed, snapshots(value=(slice(38, None), 2e5))) == {38: why.PRICES_STAY}
        assert feed.of["close"][38:].tolist() == [200, 200]
        again = bars(slice(38, None), **dict.fromkeys(ALL, 200))
        assert judged_prices(again, snapshots()) == dict.fromkeys((38, 39), why.PRICES_LEAP)

    @pytest.mark.parametrize(("implied", "kept"), [(251, False), (249, True), (161, True), (159, False)])
    def test_are_confirmed_by_what_is_within_a_quarter(self, implied: float, kept: bool) -> None:
        feed = bars(slice(38, None), **dict.fromkeys(ALL, 200))
        told = judged_prices(feed, snapshots(value=(slice(38, None), 1e3 * implied)))
        assert told == ({38: why.PRICES_STAY} if kept else dict.fromkeys((38, 39), why.PRICES_LEAP))


class TestAnotherPrice:
    @pytest.mark.parametrize(
        ("implied", "paid", "blamed"),
        [
            (126, 126, True), (124, 124, False), (79, 79, True), (81, 81, False),
            (130, 161, True), (130, 164, False), (130, 105, True), (130, 103, False),
        ],
    )  # fmt: skip
    def test_is_one_that_open_interest_and_quote_volume_agree_on(self, implied: float, paid: float, blamed) -> None:
        feed = bars(quote_volume=10 * paid)
        told = judged_prices(feed, snapshots(value=(ROW, 1e3 * implied)))
        assert told == ({ROW: why.OTHER_PRICES} if blamed else {})
        assert [bool(np.isnan(feed.of[name][ROW])) for name in ALL] == [blamed] * 4

    @pytest.mark.parametrize(("apart", "others"), [(4, []), (5, [9])])
    def test_of_most_bars_stands_for_those_without_a_snapshot(self, apart: int, others: list[int]) -> None:
        """Ten bars: so many at another price, the last without a snapshot and paid for at another price, too."""
        feed = bars(list(range(apart)), count=10, quote_volume=2000)
        feed.of["quote_volume"][9] = 1260
        told = snapshots(10, value=(list(range(apart)), 2e5))
        told.value[9] = NAN
        told.value[8] = NAN
        assert list(judged_prices(feed, told)) == list(range(apart)) + others

    def test_of_a_bar_that_leaps_anyway_is_not_said(self) -> None:
        feed = bars(**dict.fromkeys(ALL, 200))
        assert judged_prices(feed, snapshots()) == {ROW: why.PRICES_LEAP}


def judged_volumes(**planted: float) -> tuple[str | None, list[str]]:
    """Of a bar between 98 and 103, closing at 102: its reason, and what was blanked."""
    feed = bars(**{"low": 98, "high": 103, "close": 102} | planted)
    with np.errstate(all="ignore"):
        why.judge_volumes(feed)
    assert set(reasons(feed)) <= {ROW}
    blank = [name for name, values in feed.of.items() if np.isnan(values[ROW]) and not np.isnan(planted.get(name, 0))]
    return feed.reason[ROW], blank


QUOTE, VOLUME = (why.QUOTE_IS_OFF, ["quote_volume"]), (why.VOLUME_IS_OFF, ["volume"])
TAKERS = (why.TAKERS_ARE_OFF, ["taker_buy_volume", "taker_buy_quote_volume"])
FINE: tuple[None, list[str]] = (None, [])


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        # A thousandth and a cent either way of 10 × 98 and of 10 × 103.
        ({"quote_volume": 979.00}, QUOTE), ({"quote_volume": 979.02}, FINE),
        ({"quote_volume": 1031.03}, FINE), ({"quote_volume": 1031.05}, QUOTE),
        ({"volume": 0.5, "quote_volume": 70, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, VOLUME),
        ({"volume": 20}, VOLUME), ({"volume": 20, "quote_volume": 505}, QUOTE), ({"quote_volume": 2020}, QUOTE),
        ({"volume": 20, "quote_volume": 101 * 5.5, "taker_buy_quote_volume": 0}, VOLUME),
        ({"volume": 20, "quote_volume": 101 * 4.5, "taker_buy_quote_volume": 0}, QUOTE),
        ({"volume": 0, "quote_volume": 0.01, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, FINE),
        ({"volume": 0, "quote_volume": 0.02, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, VOLUME),
        ({"volume": 0, "quote_volume": 0, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, FINE),
        ({"volume": 0.5, "quote_volume": 0, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, QUOTE),
        ({"volume": 1e-4, "quote_volume": 0, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, QUOTE),
        ({"volume": 9e-5, "quote_volume": 0, "taker_buy_volume": 0, "taker_buy_quote_volume": 0}, FINE),
        ({"volume": 9e-5, "quote_volume": -1, "taker_buy_volume": 0, "taker_buy_quote_volume": NAN}, QUOTE),
        ({"volume": 20, "quote_volume": 0, "taker_buy_quote_volume": 0}, QUOTE),
        ({"volume": -1, "taker_buy_volume": NAN}, VOLUME), ({"volume": INF}, VOLUME),
        ({"volume": NAN}, (VOLUME[0], [])),
        ({"volume": NAN, "quote_volume": 0, "taker_buy_quote_volume": 0}, (VOLUME[0], [])),
        ({"quote_volume": -1, "taker_buy_quote_volume": NAN}, QUOTE), ({"quote_volume": INF}, QUOTE),
        ({"quote_volume": NAN}, (QUOTE[0], [])), ({"volume": NAN, "quote_volume": NAN}, (why.NO_VOLUME, [])),
        ({"volume": -1, "quote_volume": -1, "taker_buy_volume": NAN, "taker_buy_quote_volume": NAN},
         (why.NO_VOLUME, ["volume", "quote_volume"])),
        # Takers: a thousandth of the volume above it; of the quote volume, a thousandth and a cent.
        ({"taker_buy_volume": 10.009}, FINE), ({"taker_buy_volume": 10.011}, TAKERS),
        ({"taker_buy_quote_volume": 1001.005}, FINE), ({"taker_buy_quote_volume": 1001.015}, TAKERS),
        ({"taker_buy_volume": 0}, FINE), ({"taker_buy_volume": 0.5}, FINE), ({"taker_buy_volume": -0.5}, TAKERS),
        ({"taker_buy_quote_volume": 0}, FINE), ({"taker_buy_quote_volume": -0.5}, TAKERS),
        ({"taker_buy_volume": NAN, "taker_buy_quote_volume": NAN}, FINE),
    ],
    ids=str,
)  # fmt: skip
def test_volumes_that_contradict_each_other(planted: dict[str, float], expected: tuple[str | None, list[str]]) -> None:
    assert judged_volumes(**planted) == expected


def test_without_any_volume_the_quote_volume_stands() -> None:
    feed = bars(slice(None), volume=0, taker_buy_volume=0)
    with np.errstate(all="ignore"):
        why.judge_volumes(feed)
    assert set(reasons(feed).values()) == {why.VOLUME_IS_OFF}
    assert feed.of["quote_volume"].tolist() == [1000] * COUNT


@pytest.mark.parametrize(("planted", "expected"), [({"volume": 2}, VOLUME), ({"quote_volume": 0.1}, QUOTE)], ids=str)
def test_volumes_of_less_than_a_contract_beside_a_bar_without_any(planted: dict, expected: tuple) -> None:
    feed = bars(slice(None), **dict.fromkeys((*ALL, "volume", "quote_volume"), 0.5), taker_buy_volume=0)
    feed.of["quote_volume"][:] = 0.25
    feed.of["taker_buy_quote_volume"][:] = 0
    feed.of["volume"][0] = feed.of["quote_volume"][0] = 0
    for name, value in planted.items():
        feed.of[name][ROW] = value
    with np.errstate(all="ignore"):
        why.judge_volumes(feed)
    assert reasons(feed) == {ROW: expected[0]}
