"""The heatmap is the walk's living positions at each column: nothing lost, nothing invented, nothing from later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.heatmap import COLUMN_WIDTHS, Heatmap, column_instants, heatmap
from liq_pipeline.model.levels import Cells, bin_width, liquidation_levels
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.positions import Cohorts
from liq_pipeline.model.walk import Walk, WalkInput, walk

START = np.datetime64("2026-03-01T00:00", "us")


def market(seed: int, bars: int = 400, minutes: int = 5, volatility: float = 0.004) -> WalkInput:
    rng = np.random.default_rng(seed)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, volatility, bars)))
    open_ = np.concatenate([[60_000], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.uniform(0, volatility, bars))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, volatility, bars))
    return WalkInput(
        ts=START + np.arange(bars) * np.timedelta64(minutes, "m"),
        open_interest=90_000 * np.exp(np.cumsum(rng.normal(0, 0.01, bars))),
        entry_price=(high + low + close) / 3,
        low=low,
        high=high,
        close=close,
        volume=rng.uniform(0, 40_000, bars),
    )


def cohorts_of(walked: Walk) -> Cohorts:
    """As the table holds them: by bar, then side, then leverage."""
    parts = []
    for side in SIDES:
        of = walked.sides[side]
        bar, tier = np.nonzero(of.contracts_opened)
        parts.append(
            (
                bar, of.liquidated_at[bar, tier], np.full(bar.size, side == "long"),
                walked.parameters.layout.leverage[tier], of.liquidation_price[bar, tier],
                of.contracts_opened[bar, tier],
            )
        )  # fmt: skip
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Cohorts(*(column[order] for column in columns))


def picture(walked: Walk, columns: np.ndarray) -> Heatmap:
    survival = {side: walked.sides[side].log_survival for side in SIDES}
    return heatmap(cohorts_of(walked), walked.bars.ts, survival, columns, float(walked.bars.close[-1]))


def sums(found: Heatmap, is_long: bool) -> np.ndarray:
    mine = found.is_long == is_long
    return np.bincount(found.column[mine], found.contracts[mine], found.ts.size)


every_12th = st.integers(1, 13)
seeds = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, step=every_12th)
def test_each_column_holds_what_is_tracked_then(seed: int, step: int) -> None:
    walked = walk(market(seed), "BTCUSDT")
    ends = np.arange(399, 60, -step)[::-1]

    found = picture(walked, walked.bars.ts[ends])

    for side in SIDES:
        tracked = walked.sides[side].tracked[ends]
        np.testing.assert_allclose(sums(found, side == "long"), tracked, rtol=1e-9, atol=1e-6)
        assert (sums(found, side == "long") <= walked.bars.open_interest[ends] * (1 + 1e-9)).all()


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_every_cell_of_every_column_is_the_sum_of_what_is_alive_in_it(seed: int) -> None:
    walked = walk(market(seed, bars=120, volatility=0.01), "BTCUSDT")
    ends = np.arange(119, 20, -7)[::-1]

    found = picture(walked, walked.bars.ts[ends])

    for number, end in enumerate(ends):
        for side in SIDES:
            of = walked.sides[side]
            left = of.contracts_open(at=int(end))
            mine = (found.column == number) & (found.is_long == (side == "long"))
            edges = zip(found.price_low[mine], found.price_high[mine], found.contracts[mine], strict=True)
            for low, high, contracts in edges:
                alive = left[(of.liquidation_price >= low) & (of.liquidation_price < high)].sum()
                assert contracts == pytest.approx(alive, rel=1e-9, abs=1e-7)


def test_the_last_column_is_the_longest_timeframes_levels_bin_by_bin() -> None:
    walked = walk(market(3, bars=600), "BTCUSDT")
    price = float(walked.bars.close[-1])
    cohorts = cohorts_of(walked)
    alive = cohorts.ended == walked.bars.ts.size
    left = np.where(
        cohorts.is_long,
        *(
            cohorts.contracts_opened * np.exp(of.log_survival[-1] - of.log_survival[cohorts.opened])
            for of in (walked.sides["long"], walked.sides["short"])
        ),
    )
    cells = Cells(
        walked.bars.ts[cohorts.opened][alive], cohorts.is_long[alive], cohorts.leverage[alive],
        cohorts.liquidation_price[alive], left[alive],
    )  # fmt: skip
    levels = liquidation_levels(cells, walked.bars.ts[-1], price)["90d"]

    found = picture(walked, walked.bars.ts[-30:])

    assert found.bin_width % bin_width(price) == 0
    last = found.column == 29
    for is_long in (True, False):
        mine, theirs = last & (found.is_long == is_long), levels.is_long == is_long
        middle = (levels.price_low[theirs] + levels.price_high[theirs]) / 2
        row = np.searchsorted(found.price_low[mine], middle, side="right") - 1
        by_row = np.bincount(row, levels.notional_usd[theirs], mine.sum())
        np.testing.assert_allclose(found.notional_usd[mine], by_row, rtol=1e-9)


def test_a_band_ends_before_the_column_whose_candle_touches_it_and_starts_where_it_was_opened() -> None:
    walked = walk(market(5, volatility=0.008), "BTCUSDT")
    columns = walked.bars.ts[50:]

    found = picture(walked, columns)

    for number in range(1, columns.size):
        bar = 50 + number
        now = found.column == number
        inside = now & (found.price_low >= walked.bars.low[bar]) & (found.price_high <= walked.bars.high[bar])
        # What lies inside the candle was opened in it, at prices that it reached before.
        opened = sum(of.contracts_opened[bar].sum() for of in walked.sides.values())
        assert found.contracts[inside].sum() <= opened * (1 + 1e-9)


def test_the_future_does_not_change_a_column() -> None:
    whole, part = market(7), market(7)
    cut = 250
    part = WalkInput(**{name: values[:cut] for name, values in vars(part).items()})
    columns = whole.ts[100:cut:10]
    survival = lambda walked: {side: walked.sides[side].log_survival for side in SIDES}  # noqa: E731
    one, two = walk(whole, "BTCUSDT"), walk(part, "BTCUSDT")

    early = heatmap(cohorts_of(two), part.ts, survival(two), columns, 60_000.0)
    late = heatmap(cohorts_of(one), whole.ts, survival(one), columns, 60_000.0)

    for name in ("column", "is_long", "price_low", "price_high", "contracts", "notional_usd", "by_class"):
        np.testing.assert_array_equal(getattr(early, name), getattr(late, name))


def test_long_and_short_are_treated_alike() -> None:
    walked = walk(market(11), "BTCUSDT")
    cohorts, columns = cohorts_of(walked), walked.bars.ts[100::20]
    survival = {side: walked.sides[side].log_survival for side in SIDES}
    exchanged = {"long": survival["short"], "short": survival["long"]}

    straight = heatmap(cohorts, walked.bars.ts, survival, columns, 60_000.0)
    mirrored = heatmap(replace(cohorts, is_long=~cohorts.is_long), walked.bars.ts, exchanged, columns, 60_000.0)

    for is_long in (True, False):
        one, other = straight.is_long == is_long, mirrored.is_long != is_long
        np.testing.assert_array_equal(straight.contracts[one], mirrored.contracts[other])
        np.testing.assert_array_equal(straight.price_low[one], mirrored.price_low[other])


def test_classes_add_up_and_hold_their_leverages() -> None:
    walked = walk(market(13), "BTCUSDT")

    found = picture(walked, walked.bars.ts[-5:])

    np.testing.assert_allclose(found.by_class.sum(axis=1), found.notional_usd)
    last = found.column == 4
    expected = np.zeros(4)
    for of in walked.sides.values():
        notional = np.nan_to_num(of.contracts_open() * of.liquidation_price)
        for tier, leverage in enumerate(walked.parameters.layout.leverage):
            expected[np.searchsorted([10, 25, 50], leverage)] += notional[:, tier].sum()
    np.testing.assert_allclose(found.by_class[last].sum(axis=0), expected, rtol=1e-9)


def test_rows_are_few_enough_and_nest_in_the_levels_bins() -> None:
    walked = walk(market(17, volatility=0.03), "BTCUSDT")

    found = heatmap(
        cohorts_of(walked), walked.bars.ts, {side: walked.sides[side].log_survival for side in SIDES},
        walked.bars.ts[-50:], float(walked.bars.close[-1]), max_rows=100,
    )  # fmt: skip

    assert (found.price_high.max() - found.price_low.min()) / found.bin_width <= 100.5
    assert found.bin_width / bin_width(float(walked.bars.close[-1])) in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@pytest.mark.parametrize(("timeframe", "minutes"), [("1d", 5), ("7d", 30), ("30d", 120), ("90d", 360)])
def test_columns_are_whole_bars_that_end_at_the_newest(timeframe: str, minutes: int) -> None:
    ts = START + np.arange(130 * 288) * np.timedelta64(5, "m")

    columns = column_instants(ts, timeframe)

    assert columns[-1] == ts[-1]
    assert set(np.diff(columns) / np.timedelta64(1, "m")) == {minutes}
    assert columns.size == int(timeframe[:-1]) * 1440 // minutes
    assert np.isin(columns, ts).all()


def test_a_column_is_never_narrower_than_a_bar() -> None:
    ts = START + np.arange(60 * 96) * np.timedelta64(15, "m")

    assert set(np.diff(column_instants(ts, "1d")) / np.timedelta64(1, "m")) == {15}
    assert COLUMN_WIDTHS["1d"] == np.timedelta64(5, "m")


@pytest.mark.parametrize(("days", "burn_in"), [(110, 20), (31, 15.5), (4, 2), (100, 20)])
def test_columns_begin_after_the_burn_in(days: int, burn_in: float) -> None:
    ts = START + np.arange(days * 288) * np.timedelta64(5, "m")

    before = (column_instants(ts, "90d")[0] - ts[0]) / np.timedelta64(1, "D")

    assert burn_in - 0.01 <= before < burn_in + 0.51  # whole columns only


def test_a_missing_bar_leaves_the_state_after_the_bar_before_it() -> None:
    walked = walk(market(19, bars=300), "BTCUSDT")
    kept = np.delete(np.arange(300), [250, 251, 252])
    part = walk(WalkInput(**{name: values[kept] for name, values in vars(walked.bars).items()}), "BTCUSDT")

    found = picture(part, walked.bars.ts[[249, 251, 299]])

    np.testing.assert_allclose(sums(found, True)[1], sums(found, True)[0], rtol=1e-12)


def test_one_bar_gives_one_empty_column() -> None:
    bars = WalkInput(**{name: values[:1] for name, values in vars(market(1)).items()})
    walked = walk(bars, "BTCUSDT")

    columns = column_instants(bars.ts, "1d")
    found = picture(walked, columns)

    assert columns.size == 1
    assert found.contracts.sum() == 0
