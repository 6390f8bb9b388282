"""The dataset `if_reached`: how much gets liquidated on the way to a price, if the price reaches it.

Its manifest holds the fits, one per source of truth and horizon; its rows are what these make of the newest levels. So
a new bar needs no new fit, and whoever has a price of his own (an alert, a bot) takes the fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liq_pipeline.alerts.zones import Reached, zones
from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.if_reached import HIGH_LEVERAGE, SHOWN_FROM_DAYS, TARGETS_PCT, Range
from liq_pipeline.model.margin import SIDES
from liq_pipeline.published.layout import EXCHANGE
from liq_pipeline.published.schemas import IF_REACHED_SCHEMA

DATASET = "if_reached"
LEVELS = "90d"
"""The timeframe of which levels are on the way: the longest."""
LARGEST_ZONES = 3  # of a side
GET = "To do: liq record, or name reported liquidations in LIQ_TRUTH; then liq run"

_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


class _Numbers(BaseModel):
    model_config = ConfigDict(extra="ignore")

    a: _Number
    b: _Number
    c1: _Number
    c2: _Number
    beta: Annotated[float, Field(ge=0, le=10)]
    z10: _Number
    z50: _Number
    z90: _Number


class ReachedFit(BaseModel):
    """The formula of one source of truth and horizon, with what it was worth in the past.

    Attributes:
        source: of the reported liquidations.
        horizon_hours: within which the price gets there.
        days_of_truth: it was fitted on.
        cases: targets that were scored.
        scored_from_day: days of past that the first scored day had.
        coverage_80: share of past cases in the range; each day fitted on the days before.
        range_ratio: upper end of the range over its lower end, median of past cases.
        crps_gain_over_distance: share by which it is better than distance alone; low and high: its 95 % interval.
        fitted_until: newest instant of the truth.
        parameters: of model.md 7.
    """

    model_config = ConfigDict(extra="ignore")

    source: str
    horizon_hours: int
    days_of_truth: _Number
    cases: int
    scored_from_day: _Number
    coverage_80: _Number
    range_ratio: Annotated[float, Field(ge=0)]
    crps_gain_over_distance: float | None
    crps_gain_over_distance_low: float | None
    crps_gain_over_distance_high: float | None
    fitted_until: str
    parameters: _Numbers

    @property
    def range(self) -> Range:
        """The formula with these numbers."""
        return Range(**self.parameters.model_dump())

    @property
    def is_shown(self) -> bool:
        """Whether there is enough truth to show it to people."""
        return self.days_of_truth >= SHOWN_FROM_DAYS

    @property
    def hidden_because(self) -> str:
        """Why it is not shown; empty where it is."""
        if self.is_shown:
            return ""
        return f"{self.days_of_truth:.1f} of {SHOWN_FROM_DAYS:g} days of reported liquidations. {GET}"


class _Fits(BaseModel):
    model_config = ConfigDict(extra="ignore")

    fits: list[ReachedFit]


def fits_of(manifest: dict[str, Any]) -> list[ReachedFit]:
    """Return the fits that a manifest of the dataset holds.

    Raises:
        PublishedDamaged: it holds none that could be.
    """
    try:
        return _Fits.model_validate(manifest).fits
    except ValidationError as error:
        raise PublishedDamaged(
            f"the fits in the manifest of {DATASET} cannot be read ({error.error_count()} faults)",
            remedy="publish again: liq run",
        ) from None


def longest(fits: Iterable[ReachedFit], hours: int, source: str = "") -> ReachedFit | None:
    """Return the fit of a horizon: of the source that is named, or of the one with most days of truth."""
    found = [one for one in fits if one.horizon_hours == hours and source in ("", one.source)]
    return max(found, key=lambda one: (one.days_of_truth, one.source), default=None)


def hidden_because(fits: Sequence[ReachedFit], fit: ReachedFit | None) -> str:
    """Say why no range is shown; empty where one is."""
    if fit is None:
        return f"nothing was scored at this horizon yet. {GET}" if fits else f"no reported liquidations. {GET}"
    return fit.hidden_because


def ranges(
    levels: pa.Table, fits: Sequence[ReachedFit], symbol: str, as_of: datetime, price: float
) -> pa.Table:  # fmt: skip
    """Return the rows of the dataset: every fit that is shown, both sides, the ladder of targets and the largest zones.

    Args:
        levels: rows of `liquidation_levels`, of the longest timeframe.
        fits: of any source and horizon.
        symbol, as_of, price: of the levels.
    """
    targets = {side: _targets(levels, side) for side in SIDES}
    rows: list[dict[str, Any]] = []
    for fit in sorted(fits, key=lambda one: (one.source, one.horizon_hours)):
        for side in SIDES if fit.is_shown else ():
            kinds, away = zip(*targets[side], strict=True)
            distance = np.array(away)
            mapped = mapped_until(levels, side, price, distance)
            usd = fit.range.usd(distance, mapped)
            sign = -1 if side == "long" else 1
            rows += [
                {
                    "exchange": EXCHANGE, "symbol": symbol, "as_of": as_of, "source": fit.source,
                    "horizon_hours": fit.horizon_hours, "side": side, "target": kind,
                    "target_price": price * (1 + sign * one / 100), "distance_pct": sign * one,
                    "mapped_usd": float(both.sum()), "p10_usd": float(low), "p50_usd": float(middle),
                    "p90_usd": float(high), "coverage_80": fit.coverage_80, "range_ratio": fit.range_ratio,
                    "crps_gain_over_distance": fit.crps_gain_over_distance, "days_of_truth": fit.days_of_truth,
                }
                for kind, one, both, (low, middle, high) in zip(kinds, away, mapped, usd, strict=True)
            ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=IF_REACHED_SCHEMA)


def _targets(levels: pa.Table, side: str) -> list[tuple[str, float]]:
    """Return kind and distance in percent of each target, nearest first; a zone counts as reached at its far edge."""
    found = [("ladder", one) for one in TARGETS_PCT]
    near = [zone for zone in zones(levels, TARGETS_PCT[-1], 0.0) if zone.side == side]
    if near:
        price = float(levels["current_price"][0].as_py())
        far = [100 * abs(zone.far_edge / price - 1) for zone in near]
        within = [one for one in far if TARGETS_PCT[0] <= one <= TARGETS_PCT[-1]]
        found += [("zone", one) for one in within[:LARGEST_ZONES]]
    return sorted(found, key=lambda item: item[1])


def mapped_until(levels: pa.Table, side: str, price: float, distances_pct: np.ndarray) -> np.ndarray:
    """Return mapped USD of a side between the price and each distance; shape (distances, 2): up to 60x, and above."""
    middle = (levels["price_low"].to_numpy() + levels["price_high"].to_numpy()) / 2
    usd, own = levels["notional_usd"].to_numpy(), levels["side"].to_numpy(zero_copy_only=False) == side
    away = 100 * np.abs(middle / price - 1)
    high = levels["leverage"].to_numpy() > HIGH_LEVERAGE
    return np.array([[usd[own & (high == kind) & (away <= one)].sum() for kind in (False, True)]
                     for one in distances_pct])  # fmt: skip


def reached_at(levels: pa.Table, fit: ReachedFit, side: str, target_price: float) -> Reached | None:
    """Return what gets liquidated until a price is reached; None where it is nearer or farther than any target."""
    price = float(levels["current_price"][0].as_py())
    distance = 100 * abs(target_price / price - 1)
    if not TARGETS_PCT[0] <= round(distance, 9) <= TARGETS_PCT[-1]:
        return None
    away = np.array([distance])
    low, middle, high = fit.range.usd(away, mapped_until(levels, side, price, away))[0]
    return Reached(target_price, fit.horizon_hours, float(low), float(middle), float(high))


def plain(number: float) -> float | None:
    """Return a number as a manifest holds it: none where it is not finite."""
    return number if math.isfinite(number) else None
