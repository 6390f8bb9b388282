"""The warehouse of one machine among several: made from the symbol's raw files, of use only while it is the newest.

Another machine may have moved the symbol on since; its tables are not moved, but made again from the raw files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.market import load_market
from liq_pipeline.warehouse.warehouse import Warehouse


@contextmanager
def newest_warehouse(warehouse: Warehouse, publisher: Publisher, symbol: str) -> Iterator[bool]:
    """Remove the symbol's warehouse unless this machine made it for the edition that counts; yield whether it is kept.

    Where there is no bucket it is always kept.
    """
    with publisher.following(symbol):
        if publisher.editions is None:
            yield True
            return
        note = warehouse.file_of(symbol).with_suffix(".edition")
        is_newest = _noted(note) == publisher.editions.name_of(symbol)
        if not is_newest and warehouse.file_of(symbol).exists():
            warehouse.remove(symbol)
        with suppress(FileNotFoundError):
            note.unlink()  # until all is done: whoever is killed leaves tables that nobody can judge
        yield is_newest
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(publisher.editions.name_of(symbol), encoding="utf-8")


def fill_warehouse(warehouse: Warehouse, archive: ArchiveSource, rest: RestSource, symbol: str, now: datetime) -> None:
    """Make the symbol's first tables from its raw files; what follows from them is made by whoever goes on.

    Raises:
        NoData: no good file.
    """
    load_market(warehouse, archive, rest, symbol, now)
    with warehouse.transaction(symbol) as tables:
        tables.rebuild("oi_delta", symbol)


def _noted(note: Path) -> str | None:
    try:
        return note.read_text(encoding="utf-8")
    except OSError:
        return None
