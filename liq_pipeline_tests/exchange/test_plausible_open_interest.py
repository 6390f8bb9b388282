"""Where the lines are drawn between open interest that is plausible and what is not: a thousand contracts at 100."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.exchange import plausibility as why
from liq_pipeline.exchange.feeds import Bars, Snapshots
from liq_pipeline_tests.exchange.flat_bars import ALL, COUNT, INF, NAN, ROW, bars, reasons, snapshots


def judged(told: Snapshots, *, volume: float = 10, feed: Bars | None = None) -> dict[int, str]:
    with np.errstate(all="ignore"):
        why.judge_open_interest(told, feed or bars(slice(None), volume=volume))
    return reasons(told)


def both(rows: object, contracts: object) -> Snapshots:
    return snapshots(contracts=(rows, contracts), value=(rows, np.multiply(contracts, 100)))


class TestItChanges:
    # Between two snapshots: the bar, and one on either side; twice that, or a twentieth of the smaller one.
    @pytest.mark.parametrize(
        ("volume", "contracts", "blamed"),
        [
            (10, 1059, False), (10, 1061, True), (10, 941, False), (10, 939, True),
            (1, 1049, False), (1, 1051, True), (1, 953, False), (1, 952, True),
        ],
    )  # fmt: skip
    def test_by_no_more_than_was_traded_or_a_twentieth(self, volume: float, contracts: float, blamed: bool) -> None:
        told = both(ROW, contracts)
        assert judged(told, volume=volume) == ({ROW: why.TRADED_LESS} if blamed else {})
        assert bool(np.isnan(told.contracts[ROW])) is bool(np.isnan(told.value[ROW])) is blamed

    def test_and_its_value_with_it_which_settles_nothing(self) -> None:
        assert judged(both(slice(35, None), 1200)) == dict.fromkeys(range(35, 40), why.TRADED_LESS)

    def test_and_stays_for_more_than_a_day(self) -> None:
        told = snapshots(200, contracts=(slice(99, None), 1200), value=(slice(99, None), 1.2e5))
        assert judged(told, feed=bars(slice(None), count=200)) == {99: why.TRADED_LESS_AND_STAYS}
        assert np.isfinite(told.contracts).all()

    def test_while_the_value_stays_which_is_not_the_price_then(self) -> None:
        told = snapshots(contracts=(ROW, 1e4))
        assert judged(told) == {ROW: why.NOT_THE_PRICE}
        assert np.flatnonzero(np.isnan(told.contracts)).tolist() == [ROW]


@pytest.mark.parametrize(
    ("contracts", "value", "reason", "kept"),
    [
        (0, 0, None, (NAN, 0)), (-3, 0, None, (NAN, 0)), (NAN, 0, None, (NAN, 0)),
        (0, 1, why.CANNOT_BE, (NAN, 1)), (NAN, NAN, why.CANNOT_BE, (NAN, NAN)), (INF, 1e5, why.CANNOT_BE, (NAN, 1e5)),
        (-INF, 0.5, why.CANNOT_BE, (NAN, 0.5)), (0, -1, why.CANNOT_BE, (NAN, NAN)), (0, INF, why.CANNOT_BE, (NAN, NAN)),
        (1e3, 0, why.NO_VALUE, (1e3, NAN)), (1e3, -1, why.NO_VALUE, (1e3, NAN)), (1e3, INF, why.NO_VALUE, (1e3, NAN)),
        (1e3, NAN, why.NO_VALUE, (1e3, NAN)), (1e3, 1e5, None, (1e3, 1e5)),
    ],
)  # fmt: skip
def test_a_snapshot_of_no_number(contracts: float, value: float, reason: str | None, kept: tuple[float, float]) -> None:
    told = snapshots(contracts=(ROW, contracts), value=(ROW, value))
    assert judged(told) == ({ROW: reason} if reason else {})
    np.testing.assert_array_equal([told.contracts[ROW], told.value[ROW]], kept)


def test_half_a_contract_worth_half_a_dollar_is_one() -> None:
    every = slice(None)
    told = snapshots(contracts=(every, 0.5), value=(every, 0.5))
    assert judged(told, feed=bars(every, **dict.fromkeys(ALL, 1))) == {}
    assert told.contracts.tolist() == told.value.tolist() == [0.5] * COUNT


class TestTheValue:
    @pytest.mark.parametrize("rows", [[0], [ROW], [ROW, ROW + 1], [COUNT - 1]], ids=str)
    @pytest.mark.parametrize(("price", "blamed"), [(126, True), (124, False), (79, True), (81, False)])
    def test_lies_within_a_quarter_of_the_price_or_is_off(self, rows: list[int], price: float, blamed: bool) -> None:
        told = snapshots(value=(rows, 1e3 * price))
        assert judged(told) == (dict.fromkeys(rows, why.VALUE_IS_OFF) if blamed else {})
        assert told.contracts.tolist() == [1e3] * COUNT
        assert np.isnan(told.value).sum() == len(rows) * blamed

    @pytest.mark.parametrize("rows", [[0], [ROW], [ROW, ROW + 1], [COUNT - 1]], ids=str)
    @pytest.mark.parametrize("contracts", [700, 1400])
    def test_is_right_where_so_much_was_traded_that_only_the_contracts_leap(self, rows, contracts: float) -> None:
        told = snapshots(contracts=(rows, contracts))
        assert judged(told, volume=1e4) == dict.fromkeys(rows, why.NOT_THE_PRICE)
        assert np.flatnonzero(np.isnan(told.contracts)).tolist() == rows

    @pytest.mark.parametrize(("value", "reason"), [(0.7e5, why.NOT_THE_PRICE), (0.55e5, why.VALUE_IS_OFF)])
    def test_or_the_contracts_are_wrong_whichever_leaps_further(self, value: float, reason: str) -> None:
        """The contracts by log(1.5), the value by 1 / 0.7 or 1 / 0.55."""
        assert judged(snapshots(contracts=(ROW, 1500), value=(ROW, value)), volume=1e4) == {ROW: reason}

    def test_is_judged_at_both_edges_together(self) -> None:
        """Contracts that grow by ×1.6 within the stretch: they leap at one edge only, the value at the other."""
        rows = [20, 21, 22]
        told = snapshots(contracts=(rows, [1000, 1300, 1600]), value=(rows, [2e5, 2.6e5, 3.2e5]))
        told.contracts[23:], told.value[23:] = 1600, 1.6e5
        assert judged(told, volume=1e4) == dict.fromkeys(rows, why.VALUE_IS_OFF)

    @pytest.mark.parametrize(("moved", "reason"), [(1.3, why.NOT_THE_PRICE), (1.2, why.VALUE_IS_OFF)])
    def test_is_judged_by_a_quarter_beside_a_snapshot_without_a_price(self, moved: float, reason: str) -> None:
        feed = bars(slice(0, 22), **dict.fromkeys(ALL, NAN), volume=1e4)
        feed.of["volume"][22:] = 1e4
        told = snapshots(contracts=(slice(23, None), 1e3 * moved), value=(slice(23, None), 2e5 * moved))
        told.contracts[21:23], told.value[21:23] = NAN, 0
        found = judged(told, feed=feed)
        assert found == dict.fromkeys(range(23, 40), reason)


class TestThePriceThatMoves:
    """By half from bar to bar; a window of three bars has that of the middle one as its mean."""

    def test_does_not_make_contracts_that_leap_right(self) -> None:
        price = 100 * 1.5 ** np.arange(7)
        told = snapshots(6, value=(slice(None), 1e3 * price[:6]), contracts=([2, 3], 2200))
        feed = bars(slice(None), count=7, **dict.fromkeys(ALL, price), volume=1e4)
        assert judged(told, feed=feed) == dict.fromkeys((2, 3), why.NOT_THE_PRICE)

    def test_does_not_make_a_value_that_stands_still_right(self) -> None:
        price = 1000 / 1.5 ** np.arange(7)
        value = 1e3 * price[:6]
        value[4] = value[5] = 1.2 * value[3]
        told = snapshots(6, value=(slice(None), value), contracts=([5], 1010))
        feed = bars(slice(None), count=7, **dict.fromkeys(ALL, price), volume=1e4)
        assert judged(told, feed=feed) == {5: why.VALUE_IS_OFF}

    def test_the_edge_of_a_stretch_is_the_snapshot_right_before_it(self) -> None:
        """Contracts grow one snapshot earlier; the value is that of before."""
        told = snapshots(contracts=(slice(19, None), 1400), value=(slice(19, 20), 1.4e5))
        assert judged(told, volume=1e4) == dict.fromkeys(range(20, 40), why.VALUE_IS_OFF)


class TestAllValuesOff:
    """Every value is that of twice the price; contracts move by little, and yet by more than is traded, or not."""

    @pytest.mark.parametrize(("moves", "reason"), [(2, why.VALUE_IS_OFF), (3, why.NOT_THE_PRICE)])
    def test_it_is_the_contracts_if_most_steps_are_more_than_was_traded(self, moves: int, reason: str) -> None:
        contracts = 1e3 + np.minimum(np.arange(5), moves)  # four steps
        told = snapshots(5, contracts=(slice(None), contracts), value=(slice(None), 200 * contracts))
        feed = bars(slice(None), count=5, volume=0.01)
        assert judged(told, feed=feed) == dict.fromkeys(range(5), reason)

    @pytest.mark.parametrize(("step", "reason"), [(0.061, why.NOT_THE_PRICE), (0.059, why.VALUE_IS_OFF)])
    def test_twice_what_was_traded_may_be(self, step: float, reason: str) -> None:
        contracts = 1e3 + step * np.arange(5)
        told = snapshots(5, contracts=(slice(None), contracts), value=(slice(None), 200 * contracts))
        assert judged(told, feed=bars(slice(None), count=5, volume=0.01)) == dict.fromkeys(range(5), reason)
