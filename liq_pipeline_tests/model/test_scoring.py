"""The judge itself: folds that do not leak, ranks that are right, intervals that cover."""

import numpy as np
import pytest

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.exposure import MARGINS, bar_exposure, leverage_class
from liq_pipeline.model.scale import scale_drift
from liq_pipeline.model.scoring import Resampler, fold_tests, out_of_sample, score, spearman
from liq_pipeline.model.scoring_flows import _moves_by_bar, path_features, rolled_vwap
from liq_pipeline.model.walk import WalkInput, walk

DAYS = np.arange(2000) / 48  # half hours


def test_folds_are_contiguous_cover_everything_once_and_keep_a_day_of_distance():
    seen = np.zeros(DAYS.size, dtype=int)
    for test, train in fold_tests(DAYS):
        seen[test] += 1
        nearest = np.abs(DAYS[train][:, None] - DAYS[test][[0, -1]]).min()
        assert nearest > 1.0
        assert not train[test].any()
    assert (seen == 1).all()


def test_a_prediction_knows_nothing_of_its_own_fold():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(DAYS.size, 3))
    target = features @ [1.0, 0.5, 0.0] + rng.normal(size=DAYS.size)
    predicted, _ = out_of_sample(features, target, DAYS)
    test, _ = fold_tests(DAYS)[2]
    other = target.copy()
    other[test] = 1e6
    assert np.array_equal(out_of_sample(features, other, DAYS)[0][test], predicted[test])


def test_too_little_data_is_refused():
    with pytest.raises(ValueError, match="too few"):
        out_of_sample(np.zeros((20, 10)), np.zeros(20), np.arange(20) / 48)


@pytest.mark.parametrize(("rows", "is_enough"), [(10, True), (9, False)])
def test_four_rows_for_each_weight_are_enough(rows, is_enough):
    """Of ten rows that lie apart, each fold leaves eight to train two weights on."""
    one = np.arange(rows, dtype=float)[:, None]
    if is_enough:
        predicted, _ = out_of_sample(one, 3 * one[:, 0], 10.0 * np.arange(rows))
        np.testing.assert_allclose(predicted, 3 * one[:, 0], atol=0.1)
    else:
        with pytest.raises(ValueError, match="7 rows are left"):
            out_of_sample(one, 3 * one[:, 0], 10.0 * np.arange(rows))


def test_ranks_share_ties():
    assert spearman(np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 2, 3])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_noise_scores_nothing_and_the_truth_scores_one():
    rng = np.random.default_rng(1)
    target = rng.normal(size=DAYS.size)
    resampler = Resampler(DAYS)
    noise = score(resampler, [(target, *out_of_sample(rng.normal(size=(DAYS.size, 5)), target, DAYS))])
    assert noise.r2 < 0.005
    perfect = score(resampler, [(target, *out_of_sample(target[:, None], target, DAYS))])
    assert perfect.r2 > 0.99
    assert perfect.rho == pytest.approx(1, abs=1e-3)


