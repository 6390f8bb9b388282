"""Which days of a symbol an archive lists, and what to say when it lists none."""

from __future__ import annotations

from datetime import date
from difflib import get_close_matches

from liq_pipeline.errors import UnknownSymbol
from liq_pipeline.exchange.archive import Archive
from liq_pipeline.exchange.keys import Dataset, RemoteFile


def list_days(archive: Archive, dataset: Dataset, symbol: str) -> dict[date, RemoteFile]:
    """Return the zips of a symbol by day; junk keys are left out (`Dataset.day_of`).

    Raises:
        UnknownSymbol: there are none.
    """
    days = {dataset.day_of(symbol, file.key): file for file in archive.list_files(dataset.prefix(symbol))}
    listed = {day: days[day] for day in sorted(day for day in days if day)}
    if not listed:
        raise unknown_symbol(archive, dataset, symbol)
    return listed


def unknown_symbol(archive: Archive, dataset: Dataset, symbol: str) -> UnknownSymbol:
    """Return an error that names the symbols, or the intervals, that come close."""
    symbols = archive.list_folders(dataset.root)
    if symbol in symbols and dataset.interval:
        intervals = ", ".join(archive.list_folders(f"{dataset.root}{symbol}/")) or "none"
        return UnknownSymbol(
            f"{archive.location} lists no {dataset.interval} klines of {symbol}",
            expected=f"one of the intervals that are there: {intervals}",
            remedy="choose another bar (--bar, LIQ_BAR)",
        )
    close = ", ".join(get_close_matches(symbol, symbols, n=5))
    return UnknownSymbol(
        f"{archive.location} lists no {dataset.name} of {symbol!r}",
        expected=(
            f"one of its {len(symbols)} symbols" + (f", for example {close}" if close else "")
            if symbols
            else f"files below {dataset.root}"
        ),
        remedy="correct --symbols (LIQ_SYMBOLS)" if symbols else f"check that the archive holds {dataset.root}",
    )
