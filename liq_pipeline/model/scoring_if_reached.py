"""Is "if reached" right, and sharper than distance alone? Each day fitted on the days before, scored on the day itself.

CRPS (the mean distance of a distribution from what came) is twice the mean pinball loss over the quantiles, in units
of ln(1 + USD/1000). Gains are shares of the CRPS of distance alone. Intervals by circular blocks of three days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.if_reached import (
    HORIZON_HOURS,
    P10,
    P90,
    PROBABILITIES,
    SHOWN_FROM_DAYS,
    TARGETS_PCT,
    UNIT_USD,
    Cases,
    Fit,
    fit,
)
from liq_pipeline.model.if_reached_cases import cases_of, mapped_on_the_way
from liq_pipeline.model.scoring import Estimate, Resampler
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]

SCORED_FROM_DAYS = 5.0
EVERY = np.timedelta64(1, "h")
MOST_ORIGINS = 3_000
WARM_UP = np.timedelta64(2, "D")
WILDEST_SHARE = 0.1  # of days, by how far the price went
DAY = np.timedelta64(1, "D")
FEWEST_CASES = 200
DISTANCE_ONLY = "distance only"
MAP, YESTERDAY, RATE = "map", "yesterday's map", "constant rate"


@dataclass(frozen=True)
class DistanceScore:
    """Figures of one target."""

    distance_pct: float
    cases: int
    coverage_80: float
    crps_gain_over_distance: float


@dataclass(frozen=True)
class IfReachedScore:
    """Figures of one horizon.

    Attributes:
        horizon_hours: within which the target was reached.
        cases: targets that were reached in the days that were scored.
        days: of truth in all.
        scored_from_day: days of past that the first scored day had.
        note: what to know; empty where there is enough truth.
        coverage_80: share of cases between the 10 % and the 90 % quantile; 0.80 is right.
        coverage_80_interval: the same with its interval.
        coverage_80_wildest_days: the same in the tenth of the days in which the price went farthest.
        crps: mean CRPS, by forecast, ln(1 + USD/1000).
        crps_gain_over_distance: share by which the map is better than distance alone.
        crps_gain_over_yesterday: than yesterday's map at the same distances.
        crps_gain_over_constant_rate: than a constant share of what is mapped.
        width_80: median width of the range: its upper end over its lower end, in USD.
        by_distance: per target.
        parameters: the newest fit.
    """

    horizon_hours: int
    cases: int
    days: float
    scored_from_day: float
    note: str
    coverage_80: float
    coverage_80_interval: Estimate
    coverage_80_wildest_days: float
    crps: dict[str, float]
    crps_gain_over_distance: Estimate
    crps_gain_over_yesterday: Estimate
    crps_gain_over_constant_rate: Estimate
    width_80: float
    by_distance: list[DistanceScore]
    parameters: dict[str, object]


def score_if_reached(
    walked: Walk, data: MarketData, steps: Steps, against: tuple[str, ...] = (DISTANCE_ONLY, YESTERDAY, RATE)
) -> list[IfReachedScore]:
    """Score every horizon; none for a horizon with too few cases.

    Args:
        walked: the walk.
        data: its bars.
        steps: reported liquidations.
        against: other forecasts to compare with, distance alone among them; of another, the gain is NaN.
    """
    origins = hourly_origins(data, steps)
    if origins.size < 2:
        return []
    cases = cases_of(walked, data, steps, origins)
    earlier = _a_day_before(walked, data, origins, cases) if YESTERDAY in against else cases
    days = float(steps.days[-1])
    starts = (SHOWN_FROM_DAYS, SCORED_FROM_DAYS) if days >= SHOWN_FROM_DAYS else (SCORED_FROM_DAYS,)
    result = []
    for hours in HORIZON_HOURS:
        found = (_score(cases, earlier, hours, data, days, least, (MAP, *against)) for least in starts)
        if score := next((one for one in found if one), None):  # from day 14 on, if enough is left to score
            result.append(score)
    return result


def hourly_origins(data: MarketData, steps: Steps) -> NDArray[np.int64]:
    """Return the bars at which steps end, an hour apart or more; `MOST_ORIGINS` at most."""
    ts = data.walk_input.ts
    usable = steps.last[ts[steps.last] >= ts[0] + WARM_UP]
    if not usable.size:
        return usable
    every = max(1, -(-int((ts[-1] - ts[0]) / EVERY) // MOST_ORIGINS)) * EVERY
    turn = (ts[usable] - np.datetime64(0, "us")) // every
    return usable[np.flatnonzero(np.diff(turn, prepend=-1))]


def _a_day_before(walked: Walk, data: MarketData, origins: NDArray[np.int64], cases: Cases) -> Cases:
    """Return the same cases with what the map of a day earlier had at the same distances."""
    ts = data.walk_input.ts
    before = np.maximum(np.searchsorted(ts, ts[origins] - DAY, side="right") - 1, 0)
    mapped = mapped_on_the_way(walked, data, before)
    number = np.searchsorted(origins, cases.origin)
    target = np.searchsorted(np.array(TARGETS_PCT), cases.distance_pct)
    return replace(cases, mapped_usd=mapped[number, cases.column, target])


def _fitted(columns: tuple[int, ...]) -> Callable[[Cases, Cases], Floats | None]:
    def forecast(known: Cases, today: Cases) -> Floats | None:
        made = fit(known, columns)
        return made.log_usd(today.distance_pct, today.mapped_usd) if made else None

    return forecast


def _constant_rate(known: Cases, today: Cases) -> Floats | None:
    """Return a constant share of what is mapped, with the residuals that this had."""
    mapped, now = (one.mapped_usd.sum(axis=1) for one in (known, today))
    if not (mapped > 0).any():
        return None
    rate = float(np.median(known.usd[mapped > 0] / mapped[mapped > 0]))
    off = np.quantile(np.log1p(known.usd / UNIT_USD) - np.log1p(rate * mapped / UNIT_USD), PROBABILITIES)
    return np.asarray(np.log1p(rate * now / UNIT_USD)[:, None] + off)


_FORECASTS: dict[str, Callable[[Cases, Cases], Floats | None]] = {
    MAP: _fitted((0, 1, 2, 3)),
    DISTANCE_ONLY: _fitted((0, 1)),
    YESTERDAY: _fitted((0, 1, 2, 3)),
    RATE: _constant_rate,
}


def _score(
    every: Cases, earlier: Cases, hours: int, data: MarketData, days: float, least: float, names: tuple[str, ...]
) -> IfReachedScore | None:
    rows = every.reached_at - every.asked_at <= np.timedelta64(hours, "h")
    cases, earlier = every.pick(rows), earlier.pick(rows)
    if cases.usd.size < FEWEST_CASES:
        return None
    order = np.argsort(cases.asked_at, kind="stable")
    cases, earlier = cases.pick(order), earlier.pick(order)
    first = cases.asked_at[0]
    truth = np.log1p(cases.usd / UNIT_USD)
    quantiles = {name: np.full((truth.size, len(PROBABILITIES)), np.nan) for name in names}
    horizon = np.timedelta64(hours, "h")
    midnights = np.unique(cases.asked_at.astype("datetime64[D]"))
    for midnight in midnights:
        start = midnight.astype("datetime64[us]")
        if (start - first) / DAY < least:
            continue
        # Whoever asked within the horizon before midnight may not know yet: a target that is reached late would lack.
        known = cases.asked_at <= start - horizon
        today = (cases.asked_at >= start) & (cases.asked_at < start + DAY)
        for name in names:
            of = earlier if name == YESTERDAY else cases
            found = _FORECASTS[name](of.pick(known), of.pick(today))
            if found is not None:
                quantiles[name][today] = found
    scored = np.isfinite(np.concatenate(list(quantiles.values()), axis=1)).all(axis=1)
    newest = fit(cases)
    if scored.sum() < FEWEST_CASES or newest is None:
        return None
    note = "" if least == SHOWN_FROM_DAYS else (
        f"{days:.1f} days of truth: scored from day {SCORED_FROM_DAYS:g} on; shown to people from day "
        f"{SHOWN_FROM_DAYS:g} on"
    )  # fmt: skip
    return _figures(hours, cases.pick(scored), {name: q[scored] for name, q in quantiles.items()}, days, least, note,
                    newest, data)  # fmt: skip


def _figures(
    hours: int, cases: Cases, quantiles: dict[str, Floats], days: float, least: float, note: str, newest: Fit,
    data: MarketData,
) -> IfReachedScore:  # fmt: skip
    truth = np.log1p(cases.usd / UNIT_USD)
    loss = {name: _crps(truth, found) for name, found in quantiles.items()}
    low, high = (np.maximum(quantiles[MAP][:, place], 0.0) for place in (P10, P90))
    inside = ((truth >= low) & (truth <= high)).astype(float)
    since = (cases.asked_at - cases.asked_at[0]) / DAY
    names = list(loss)
    resampler = Resampler(since)
    whole, drawn = resampler.sums(np.column_stack([np.ones(truth.size), inside, *loss.values()]))
    place = {name: 2 + number for number, name in enumerate(names)}

    def gain(over: str) -> Estimate:
        if over not in place:
            return Estimate(float("nan"), float("nan"), float("nan"))
        one, other = place[MAP], place[over]
        with np.errstate(invalid="ignore", divide="ignore"):
            return resampler.figure(1 - whole[one] / whole[other], 1 - drawn[:, one] / drawn[:, other])

    with np.errstate(invalid="ignore", divide="ignore"):
        coverage = resampler.figure(whole[1] / whole[0], drawn[:, 1] / drawn[:, 0])
    wild = _is_wild(cases, data)
    by_distance = []
    for distance in TARGETS_PCT:
        rows = cases.distance_pct == distance
        if rows.sum() >= FEWEST_CASES / 10:
            by_distance.append(
                DistanceScore(
                    distance, int(rows.sum()), float(inside[rows].mean()),
                    float(1 - loss[MAP][rows].sum() / loss[DISTANCE_ONLY][rows].sum()),
                )
            )  # fmt: skip
    spans = np.expm1(np.maximum(quantiles[MAP][:, [P10, P90]], 1e-9))
    parameters = {**asdict(newest.range), "cases": newest.cases}
    return IfReachedScore(
        hours, int(truth.size), days, least, note, coverage.value, coverage,
        float(inside[wild].mean()) if wild.any() else float("nan"),
        {name: float(values.mean()) for name, values in loss.items()},
        gain(DISTANCE_ONLY), gain(YESTERDAY), gain(RATE),
        float(np.median(spans[:, 1] / spans[:, 0])), by_distance, parameters,
    )  # fmt: skip


def _crps(truth: Floats, quantiles: Floats) -> Floats:
    """Return twice the mean pinball loss over the quantiles, per row."""
    off = truth[:, None] - quantiles
    p = np.array(PROBABILITIES)
    return np.asarray(2 * np.maximum(p * off, (p - 1) * off).mean(axis=1))


def _is_wild(cases: Cases, data: MarketData) -> NDArray[np.bool_]:
    """Tell which cases were asked in the tenth of the scored days in which the price went farthest."""
    bars = data.walk_input
    day = bars.ts.astype("datetime64[D]")
    asked = cases.asked_at.astype("datetime64[D]")
    chosen = np.unique(asked)
    span = np.array([bars.high[day == one].max() / bars.low[day == one].min() for one in chosen])
    return np.isin(asked, chosen[span >= np.quantile(span, 1 - WILDEST_SHARE)])
