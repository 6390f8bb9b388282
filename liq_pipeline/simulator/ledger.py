"""The tables of the bar loop: every position, and who is alive on each side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled
from liq_pipeline.simulator.heap import push

LONG, SHORT = 0, 1
PRO_RATA, OLDEST_FIRST, WINNERS_FIRST, BY_LEVERAGE = 0, 1, 2, 3
Array = NDArray[Any]


class Rows(NamedTuple):
    """The positions, one row each; bars are indices, -1 before the first bar (opened) or alive (closed)."""

    opened: Array  # int64
    closed: Array  # int64
    liquidated: Array  # bool
    side: Array  # int8
    leverage: Array  # float64
    entry: Array  # float64
    price: Array  # float64, liquidation price
    lots: Array  # int64
    used: Array  # int64, one cell: how many rows are in use


class Book(NamedTuple):
    """Who is alive on one side. `size` holds the lengths: alive, touch heap, queue heap; and the alive lots."""

    alive: Array  # int64, rows in any order
    where: Array  # int64, row -> its place in `alive`
    touch_key: Array  # float64
    touch_id: Array  # int64
    queue_key: Array  # float64
    queue_id: Array  # int64
    size: Array  # int64


def new_rows(capacity: int) -> Rows:
    """Return an empty table."""
    bar, price = np.zeros(capacity, np.int64), np.zeros(capacity)
    return Rows(
        opened=bar,
        closed=bar.copy(),
        liquidated=np.zeros(capacity, np.bool_),
        side=np.zeros(capacity, np.int8),
        leverage=price.copy(),
        entry=price.copy(),
        price=price,
        lots=bar.copy(),
        used=np.zeros(1, np.int64),
    )


def new_book(capacity: int) -> Book:
    """Return an empty side."""
    whole, real = np.zeros(capacity, np.int64), np.zeros(capacity)
    return Book(whole, whole.copy(), real, whole.copy(), real.copy(), whole.copy(), np.zeros(4, np.int64))


def longer_rows(rows: Rows) -> Rows:
    """Return the table with twice the room."""
    longer = Rows(*(np.resize(column, 2 * column.size) for column in rows))
    return longer._replace(used=rows.used)


def longer_book(book: Book) -> Book:
    """Return the side with twice the room."""
    longer = Book(*(np.resize(column, 2 * column.size) for column in book))
    return longer._replace(size=book.size)


@compiled()
def add(rows: Rows, bar: int, side: int, leverage: float, entry: float, price: float, lots: int) -> int:
    """Append a living position and return its row."""
    row = rows.used[0]
    rows.opened[row], rows.closed[row], rows.liquidated[row] = bar, -1, False
    rows.side[row], rows.leverage[row], rows.entry[row] = side, leverage, entry
    rows.price[row], rows.lots[row] = price, lots
    rows.used[0] += 1
    return row


@compiled()
def enter(rows: Rows, book: Book, row: int, closing: int) -> None:
    """Put a row among the living, into the touch heap and, where closing has an order, into the queue."""
    sign = -1.0 if rows.side[row] == LONG else 1.0
    book.where[row] = book.size[0]
    book.alive[book.size[0]] = row
    book.size[0] += 1
    book.size[3] += rows.lots[row]
    book.size[1] = push(book.touch_key, book.touch_id, book.size[1], sign * rows.price[row], row)
    if closing == OLDEST_FIRST:
        book.size[2] = push(book.queue_key, book.queue_id, book.size[2], float(rows.opened[row]), row)
    elif closing == WINNERS_FIRST:
        book.size[2] = push(book.queue_key, book.queue_id, book.size[2], -sign * rows.entry[row], row)


@compiled()
def split(rows: Rows, book: Book, row: int, bar: int, lots: int) -> None:
    """Close a part of a row: the part becomes a row of its own, so that the rest keeps its places in the heaps."""
    twin = add(rows, rows.opened[row], rows.side[row], rows.leverage[row], rows.entry[row], rows.price[row], lots)
    rows.closed[twin] = bar
    rows.lots[row] -= lots
    book.size[3] -= lots


@compiled()
def leave(rows: Rows, book: Book, row: int, bar: int) -> None:
    """Take a row from among the living; the heaps forget it when they meet it."""
    last = book.alive[book.size[0] - 1]
    book.alive[book.where[row]] = last
    book.where[last] = book.where[row]
    book.size[0] -= 1
    book.size[3] -= rows.lots[row]
    rows.closed[row] = bar
