"""Two open questions of the model, on the real sets in ../shared: what was tried, and what it gave.

    python -m benchmarks.open_questions

What is tried lives here, not in the model; findings are written down in docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numba import njit

from benchmarks.known_positions import BASE, ranked, walk_input
from liq_pipeline.model.alignment import MarketData, Steps, match_steps
from liq_pipeline.model.crossing import first_touch
from liq_pipeline.model.exposure import bar_exposure
from liq_pipeline.model.margin import SIDES, bracket_history, liquidation_price
from liq_pipeline.model.scoring_flows import score_flows
from liq_pipeline.model.walk import SideWalk, Walk, WalkInput, WalkParameters, walk
from liq_pipeline.simulator.market import simulate
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.validation.run import CHURN_OF_COARSE

SHARED = Path(__file__).parents[1].parent / "shared"
ARCHIVE = SHARED / "archive" / "btc-15m-2026-03"
HOURLY = SHARED / "truth" / "btcusdt_1h_2025-12_2026-06.csv"
SETS = {
    "2026-03, 15m": (ARCHIVE, ARCHIVE, SHARED / "truth" / "btcusdt_30m_2026-02_2026-05.csv", 15, 0.05),
    "2025-12..2026-05, 15m": (SHARED / "market" / "BTCUSDT-15m.parquet", HOURLY, HOURLY, 15, CHURN_OF_COARSE),
    "2025-12..2026-02, 5m": (SHARED / "market" / "BTCUSDT-5m.parquet", HOURLY, HOURLY, 5, CHURN_OF_COARSE),
}
SYMBOL = "BTCUSDT"


@njit(cache=True)
def _kernel(open_interest, volume, close, price, touched, weights, gammas, churn_per_turnover, cap):  # type: ignore[no-untyped-def]
    """Walk one side with one survival factor per leverage; the order of steps is that of the model."""
    bars, leverages = price.shape
    survival, contracts = np.zeros((bars, leverages)), np.zeros((bars, leverages))
    live, rest = np.zeros(leverages), open_interest[0]
    order = np.argsort(touched.ravel(), kind="mergesort")
    place, worst = 0, 0.0
    for t in range(1, bars):
        gone = 0.0
        while place < order.size and touched[order[place] // leverages, order[place] % leverages] <= t:
            i, k = order[place] // leverages, order[place] % leverages
            place += 1
            if i < t and contracts[i, k] > 0.0 and touched[i, k] == t:
                left = contracts[i, k] * np.exp(survival[t - 1, k] - survival[i, k])
                live[k] = max(live[k] - left, 0.0)
                gone += left
        before = live.sum() + rest
        net = open_interest[t] - before
        keep = 1.0 - min(1.0, -net / before) if net < 0.0 else 1.0
        turned = max(volume[t] - abs(open_interest[t] - open_interest[t - 1]), 0.0) / open_interest[t]
        reopened = 0.0
        for k in range(leverages):
            churn = min(cap, gammas[k] * turned)
            reopened += churn * keep * live[k]
            live[k] *= keep * (1.0 - churn)
            survival[t, k] = survival[t - 1, k] + np.log(keep * (1.0 - churn))
        churn = min(cap, churn_per_turnover * turned)
        reopened += churn * keep * rest
        rest *= keep * (1.0 - churn)
        new = max(net, 0.0) + reopened
        for k in range(leverages):
            contracts[t, k] = new * weights[k]
            if price[t, k] >= close[t]:
                touched[t, k] = t
                rest += contracts[t, k]
            else:
                live[k] += contracts[t, k]
        worst = max(worst, abs(live.sum() + rest - open_interest[t]) / open_interest[t])
    return survival, contracts, worst


def walk_by_leverage(bars: WalkInput, churn_per_turnover: float, share: Callable[[float], float]) -> list[Walk]:
    """Return one walk per leverage, whose churn is `share(leverage)` of the churn; together they keep open interest."""
    parameters = WalkParameters(churn_per_turnover=churn_per_turnover, extremes_share=0.0)  # findings are of version 1
    base = walk(bars, SYMBOL, parameters)
    gammas = churn_per_turnover * np.array([share(leverage) for leverage in parameters.ladder])
    pieces: list[dict] = [{} for _ in parameters.ladder]
    for side in SIDES:
        one = base.sides[side]
        sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, -bars.high)
        allowed = np.isfinite(one.liquidation_price).all(axis=0)
        touched = first_touch(extreme, sign * one.liquidation_price)
        survival, contracts, worst = _kernel(
            bars.open_interest, bars.volume, sign * bars.close, sign * one.liquidation_price, touched,
            allowed / allowed.sum(), gammas, churn_per_turnover, parameters.churn_cap,
        )  # fmt: skip
        assert worst < 1e-9, worst
        for k in range(len(parameters.ladder)):
            only = np.zeros_like(contracts)
            only[:, k] = contracts[:, k]
            pieces[k][side] = SideWalk(
                side, survival[:, k], one.tracked, one.untracked, one.liquidated, one.opened, one.closed,
                one.liquidation_price, only, touched,
            )  # fmt: skip
    return [Walk(bars, parameters, piece) for piece in pieces]


def summed(exposures: Iterator) -> dict:
    """Return the sum of weighted exposures: (weight, exposure) pairs."""
    total: dict = {}
    for weight, one in exposures:
        for side in SIDES:
            total[side] = total.get(side, 0.0) + weight * one[side]
    return total


def variants(data: MarketData, churn_per_turnover: float) -> dict[str, dict]:
    """Return every exposure that was tried."""
    bars, known = data.walk_input, data.known
    parameters = WalkParameters(churn_per_turnover=churn_per_turnover, extremes_share=0.0)  # findings are of version 1

    def plain(inputs: WalkInput, **more: object) -> dict:
        return bar_exposure(walk(inputs, SYMBOL, replace(parameters, **more)), known)  # type: ignore[arg-type]

    def by_leverage(share: Callable[[float], float]) -> dict:
        return summed((1.0, bar_exposure(one, known)) for one in walk_by_leverage(bars, churn_per_turnover, share))

    found = {"walk": plain(bars)}
    found["one churn for all, other kernel"] = by_leverage(lambda _: 1.0)
    found["churn × min(1, L/75)"] = by_leverage(lambda leverage: min(1.0, leverage / 75))
    found["churn × min(1, L/150)"] = by_leverage(lambda leverage: min(1.0, leverage / 150))
    found["churn × .2 to 25x, .6 to 50x"] = by_leverage(lambda x: 0.2 if x <= 25 else 0.6 if x <= 50 else 1.0)
    for factor in (0.4, 2.0, 4.0):
        found[f"γ × {factor:g}"] = plain(bars, churn_per_turnover=churn_per_turnover * factor)
    top, bottom = np.maximum(data.open, bars.close), np.minimum(data.open, bars.close)
    for kept in (0.5, 0.75, 0.9):
        low, high = bottom - (bottom - bars.low) * kept, top + (bars.high - top) * kept
        short = replace(bars, low=low, high=high, entry_price=np.clip(bars.entry_price, low, high))
        found[f"wicks kept to {kept:.0%} (mark price)"] = plain(short)
    points = (0.1, 0.3, 0.5, 0.7, 0.9)
    found["entries spread over low .. high"] = summed(
        (1 / len(points), plain(replace(bars, entry_price=bars.low + at * (bars.high - bars.low)))) for at in points
    )
    rising = np.sign(bars.close - data.open)
    for tilt in (0.3, -0.3):
        base = walk(bars, SYMBOL, parameters)
        sides = {
            side: replace(one, contracts_opened=one.contracts_opened * (1 + tilt * sign * rising)[:, None])
            for (side, one), sign in zip(base.sides.items(), (1, -1), strict=True)
        }
        found[f"opens tilted {tilt:+g} by the bar's sign"] = bar_exposure(replace(base, sides=sides), known)
    brackets, ladder = bracket_history(SYMBOL)[-1], np.array(parameters.ladder)

    def sized(notional: float) -> dict:
        tier = int(np.searchsorted(brackets.notional_floor, notional, side="right")) - 1
        leverage = np.minimum(ladder, brackets.max_leverage[tier])[None, :]
        prices = {
            side: liquidation_price(
                side, bars.entry_price[:, None], leverage, brackets.mmr[tier], brackets.cum[tier] / notional
            )
            for side in SIDES
        }
        return bar_exposure(walk(bars, SYMBOL, parameters, prices), known)

    found["brackets by size (50/30/20 %: .1, 1, 5 M)"] = summed(
        (weight, sized(notional)) for notional, weight in ((1e5, 0.5), (1e6, 0.3), (5e6, 0.2))
    )
    return found


def far_levels(walks: list[Walk]) -> str:
    """Return, at the newest bar, the shares of open interest beyond 5 % of the price and older than 30 days."""
    bars = walks[0].bars
    far = old = 0.0
    for one in walks:
        for side in one.sides.values():
            left = side.contracts_open()
            far += np.nansum(np.where(np.abs(side.liquidation_price / bars.close[-1] - 1) > 0.05, left, 0.0))
            old += left[bars.ts < bars.ts[-1] - np.timedelta64(30, "D")].sum()
    total = 2 * bars.open_interest[-1]
    return f"beyond 5 %: {far / total:.3f}, older than 30 d: {old / total:.4f} of open interest"


def main() -> None:
    """Print everything."""
    for name, (klines, open_interest, truth, minutes, churn_per_turnover) in SETS.items():
        inputs = read_inputs(klines, open_interest, truth, bar_minutes=minutes, symbol=SYMBOL)
        # The other kernel has no state between observations: all are judged with spread open interest.
        data = replace(inputs.data, known=np.ones(inputs.data.known.size, dtype=bool))
        steps: Steps = match_steps(data, inputs.truth)
        ts = data.walk_input.ts
        steps = steps.pick(ts[steps.first] > ts[0] + np.timedelta64(1, "D"))
        scores = score_flows(data, steps, variants(data, churn_per_turnover), "walk")
        print(f"\n### BTC {name}\n\n| variant | R² alone | against the walk | + move | + path |\n|---|---|---|---|---|")
        for label, row in scores.rows.items():
            gap = scores.against.get(f"walk - {label}")
            delta = f"{-gap[0].value:+.4f} [{-gap[0].high:+.4f}, {-gap[0].low:+.4f}]" if gap else ""
            print(
                f"| {label} | {row.alone.value:.3f} | {delta} | {row.gain_over_move.value:+.3f} | "
                f"{row.gain_over_path.value:+.3f} |"
            )
        for label, share in {"one churn": lambda _: 1.0, "min(1, L/75)": lambda x: min(1.0, x / 75)}.items():
            print(f"\n{label}: {far_levels(walk_by_leverage(data.walk_input, churn_per_turnover, share))}")
    for closing in ("pro_rata", "by_leverage"):
        market = simulate(replace(BASE, closing=closing))  # type: ignore[arg-type]
        print(f"\nsimulated, closing {closing}: walk {ranked(market).mean:.3f}", end="")
        walks = walk_by_leverage(walk_input(market), 0.05, lambda x: min(1.0, x / 75))
        print(f", churn × min(1, L/75) {ranked(market, _Joined(walks)).mean:.3f}")  # type: ignore[arg-type]


class _Joined:
    """Walks per leverage, seen as one."""

    def __init__(self, walks: list[Walk]) -> None:
        self.sides = {side: _JoinedSide([one.sides[side] for one in walks]) for side in SIDES}


class _JoinedSide:
    def __init__(self, sides: list[SideWalk]) -> None:
        self._sides = sides
        self.liquidation_price, self.liquidated = sides[0].liquidation_price, sides[0].liquidated

    def contracts_open(self, at: int | None = None) -> np.ndarray:
        return np.sum([side.contracts_open(at) for side in self._sides], axis=0)


if __name__ == "__main__":
    main()
