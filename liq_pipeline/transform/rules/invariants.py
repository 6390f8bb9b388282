"""Does the map add up? Every invariant of model.md 4, on the data of the run."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.walk import Floats, WalkInput, walk
from liq_pipeline.transform.rules.integrity import nothing_opened
from liq_pipeline.transform.rules.rule import Outcome, Rule, Subject
from liq_pipeline.warehouse.schema import LEVEL_TABLES

TOLERANCE = 1e-9


def long_levels_lie_below_price(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: every long bin ends at or below the current price."""
    return _on_the_right_side(table, "long", "price_high > current_price")


def short_levels_lie_above_price(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: every short bin starts at or above the current price."""
    return _on_the_right_side(table, "short", "price_low < current_price")


def _on_the_right_side(table: str, side: str, wrong: str) -> Callable[[Subject], Outcome]:
    def rule(subject: Subject) -> Outcome:
        found = subject.sql(
            f"SELECT count(*) AS levels, count(*) FILTER ({wrong}) AS wrong FROM {table} "
            "WHERE symbol = $symbol AND side = $side",
            side=side,
        ).to_pylist()[0]
        right = 100 * (1 - found["wrong"] / found["levels"]) if found["levels"] else 100.0
        return Outcome(
            found["wrong"] == 0,
            f"{right:.1f} % of {found['levels']} {side} levels lie on their side of the price",
            facts={"levels": found["levels"], "wrong": found["wrong"]},
        )

    return rule


def shorter_timeframes_are_contained(subject: Subject) -> Outcome:
    """1d ≤ 7d ≤ 30d ≤ 90d in every (side, leverage, bin)."""
    found = []
    for shorter, longer in pairwise(LEVEL_TABLES):
        wrong = subject.sql(
            f"SELECT count(*) AS n FROM {shorter} AS a "
            f"LEFT JOIN {longer} AS b USING (symbol, side, leverage, price_low) "
            "WHERE a.symbol = $symbol AND (b.contracts IS NULL OR a.contracts > b.contracts)"
        )["n"][0].as_py()
        if wrong:
            found.append(f"{wrong} bins of {shorter} hold more than in {longer}")
    return Outcome(not found, "; ".join(found) or "1d <= 7d <= 30d <= 90d in every bin")


def contracts_stay_within_open_interest(subject: Subject) -> Outcome:
    """Per side, the contracts of the longest timeframe are at most the open interest."""
    longest = LEVEL_TABLES[-1]
    limit = subject.newest["open_interest"]
    sums = subject.sql(
        f"SELECT side, sum(contracts) AS contracts FROM {longest} WHERE symbol = $symbol GROUP BY side ORDER BY side"
    ).to_pylist()
    shares = {row["side"]: row["contracts"] / limit for row in sums}
    return Outcome(
        all(share <= 1 + TOLERANCE for share in shares.values()),
        ", ".join(f"{side}: {100 * share:.2f} % of open interest" for side, share in shares.items()),
        facts={f"{side}_share_of_open_interest": share for side, share in shares.items()},
    )


def positions_add_up_to_open_interest(subject: Subject) -> Outcome:
    """Per side, tracked + untracked = open interest at every bar, and the living cells sum to what is tracked."""
    found = subject.sql(
        "SELECT s.side, max(abs(s.tracked + s.untracked - d.open_interest) / d.open_interest) AS worst, "
        "arg_max(s.tracked, s.ts) AS tracked, "
        "count(*) = (SELECT count(*) FROM oi_delta WHERE symbol = $symbol "
        "AND contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)) AS whole "
        "FROM position_survival AS s JOIN oi_delta AS d USING (symbol, ts) WHERE s.symbol = $symbol "
        "GROUP BY s.side ORDER BY s.side"
    ).to_pylist()
    alive = {side: cells.contracts.sum() for side, cells in subject.living.items()}
    limit = subject.newest["open_interest"]
    # NumPy's maximum keeps a NaN; Python's may drop it.
    worst = float(np.max([row["worst"] for row in found], initial=0.0))
    drift = float(np.max([abs(row["tracked"] - alive[row["side"]]) / limit for row in found], initial=0.0))
    whole = len(found) == 2 and all(row["whole"] for row in found)
    return Outcome(
        whole and worst <= TOLERANCE and drift <= TOLERANCE,
        f"largest relative error of tracked + untracked against open interest {worst:.1e}, "
        f"of the living cells against tracked {drift:.1e}" + ("" if whole else "; bars are missing"),
        facts={"worst_relative_error": worst, "cells_relative_error": drift},
    )


def no_living_cell_was_touched(subject: Subject) -> Outcome:
    """No living long lies at or above the lowest low since it opened; mirrored for shorts."""
    bars, at_the_end = subject.bars, np.inf
    lowest = np.minimum.accumulate(np.append(bars.low[1:], at_the_end)[::-1])[::-1]  # of all later bars
    highest = np.maximum.accumulate(np.append(bars.high[1:], -at_the_end)[::-1])[::-1]
    alive = touched = 0
    for side, cells in subject.living.items():
        bar = np.minimum(np.searchsorted(bars.ts, cells.opened_at), bars.ts.size - 1)
        price = cells.liquidation_price
        is_touched = (
            price >= np.minimum(bars.close, lowest)[bar]
            if side == "long"
            else price <= np.maximum(bars.close, highest)[bar]
        )
        alive, touched = alive + price.size, touched + int(np.count_nonzero(is_touched))
    return Outcome(touched == 0, f"{touched} of {alive} living cells were touched")


def the_past_does_not_change(subject: Subject) -> Outcome:
    """A walk that ends at two thirds of the data gives what the whole walk says of that instant: no look-ahead."""
    bars = subject.bars
    cut = max(1, 2 * bars.ts.size // 3)
    whole = subject.walked
    part = walk(WalkInput(**{name: values[:cut] for name, values in vars(bars).items()}), subject.symbol)
    same = all(
        np.array_equal(part.sides[side].contracts_open(), whole.sides[side].contracts_open(at=cut - 1)[:cut])
        for side in whole.sides
    )
    text = f"replayed to {np.datetime_as_string(bars.ts[cut - 1], 'm')}"
    return Outcome(same, f"{text}: the same" if same else f"{text}: not the same; the walk looks ahead")


def the_map_scales_with_the_price(subject: Subject) -> Outcome:
    """Prices × 2 give the same positions with liquidation prices × 2. (A power of two: exact in floating point.)"""
    bars = subject.bars
    scaled = replace(bars, **{name: 2 * getattr(bars, name) for name in ("entry_price", "low", "high", "close")})
    one, two = subject.walked, walk(scaled, subject.symbol)
    same = all(
        np.array_equal(one.sides[side].contracts_open(), two.sides[side].contracts_open())
        and np.array_equal(2 * one.sides[side].liquidation_price, two.sides[side].liquidation_price, equal_nan=True)
        for side in one.sides
    )
    return Outcome(same, "the map scales with the price" if same else "prices × 2 do not give the same map × 2")


def mirrored_prices_exchange_the_sides(subject: Subject) -> Outcome:
    """With prices negated, lows and highs exchanged and levels at their mirror images, longs live as shorts did.

    The liquidation formula itself is not symmetric (it divides by 1 − m and 1 + m), so the mirror image of the levels
    is given, not computed.
    """
    bars, straight = subject.bars, subject.walked
    flipped = replace(bars, entry_price=-bars.entry_price, low=-bars.high, high=-bars.low, close=-bars.close)
    prices: dict[Side, Floats] = {
        "long": -straight.sides["short"].liquidation_price,
        "short": -straight.sides["long"].liquidation_price,
    }
    mirrored = walk(flipped, subject.symbol, prices=prices)
    same = all(
        np.array_equal(straight.sides[one].contracts_open(), mirrored.sides[other].contracts_open())
        for one, other in zip(SIDES, reversed(SIDES), strict=True)
    )
    return Outcome(same, "long and short change places" if same else "the sides are not treated alike")


def stored_positions_follow_from_the_bars(subject: Subject) -> Outcome:
    """What the table holds is what the walk gives now on the stored bars."""
    result = subject.walked
    opened = {side: np.count_nonzero(walked.contracts_opened) for side, walked in result.sides.items()}
    positions, living = subject.positions, subject.living
    limit = float(result.bars.open_interest[-1])
    wrong: list[Side] = []
    for side in SIDES:
        cells = np.count_nonzero(positions.contracts_opened[positions.is_long == (side == "long")])
        drift = abs(living[side].contracts.sum() - result.sides[side].contracts_open().sum())
        if cells != opened[side] or not drift <= TOLERANCE * limit:
            wrong.append(side)
    if not any(opened.values()) and not wrong:
        return Outcome(True, nothing_opened(result.bars.ts.size))
    if wrong and not positions.opened_at.size:
        return Outcome(False, "stale or altered: empty")
    return Outcome(not wrong, f"stale or altered: {wrong}" if wrong else "the table is what the bars give")


def invariant_rules() -> list[Rule]:
    """Return the invariants of the model. All of them block."""
    rules = []
    for table in LEVEL_TABLES:
        below, above = long_levels_lie_below_price(table), short_levels_lie_above_price(table)
        rules += [
            Rule(table, "long_levels_lie_below_price", below, "Every long bin ends at or below the price.", True),
            Rule(table, "short_levels_lie_above_price", above, "Every short bin starts at or above the price.", True),
        ]
    every_bar = (
        (
            LEVEL_TABLES[-1],
            shorter_timeframes_are_contained,
            "1d ≤ 7d ≤ 30d ≤ 90d in every side, leverage and price bin.",
        ),
        (
            LEVEL_TABLES[-1],
            contracts_stay_within_open_interest,
            "Per side, the contracts sum to at most the open interest.",
        ),
        (
            "position_survival",
            positions_add_up_to_open_interest,
            "Per side and bar, tracked + untracked = open interest (≤ 1e-9), and the living cells sum to tracked.",
        ),
    )
    full_runs = (
        (no_living_cell_was_touched, "Price has not reached any living cell since it opened."),
        (
            the_past_does_not_change,
            "Cutting the data off at a past instant gives the same positions: no look-ahead.",
        ),
        (the_map_scales_with_the_price, "Prices × 2 give the same map, scaled."),
        (
            mirrored_prices_exchange_the_sides,
            "Mirrored prices give the same positions with long and short exchanged.",
        ),
        (stored_positions_follow_from_the_bars, "The stored cohorts are what the walk gives on the stored bars."),
    )
    rules += [Rule(table, rule.__name__, rule, said, blocking=True) for table, rule, said in every_bar]
    rules += [
        Rule("position_cohorts", rule.__name__, rule, said, blocking=True, every_bar=False) for rule, said in full_runs
    ]
    return rules