def test_intervals_widen_where_neighbours_repeat_each_other():
    rng = np.random.default_rng(2)
    independent = rng.normal(size=DAYS.size)
    dependent = np.repeat(rng.normal(size=DAYS.size // 50), 50)
    resampler = Resampler(DAYS)
    widths = []
    for values in (independent, dependent):
        _, drawn = resampler.sums(np.column_stack([values, np.ones(values.size)]))
        figure = resampler.figure(values.mean(), drawn[:, 0] / drawn[:, 1])
        assert figure.low < values.mean() < figure.high
        widths.append(figure.high - figure.low)
    assert widths[1] > 3 * widths[0]


def test_scale_is_fitted_on_the_past_only():
    mapped = np.full(DAYS.size, 100.0)
    reported = np.where(DAYS[-1] / 2 > DAYS, 1.0, 3.0)
    scale = scale_drift(DAYS, mapped, reported)
    assert scale.by_part[3]["rate_of_past"] == pytest.approx(0.01)
    assert scale.by_part[5]["predicted_over_reported"] == pytest.approx(1 / 3, rel=0.05)
    assert scale.rate == pytest.approx(0.02, rel=0.01)


def test_every_step_of_the_data_weighs_the_same_in_the_intervals():
    resampler = Resampler(np.arange(0, 30, 1 / 288), draws=20_000)

    weights = resampler.counts.mean(axis=0)

    np.testing.assert_allclose(weights, 1, atol=0.05)
    assert (resampler.counts.sum(axis=1) == resampler.units).all()


def test_a_score_of_two_sides_is_drawn_once_for_each_draw_around_its_value():
    rng = np.random.default_rng(4)
    resampler = Resampler(DAYS, draws=300)
    sides = []
    for noise in (0.5, 2.0):
        target = rng.normal(size=DAYS.size)
        sides.append((target, target + rng.normal(size=DAYS.size) * noise, np.zeros(DAYS.size)))

    found = score(resampler, sides)

    singles = [score(resampler, [side]) for side in sides]
    assert found.rho_draws.shape == found.r2_draws.shape == (300,)
    np.testing.assert_allclose(found.rho_draws, (singles[0].rho_draws + singles[1].rho_draws) / 2)
    assert found.rho == pytest.approx((singles[0].rho + singles[1].rho) / 2)
    assert found.rho_draws.mean() == pytest.approx(found.rho, abs=0.02)
    assert found.r2_draws.mean() == pytest.approx(found.r2, abs=0.02)


def four_bars() -> MarketData:
    ts = np.datetime64("2026-03-01T00:05", "us") + np.arange(4) * np.timedelta64(5, "m")
    close, high, low = (
        np.array([100.0, 101, 99, 98]),
        np.array([100.5, 102, 101, 99.5]),
        np.array([99.5, 100, 98.5, 96]),
    )
    entry, volume = np.array([100.0, 101, 100, 97.5]), np.array([10.0, 30, 20, 5])
    bars = WalkInput(ts, np.full(4, 1e3), entry, low, high, close, volume)
    return MarketData(bars, np.array([100.0, 100, 101, 99]), np.ones(4, bool), np.timedelta64(5, "m"))


def test_moves_bar_by_bar_are_summed_each_from_the_close_before_its_bar():
    data = four_bars()
    step = Steps(data.walk_input.ts[3:], np.array([1]), np.array([3]), np.zeros((1, 2)))

    for found, moves in zip(_moves_by_bar(data, step), ([0, 2.5 / 101, 3 / 99], [2 / 100, 0, 0.5 / 99]), strict=True):
        log = np.log1p(sum(moves) / 1e-4)
        np.testing.assert_allclose(found, [[log, log**2]], rtol=1e-9)


def test_the_features_of_the_path_are_what_a_hand_computes():
    data = four_bars()
    high, low = data.walk_input.high, data.walk_input.low
    steps = Steps(data.walk_input.ts[3:], np.array([3]), np.array([3]), np.zeros((1, 2)))

    longs, shorts = path_features(data, steps)

    # All windows hold every bar before the fourth. Its low is 96, its high 99.5; the close before was 99.
    vwap = (100 * 10 + 101 * 30 + 100 * 20) / 60
    usual = np.log(np.mean(np.log(high[:3] / low[:3])) + 1e-4)
    adverse, favourable = (99 - 96) / 99, (99.5 - 99) / 99
    logs = np.log1p(np.array([99 - 96, *[98.5 - 96, vwap - 96] * 4]) / 99 / 1e-4)
    move = np.log1p(adverse / 1e-4)
    expected = [move, move**2, np.log1p(favourable / 1e-4), usual, *logs, logs[0] ** 2]
    np.testing.assert_allclose(longs[0], expected, rtol=1e-9)
    # Above: the high lies below every earlier high and below the VWAP.
    logs = np.log1p(np.array([99.5 - 99, *[0.0, 0.0] * 4]) / 99 / 1e-4)
    move = np.log1p(favourable / 1e-4)
    expected = [move, move**2, np.log1p(adverse / 1e-4), usual, *logs, logs[0] ** 2]
    np.testing.assert_allclose(shorts[0], expected, rtol=1e-9)


def test_a_vwap_lies_within_its_entries_also_where_next_to_nothing_was_traded_after_much():
    entry = np.array([100.0, 130, 70, 110, 90, 95, 97])
    volume = np.array([3.0, 1e15 / 7, 0, 0, 1e-9, 3, 0])
    found = rolled_vwap(entry, volume, 2)
    expected = [100, 130, 130, (70 + 110) / 2, 90, 95, 95]
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    np.testing.assert_allclose(rolled_vwap(entry, np.array([2.0, 3, 5, 7, 0, 11, 0]), 3)[2:4],
                               [(200 + 390 + 350) / 10, (390 + 350 + 770) / 15])  # fmt: skip
    assert rolled_vwap(entry, volume, 1).tolist() == entry.tolist()


def test_each_window_of_the_path_holds_its_hours_and_a_step_sums_its_bars():
    """Bars of half an hour: the windows hold 2, 8, 48 and 144 of them. Steps are of two bars."""
    rng, count = np.random.default_rng(5), 500
    close, entry = 100 * np.exp(rng.normal(0, 0.02, (2, count)))
    high, low = np.maximum(close, entry), np.minimum(close, entry)
    volume, half_hour = rng.uniform(1, 50, count), np.timedelta64(30, "m")
    ts = np.datetime64("2026-03-01T00:30", "us") + np.arange(count) * half_hour
    bars = WalkInput(ts, np.full(count, 1e3), entry, low, high, close, volume)
    first = np.arange(144, count, 2)
    steps = Steps(ts[first + 1], first, first + 1, np.zeros((first.size, 2)))

    longs, shorts = path_features(MarketData(bars, close, np.ones(count, bool), half_hour), steps)

    for found, sign, extreme, furthest in ((longs, -1, low, np.min), (shorts, 1, high, np.max)):
        for row, begin in enumerate(first):
            gaps = np.zeros(9)
            for t in (begin, begin + 1):
                lines = [close[t - 1]]
                for size in (2, 8, 48, 144):
                    past = slice(t - size, t)
                    lines += [furthest(extreme[past]), np.average(entry[past], weights=volume[past])]
                gaps += np.maximum(sign * (extreme[t] - np.array(lines)), 0) / close[t - 1]
            day = slice(begin - 48, begin)
            usual = np.log(np.mean(np.log(high[day] / low[day])) + 1e-4)
            logs = np.log1p(gaps / 1e-4)
            np.testing.assert_allclose(found[row, 3:], [usual, *logs, logs[0] ** 2], rtol=1e-9)
        assert np.unique(found[:, 4:13].round(6), axis=1).shape[1] == 9, "each window tells something else"


def test_exposure_has_one_class_for_each_range_of_leverage():
    ladder = np.array([3, 30, 30.5, 60, 75, 110, 125, 150])
    assert leverage_class(ladder).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]

    rng = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, 400)))
    opening = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(close, opening) * 1.001, np.minimum(close, opening) * 0.999
    ts = np.datetime64("2026-03-01", "us") + np.arange(400) * np.timedelta64(5, "m")
    bars = WalkInput(ts, np.full(400, 1e4), (high + low) / 2, low, high, close, np.full(400, 500.0))
    walked = walk(bars, "BTCUSDT")

    found = bar_exposure(walked, np.ones(400, bool))

    for side, one in walked.sides.items():
        assert found[side].shape == (400, 4, len(MARGINS))
        assert (found[side].sum(axis=(0, 2)) > 0).all()
        # With every snapshot known, what a bar touches is what the walk liquidates in it.
        at = np.flatnonzero(one.liquidated)
        cells = [(one.liquidated_at == t) & (np.arange(400)[:, None] < t) for t in at]
        left = [one.contracts_opened * np.exp(one.log_survival[t - 1] - one.log_survival)[:, None] for t in at]
        usd = [np.where(mine, kept * one.liquidation_price, 0).sum() for mine, kept in zip(cells, left, strict=True)]
        np.testing.assert_allclose(found[side][at, :, 0].sum(axis=1), usd, rtol=1e-9)
