"""The bar loop: traders open, hold, close and get liquidated. Compiled; contracts are integer lots, so sums are exact.

One row is one position (read: a crowd of like traders) from opening to end. A partial close splits a row: the closed
part becomes a row of its own. Closing costs O(positions closed), liquidation O(log positions) each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liq_pipeline.model.compiled import compiled
from liq_pipeline.simulator.heap import pop
from liq_pipeline.simulator.ledger import (
    BY_LEVERAGE,
    LONG,
    OLDEST_FIRST,
    SHORT,
    WINNERS_FIRST,
    Array,
    Book,
    Rows,
    add,
    enter,
    leave,
    split,
)

MOST_OPENED = 256  # positions that open in one bar and side at most
ROWS_PER_BAR = 4 * MOST_OPENED + 8  # both sides, each perhaps liquidated at once and taken over, and the splits
LOTS = 1000.0  # lots per contract: quantities have three decimals
MOST_CHURN = 0.3  # of the alive positions in one bar
REVERSION_DAYS = 3.0  # memory of open interest
DELEVERAGING = 0.1  # share of the liquidated contracts by which open interest falls


class Rules(NamedTuple):
    """How the traders behave: what the model assumes, or a breach of it."""

    ladder: Array  # leverage on offer
    cumulative: Array  # cumulative weights of the ladder, ends at 1
    closing: int  # who closes: PRO_RATA, ...
    spread_entry: bool  # enter anywhere in [low, high] instead of at the VWAP
    churn_per_turnover: float  # churn per turnover, as the model has it
    churn_long: float  # multiples of the model's churn
    churn_short: float
    large: bool  # traders of 0.3 to 50 million USD instead of first-bracket ones
    brackets: Array  # rows of (notional cap, maintenance rate, amount, maximum leverage)
    traders: int  # positions per side, about
    level: float  # mean open interest, lots
    bars_per_day: float


class Tape(NamedTuple):
    """What every bar brings, and the columns that the loop fills in (the last five)."""

    low: Array
    high: Array
    close: Array
    vwap: Array
    turnover: Array
    shock: Array
    volume: Array  # lots
    quote: Array  # USD
    open_interest: Array  # lots, at the close
    liquidated: Array  # (side, bar), lots
    liquidated_usd: Array  # (side, bar), lots × liquidation price


@compiled()
def liquidation_price(side: int, entry: float, leverage: float, notional: float, rules: Rules) -> float:
    """Return the isolated-margin price, with the bracket of the notional at that price."""
    price = 0.0
    for n in range(rules.brackets.shape[0]):
        rate, amount = rules.brackets[n, 1], rules.brackets[n, 2]
        credit = amount / notional if rules.large else 0.0
        if side == LONG:
            price = entry * (1.0 - 1.0 / leverage - credit) / (1.0 - rate)
        else:
            price = entry * (1.0 + 1.0 / leverage + credit) / (1.0 + rate)
        if not rules.large or notional * price / entry <= rules.brackets[n, 0]:
            break
    return price


@compiled()
def _liquidate(rows: Rows, book: Book, side: int, bar: int, tape: Tape) -> None:
    limit = -tape.low[bar] if side == LONG else tape.high[bar]
    while book.size[1] > 0 and book.touch_key[0] <= limit:
        row = book.touch_id[0]
        book.size[1] = pop(book.touch_key, book.touch_id, book.size[1])
        if rows.closed[row] < 0:
            leave(rows, book, row, bar)
            rows.liquidated[row] = True
            tape.liquidated[side, bar] += rows.lots[row]
            tape.liquidated_usd[side, bar] += rows.lots[row] * rows.price[row]


@compiled()
def _pick(rng: np.random.Generator, rows: Rows, book: Book, closing: int) -> int:
    if closing in (OLDEST_FIRST, WINNERS_FIRST):
        while rows.closed[book.queue_id[0]] >= 0:
            book.size[2] = pop(book.queue_key, book.queue_id, book.size[2])
        return book.queue_id[0]
    row = book.alive[int(rng.random() * book.size[0])]
    if closing == BY_LEVERAGE:
        for _ in range(64):
            if rng.random() < rows.leverage[row] / 75.0:
                break
            row = book.alive[int(rng.random() * book.size[0])]
    return row


@compiled()
def _close(rng: np.random.Generator, rows: Rows, book: Book, bar: int, lots: int, closing: int) -> None:
    while lots > 0 and book.size[0] > 0:
        row = _pick(rng, rows, book, closing)
        part = min(lots, rows.lots[row])
        if part == rows.lots[row]:
            leave(rows, book, row, bar)
        else:
            split(rows, book, row, bar, part)
        lots -= part


@compiled()
def _draw(rng: np.random.Generator, side: int, entry: float, rules: Rules) -> tuple[float, float]:
    leverage = rules.ladder[np.searchsorted(rules.cumulative[:-1], rng.random())]
    notional = 0.0
    if rules.large:
        notional = 3e5 * np.exp(rng.random() * np.log(5e7 / 3e5))
        bracket = rules.brackets[np.searchsorted(rules.brackets[:, 0], notional)]
        leverage = min(leverage, bracket[3])
    return leverage, liquidation_price(side, entry, leverage, notional, rules)


@compiled()
def _open(
    rng: np.random.Generator,
    rows: Rows,
    book: Book,
    side: int,
    bar: int,
    lots: int,
    entry: float,
    tape: Tape,
    rules: Rules,
) -> None:
    if lots <= 0:
        return
    wanted = int(np.rint(lots / rules.level * rules.traders))
    people = max(1, min(wanted, MOST_OPENED, lots))
    share = np.empty(people)
    for k in range(people):
        share[k] = -np.log(1.0 - rng.random()) + 0.25
    share /= share.sum()
    left = lots
    close = tape.close[bar]
    for k in range(people):
        part = left if k == people - 1 else min(left, int(lots * share[k]))
        if part == 0:
            continue
        left -= part
        at = tape.low[bar] + (tape.high[bar] - tape.low[bar]) * rng.random() if rules.spread_entry else entry
        leverage, price = _draw(rng, side, at, rules)
        if price >= close if side == LONG else price <= close:
            # Liquidated inside its own bar, and taken over by somebody whose position outlives the bar.
            row = add(rows, bar, side, leverage, at, price, part)
            rows.closed[row], rows.liquidated[row] = bar, True
            tape.liquidated[side, bar] += part
            tape.liquidated_usd[side, bar] += part * price
            for _ in range(32):
                leverage, price = _draw(rng, side, at, rules)
                if price < close if side == LONG else price > close:
                    break
            else:
                leverage = rules.ladder[0]
                price = liquidation_price(side, at, leverage, 3e5, rules)
        enter(rows, book, add(rows, bar, side, leverage, at, price, part), rules.closing)


@compiled()
def begin(rng: np.random.Generator, rows: Rows, longs: Book, shorts: Book, start_price: float, rules: Rules) -> None:
    """Fill both sides to the mean open interest with positions opened before the first bar, around `start_price`."""
    total = int(rules.level)
    for side in range(2):
        book = longs if side == LONG else shorts
        left = total
        for k in range(rules.traders):
            part = left if k == rules.traders - 1 else total // rules.traders
            left -= part
            sign = 1.0 if side == LONG else -1.0
            # A holder's entry lies where the price came from; nobody is alive beyond the touch.
            entry = start_price * (1.0 - sign * 0.03 * np.log(1.0 - rng.random()) * (rng.random() - 0.7))
            leverage, price = _draw(rng, side, entry, rules)
            if price >= start_price if side == LONG else price <= start_price:
                entry = start_price
                leverage, price = _draw(rng, side, entry, rules)
            if part > 0:
                enter(rows, book, add(rows, -1, side, leverage, entry, price, part), rules.closing)


@compiled()
def run(
    rng: np.random.Generator, first: int, state: Array, tape: Tape, rows: Rows, longs: Book, shorts: Book, rules: Rules
) -> int:
    """Trade from bar `first` on, until the last bar or until `rows` may be full; return the next bar.

    The order inside a bar is that of the model: liquidate, net flow, churn, open. `state` holds the deviation of
    the logarithm of open interest from its mean.
    """
    for bar in range(first, tape.close.size):
        if rows.used[0] + ROWS_PER_BAR > rows.lots.size:
            return bar
        before = longs.size[3]
        _liquidate(rows, longs, LONG, bar, tape)
        _liquidate(rows, shorts, SHORT, bar, tape)
        touched = tape.liquidated[LONG, bar] + tape.liquidated[SHORT, bar]
        state[0] += tape.shock[bar] - state[0] / (REVERSION_DAYS * rules.bars_per_day)
        state[0] -= DELEVERAGING * touched / before
        after = max(int(np.rint(rules.level * np.exp(state[0]))), 1)
        change = after - before
        volume = abs(change) + touched + 1 + int(np.rint(tape.turnover[bar] * after))
        quote = np.rint(tape.vwap[bar] * volume / LOTS * 1e4) / 1e4
        entry = min(max(quote / (volume / LOTS), tape.low[bar]), tape.high[bar])
        tape.volume[bar], tape.quote[bar], tape.open_interest[bar] = volume, quote, after
        churn = min(MOST_CHURN, rules.churn_per_turnover * (volume - abs(change)) / after)
        for side in range(2):
            book = longs if side == LONG else shorts
            flow = after - book.size[3]
            if flow < 0:
                _close(rng, rows, book, bar, -flow, rules.closing)
            multiple = rules.churn_long if side == LONG else rules.churn_short
            turned = int(np.rint(min(0.9, churn * multiple) * book.size[3]))
            _close(rng, rows, book, bar, turned, rules.closing)
            _open(rng, rows, book, side, bar, max(flow, 0) + turned, entry, tape, rules)
    return tape.close.size
