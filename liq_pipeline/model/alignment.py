"""Putting bars, open interest and reported liquidations on one clock, without letting the future in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.scoring import spearman
from liq_pipeline.model.walk import WalkInput

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]
Indices = NDArray[np.int64]

EPOCH = np.datetime64(0, "us")
MINUTE = np.timedelta64(60_000_000, "us")
SPARSE = 0.5  # stamps of which fewer than this share follow each other at the usual step are events


@dataclass(frozen=True)
class MarketData:
    """Bars of one width, oldest first, holes left out, with open interest at each.

    Attributes:
        walk_input: what the walk reads; open interest between two observations is spread by volume.
        open: USD.
        known: whether the bar's open interest was observed.
        width: of a bar.
    """

    walk_input: WalkInput
    open: Floats
    known: NDArray[np.bool_]
    width: np.timedelta64


@dataclass(frozen=True)
class ObservedLiquidations:
    """Reported liquidations, arrays of one length, by `end`.

    Attributes:
        end: closing instant of each step, datetime64[us], UTC.
        long_usd, short_usd: liquidated longs and shorts, USD.
        step: width of a step.
    """

    end: Instants
    long_usd: Floats
    short_usd: Floats
    step: np.timedelta64


@dataclass(frozen=True)
class Steps:
    """Scored steps: the bars `first .. last` make up each; the bar before `first` exists too.

    Attributes:
        end: closing instant.
        first, last: bar indices.
        usd: reported, shape (steps, 2): longs, shorts.
    """

    end: Instants
    first: Indices
    last: Indices
    usd: Floats

    @property
    def days(self) -> Floats:
        """End of each step in days since the first."""
        return np.asarray((self.end - self.end[0]) / np.timedelta64(1, "D"))

    def summed(self, per_bar: Floats) -> Floats:
        """Return the sum over the bars of each step; the first axis of `per_bar` is bars."""
        total = np.concatenate([np.zeros((1, *per_bar.shape[1:])), np.cumsum(per_bar, axis=0)])
        return np.asarray(total[self.last + 1] - total[self.first])

    def pick(self, rows: NDArray) -> Steps:
        """Return some of the steps."""
        return Steps(self.end[rows], self.first[rows], self.last[rows], self.usd[rows])


def usual_step(stamps: Instants) -> tuple[np.timedelta64, float]:
    """Return the most frequent distance of stamps and the share that has it."""
    distances, counts = np.unique(np.diff(stamps), return_counts=True)
    best = int(np.argmax(counts))
    return distances[best], float(counts[best] / counts.sum())


def spread_open_interest(
    ts: Instants, width: np.timedelta64, volume: Floats, snapshots_at: Instants, snapshots: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return open interest at each bar and whether it was observed; NaN before the first and after the last one.

    The newest snapshot inside a bar is the bar's. Between two observed bars the change is spread in proportion to
    volume, equally where there is none (model.md 1). That uses the later snapshot: read it only once it is known.

    Args:
        ts: closing instants of the bars, ascending.
        width: of a bar.
        volume: contracts.
        snapshots_at: instants, ascending.
        snapshots: contracts, positive and finite.
    """
    newest = np.searchsorted(snapshots_at, ts, side="right") - 1
    known = newest >= 0
    known[known] &= snapshots_at[newest[known]] > ts[known] - width
    open_interest = np.full(ts.size, np.nan)
    at = np.flatnonzero(known)
    open_interest[at] = snapshots[newest[at]]
    for before, after in pairwise(at):
        if after - before > 1:
            share = np.cumsum(volume[before + 1 : after + 1])
            share = share / share[-1] if share[-1] > 0 else np.arange(1, after - before + 1) / (after - before)
            open_interest[before + 1 : after] = (
                open_interest[before] + (open_interest[after] - open_interest[before]) * share[:-1]
            )
    return open_interest, known


def coarsen(data: MarketData, width: np.timedelta64) -> MarketData:
    """Return bars of a multiple of the width. A wide bar with a missing narrow one is left out."""
    ratio = int(width / data.width)
    if width % data.width or ratio < 1:
        raise ValueError(f"{width} is not a multiple of {data.width}")
    if ratio == 1:
        return data
    bars = data.walk_input
    group = _turn(bars.ts, width)
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    counts = np.diff(np.append(starts, group.size))
    starts = starts[counts == ratio]
    rows = starts[:, None] + np.arange(ratio)
    last = rows[:, -1]
    volume = bars.volume[rows].sum(axis=1)
    weight = np.where(volume[:, None] > 0, bars.volume[rows], 1.0)
    entry = (bars.entry_price[rows] * weight).sum(axis=1) / weight.sum(axis=1)
    low, high = bars.low[rows].min(axis=1), bars.high[rows].max(axis=1)
    wide = WalkInput(
        ts=bars.ts[last],
        open_interest=bars.open_interest[last],
        entry_price=np.clip(entry, low, high),
        low=low,
        high=high,
        close=bars.close[last],
        volume=volume,
    )
    # Snapshots inside the wide bar before its end are not its own: what counts is whether its last bar was observed.
    return MarketData(wide, data.open[rows[:, 0]], data.known[last], width)


