"""How much gets liquidated on the way to a price, given that the price is reached: a median and a range.

    ln(1 + Y/1000) = a + b·ln d + c1·ln(1 + M_lo/1000) + c2·ln(1 + M_hi/1000) + z·s(d),    s(d) = min(d, 2)^(−β)

Y is the reported USD of a side from now until the price first reaches a target at distance d (in %), if it does so
within the horizon; M_lo and M_hi are the mapped USD between the price and the target, up to 60x and above. Longs are
liquidated on the way down, shorts on the way up. Source of the formula: ../shared/docs/forecast.md 3, where 36 were
tried. Fitted by weighted least squares on what was known at the time (docs/model.md 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # readers use the formula, and start without a compiler
    pass

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZON_HOURS = (1, 4, 24)
TARGETS_PCT = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.5, 7.0)
HIGH_LEVERAGE = 60.0
UNIT_USD = 1_000.0
SHOWN_FROM_DAYS = 14.0
LARGEST_LOG = 27.0  # 5e14 USD: no number of a damaged report becomes infinite
FLAT_FROM_PCT = 2.0  # from this distance on the range is as wide as here
BETAS = tuple(np.round(np.arange(0.0, 1.01, 0.1), 2).tolist())
PROBABILITIES = tuple(np.round(np.arange(0.05, 0.951, 0.05), 2).tolist())
P10, P50, P90 = (PROBABILITIES.index(p) for p in (0.1, 0.5, 0.9))


@dataclass(frozen=True)
class Cases:
    """Targets that were reached: one row per origin, side and target. Arrays of one length.

    Attributes:
        origin: index of the bar at whose close the question is asked.
        asked_at, reached_at: instants, UTC; at the second the answer is known.
        column: 0 for longs (the price falls), 1 for shorts.
        distance_pct: of the target from the price.
        usd: reported on the way, USD.
        mapped_usd: shape (rows, 2): mapped on the way at the origin, up to 60x and above, USD.
    """

    origin: Integers
    asked_at: NDArray[np.datetime64]
    reached_at: NDArray[np.datetime64]
    column: Integers
    distance_pct: Floats
    usd: Floats
    mapped_usd: Floats

    def pick(self, rows: NDArray) -> Cases:
        """Return some of the cases."""
        return Cases(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Range:
    """The eight numbers of the formula, of one source of truth, symbol and horizon.

    Attributes:
        a, b, c1, c2: of the middle.
        beta: how much narrower the range is farther away.
        z10, z50, z90: quantiles of the residual over s(d).
    """

    a: float
    b: float
    c1: float
    c2: float
    beta: float
    z10: float
    z50: float
    z90: float

    def usd(self, distance_pct: ArrayLike, mapped_usd: Floats) -> Floats:
        """Return the 10 %, 50 % and 90 % quantile in USD, not below 0; shape (rows, 3).

        Args:
            distance_pct: shape (rows,).
            mapped_usd: shape (rows, 2), as in `Cases`.
        """
        distance = np.asarray(distance_pct, dtype=float)
        middle = regressors(distance, mapped_usd) @ np.array([self.a, self.b, self.c1, self.c2])
        found = middle[:, None] + width(distance, self.beta)[:, None] * np.array([self.z10, self.z50, self.z90])
        return np.asarray(UNIT_USD * np.expm1(np.clip(found, 0.0, LARGEST_LOG)))


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Attributes:
        range: the numbers that are published.
        z: quantiles of the residual over s(d), at `PROBABILITIES`.
        cases: how many rows it was fitted on.
    """

    range: Range
    z: tuple[float, ...]
    cases: int

    def log_usd(self, distance_pct: Floats, mapped_usd: Floats) -> Floats:
        """Return ln(1 + Y/1000) at `PROBABILITIES`; shape (rows, probabilities)."""
        one = self.range
        middle = regressors(distance_pct, mapped_usd) @ np.array([one.a, one.b, one.c1, one.c2])
        return np.asarray(middle[:, None] + width(distance_pct, one.beta)[:, None] * np.array(self.z))


def regressors(distance_pct: Floats, mapped_usd: Floats) -> Floats:
    """Return the columns 1, ln d, ln(1 + M_lo/1000), ln(1 + M_hi/1000)."""
    return np.column_stack([np.ones(distance_pct.size), np.log(distance_pct), np.log1p(mapped_usd / UNIT_USD)])


def width(distance_pct: Floats, beta: float) -> Floats:
    """Return s(d): 1 at 1 %, less farther away."""
    return np.asarray(np.minimum(distance_pct, FLAT_FROM_PCT) ** -beta)


def fit(cases: Cases, columns: Sequence[int] = (0, 1, 2, 3)) -> Fit | None:
    """Fit the formula; None where there are too few cases.

    Args:
        cases: all that is known.
        columns: of `regressors`, which may be used; (0, 1) is distance alone.
    """
    if cases.usd.size < 4 * (len(columns) + 1) + 20:
        return None
    target = np.log1p(cases.usd / UNIT_USD)
    every = regressors(cases.distance_pct, cases.mapped_usd)
    best: tuple[float, float, NDArray[Any]] | None = None
    for beta in BETAS:
        weight = 1 / width(cases.distance_pct, beta) ** 2
        some = every[:, list(columns)]
        moment = some.T @ (some * weight[:, None])
        coefficients = np.linalg.lstsq(moment, some.T @ (weight * target), rcond=1e-10)[0]
        off = target - some @ coefficients
        loss = np.log((weight * off * off).mean()) - np.log(weight).mean()  # of a normal likelihood
        if best is None or loss < best[0]:
            best = loss, beta, coefficients
    assert best
    _, beta, coefficients = best
    full = np.zeros(4)
    full[list(columns)] = coefficients
    off = (target - every @ full) / width(cases.distance_pct, beta)
    z = np.quantile(off, PROBABILITIES)
    a, b, c1, c2 = full.tolist()
    numbers = Range(a, b, c1, c2, beta, *z[[P10, P50, P90]].tolist())
    return Fit(numbers, tuple(z.tolist()), int(target.size))
