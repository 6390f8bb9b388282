"""Which days of a symbol an archive lists, and what to say when it lists none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from liq_pipeline.errors import ChecksumsMissing, UnknownSymbol
from liq_pipeline.exchange.archive import Archive
from liq_pipeline.exchange.keys import SIDECAR, ArchiveDataset, RemoteFile


@dataclass(frozen=True)
class Listing:
    """What an archive lists of one symbol's dataset.

    Args:
        days: the zips, by day.
        signed: keys of the files beside which a sidecar is listed.
    """

    days: dict[date, RemoteFile] = field(default_factory=dict)
    signed: frozenset[str] = frozenset()


def list_days(archive: Archive, dataset: ArchiveDataset, symbol: str) -> Listing:
    """Return the zips of a symbol by day; junk keys are left out (`Dataset.day_of`).

    Raises:
        UnknownSymbol: there are none.
    """
    files = archive.list_files(dataset.prefix(symbol))
    days = {dataset.day_of(symbol, file.key): file for file in files}
    listed = {day: days[day] for day in sorted(day for day in days if day)}
    if not listed:
        raise unknown_symbol(archive, dataset, symbol)
    return Listing(listed, signed_keys(files))


def signed_keys(files: Collection[RemoteFile]) -> frozenset[str]:
    """Return the keys of the files beside which a sidecar is listed."""
    return frozenset(file.key.removesuffix(SIDECAR) for file in files if file.key.endswith(SIDECAR))


def ask_for_sidecars(archive: Archive, zips: int, signed: Collection[str], what: str) -> None:
    """Stop early where an archive has zips but not one sidecar, and no leave to do without.

    Args:
        archive: whose listing it was.
        zips: how many zips it lists.
        signed: keys with a sidecar.
        what: what the zips hold, in words.

    Raises:
        ChecksumsMissing: names how many zips there are, and how to get their sidecars.
    """
    if not zips or signed or not archive.needs_checksums:
        return
    unverified = "; or take the folder's files unverified: --no-checksums (LIQ_NO_CHECKSUMS=1)"
    raise ChecksumsMissing(
        f"no {SIDECAR} beside {zips} zips of {what} in {archive.location}",
        expected=f"<name>.zip{SIDECAR} beside each <name>.zip: it tells a whole file from a damaged one",
        remedy="mirror the sidecars, too (the exchange's own download scripts leave them out unless told `-c 1`)"
        + (unverified if archive.is_folder else ""),
    )


def unknown_symbol(archive: Archive, dataset: ArchiveDataset, symbol: str) -> UnknownSymbol:
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