def truth_from_events(at: Instants, long_usd: Floats, short_usd: Floats, step: np.timedelta64) -> ObservedLiquidations:
    """Return single liquidations summed into steps; steps without any are zero, from the first event to the last."""
    index = _turn(at, step)
    first, count = int(index.min()), int(index.max() - index.min()) + 1
    long_sum = np.bincount(index - first, long_usd, count)
    short_sum = np.bincount(index - first, short_usd, count)
    end = EPOCH + (np.arange(count) + first) * step
    inner = slice(1, count - 1)
    return ObservedLiquidations(
        end[inner], long_sum[inner].astype(float), short_sum[inner].astype(float), step
    )  # the outer two may be parts


def truth_where_covered(
    at: Instants, long_usd: Floats, short_usd: Floats, step: np.timedelta64, since: Instants, until: Instants
) -> ObservedLiquidations:
    """Return single liquidations summed into the steps that lie whole inside a stretch; of others nothing is known.

    Args:
        at, long_usd, short_usd: the liquidations, USD.
        step: width of a step.
        since, until: stretches in which all were covered, by time and apart from each other.
    """
    first, last = _turn(since, step) + 1, (until.astype("datetime64[us]") - EPOCH) // step
    numbers = np.concatenate([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)] or [np.zeros(0, np.int64)])
    turn = _turn(at, step)
    covered = np.isin(turn, numbers)
    place = np.searchsorted(numbers, turn[covered])
    sums = [np.bincount(place, usd[covered], numbers.size).astype(float) for usd in (long_usd, short_usd)]
    return ObservedLiquidations(EPOCH + numbers * step, sums[0], sums[1], step)


def match_steps(data: MarketData, truth: ObservedLiquidations) -> Steps:
    """Return the steps of the truth whose bars are all there, the one before included.

    A truth finer than the bars is summed to the bars. Steps with missing or unusable values are left out.
    """
    truth = _widened(truth, data.width)
    per_step = int(truth.step / data.width)
    ts = data.walk_input.ts
    last = np.searchsorted(ts, truth.end)
    fits = last < ts.size
    fits[fits] &= ts[last[fits]] == truth.end[fits]
    first = last - per_step + 1
    fits &= first >= 1
    fits[fits] &= ts[first[fits] - 1] == truth.end[fits] - truth.step
    usd = np.column_stack([truth.long_usd, truth.short_usd])
    fits &= np.isfinite(usd).all(axis=1) & (usd >= 0).all(axis=1)
    return Steps(truth.end[fits], first[fits], last[fits], usd[fits])


def _widened(truth: ObservedLiquidations, width: np.timedelta64) -> ObservedLiquidations:
    """Return the truth at the least common multiple of its step and the bars' width."""
    step = np.lcm(int(truth.step / MINUTE), int(width / MINUTE)) * MINUTE
    ratio = int(step / truth.step)
    if ratio == 1:
        return truth
    group = _turn(truth.end, step)
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    counts = np.diff(np.append(starts, group.size))
    starts = starts[counts == ratio]
    rows = starts[:, None] + np.arange(ratio)
    return ObservedLiquidations(
        EPOCH + group[starts] * step, truth.long_usd[rows].sum(axis=1), truth.short_usd[rows].sum(axis=1), step
    )


def _turn(instants: Instants, width: np.timedelta64) -> Indices:
    """Return the number of the step that holds each instant; a step ends at a multiple of the width, included."""
    since = (instants.astype("datetime64[us]") - EPOCH).astype(np.int64)
    return np.asarray(-(-since // int(width / np.timedelta64(1, "us"))), dtype=np.int64)


@dataclass(frozen=True)
class StampVerdict:
    """Which end of its step a stamp names, and how well each reading fits (Spearman of move and liquidations)."""

    names_start: bool
    fit_of_start: float
    fit_of_end: float

    @property
    def is_clear(self) -> bool:
        """Whether the data tell."""
        return abs(self.fit_of_start - self.fit_of_end) > 0.05


def which_end(data: MarketData, truth: ObservedLiquidations) -> StampVerdict:
    """Tell whether the stamps in `truth.end` name the end of a step or its start.

    Liquidations come with the move that causes them: the reading under which they do is the right one. Prices and
    truth only; no model takes part.
    """
    fits = []
    for end in (truth.end + truth.step, truth.end):
        steps = match_steps(data, replace(truth, end=end))
        fits.append(0.0 if steps.end.size < 20 else _fit(data, steps))
    start, finish = fits
    return StampVerdict(start >= finish, start, finish)


def _fit(data: MarketData, steps: Steps) -> float:
    adverse = adverse_moves(data, steps)
    found = [spearman(adverse[:, side], steps.usd[:, side]) for side in range(2)]
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def step_range(data: MarketData, steps: Steps) -> tuple[Floats, Floats, Floats]:
    """Return the close before each step, its low and its high, USD."""
    bars = data.walk_input
    span = int((steps.last - steps.first).max(initial=0)) + 1
    rows = steps.first[:, None] + np.arange(span)
    return bars.close[steps.first - 1], bars.low[rows].min(axis=1), bars.high[rows].max(axis=1)


def adverse_moves(data: MarketData, steps: Steps) -> Floats:
    """Return the distance from the close before to the low (longs) and the high (shorts), shares, shape (steps, 2)."""
    before, low, high = step_range(data, steps)
    return np.maximum(np.column_stack([1 - low / before, high / before - 1]), 0.0)
