"""Which symbols `all`, `top:50` and patterns such as `1000*` stand for: by the archive's listing and newest files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc

from liq_pipeline.clock import now_by
from liq_pipeline.errors import UnknownSymbol
from liq_pipeline.exchange.archive import Archive, open_archive
from liq_pipeline.exchange.fetch import fetch_file
from liq_pipeline.exchange.formats import read_dataset
from liq_pipeline.exchange.keys import METRICS, ArchiveDataset, RemoteFile, klines
from liq_pipeline.setting_forms import is_selector, top_of
from liq_pipeline.settings import Settings
from liq_pipeline.symbols import remember, remembered

DAYS_BACK = 3  # the exchange publishes a day's files in the next morning, sometimes a day late
_DELIVERY = re.compile(r"_[0-9]{6}$")  # BTCUSDT_260925: it has a delivery date


@dataclass(frozen=True)
class Universe:
    """What selectors stood for, and how that differs from the time before.

    Attributes:
        symbols: those that were named, then those that were selected; by turnover with `top:N`, else by name.
        appeared: selected now, and not the time before; empty the first time.
        vanished: selected the time before, and not traded any more.
        left: selected the time before, traded still, and not among the largest any more.
        unknown: their newest files are damaged: those that were selected the time before stay.
        asked: the selectors.
    """

    symbols: tuple[str, ...]
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    def said(self) -> list[str]:
        """Return what people should know, in lines."""
        stays = "what was published of it stays, with its last bar"
        return [
            f"{', '.join(self.asked)}: {len(self.symbols)} symbols",
            *(f"{symbol} is new" for symbol in self.appeared),
            *(f"{symbol} is not traded any more: {stays}" for symbol in self.vanished),
            *(
                f"{symbol}: its newest files are damaged, so nobody knows whether it is traded"
                for symbol in self.unknown
            ),
            *(f"{symbol} is not among {', '.join(self.asked)} any more: {stays}" for symbol in self.left),
        ]


def find_universe(settings: Settings) -> Universe:
    """Ask the archive which symbols are meant, and remember it.

    A symbol is traded if a file of the newest three days says so. Contracts with a delivery date are left out unless
    a pattern has a `_`.

    Raises:
        ArchiveForbidden, ArchiveUnreachable: the archive does not answer.
        UnknownSymbol: a selector stands for no symbol.
    """
    archive = open_archive(settings.archive, settings.listing_url, needs_checksums=not settings.no_checksums)
    listed = archive.list_folders(METRICS.root)
    asked, selected = remembered(settings.data_dir)
    before = selected if asked == settings.symbols else ()
    answers = _turnovers(archive, klines(settings.bar), _candidates(settings.symbols, listed), settings)
    turnover = {symbol: usd for symbol, usd in answers.items() if usd is not None}
    unknown = tuple(symbol for symbol in answers if symbol not in turnover)
    chosen: dict[str, None] = {}
    for text in settings.symbols:
        found = _selected(text, turnover) if is_selector(text) else [text]
        if not found:
            raise UnknownSymbol(
                f"{text!r} stands for no symbol that is traded: {archive.location} lists {len(listed)} symbols",
                expected="all, top:N, or a pattern such as 1000* or *USDC",
                remedy="correct --symbols (LIQ_SYMBOLS)",
            )
        chosen |= dict.fromkeys(found)
    chosen |= dict.fromkeys(symbol for symbol in unknown if symbol in before)  # no answer is no farewell
    symbols = tuple(chosen)
    gone = [symbol for symbol in before if symbol not in chosen]
    universe = Universe(
        symbols,
        appeared=tuple(symbol for symbol in symbols if before and symbol not in before),
        vanished=tuple(symbol for symbol in gone if symbol not in turnover),
        left=tuple(symbol for symbol in gone if symbol in turnover),
        unknown=unknown,
        asked=settings.symbols,
    )
    remember(settings.data_dir, settings.symbols, symbols)
    return universe


def _candidates(asked: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Return the listed symbols that any selector may stand for."""
    patterns = ["*" if text == "all" or top_of(text) else text for text in asked if is_selector(text)]
    return [
        symbol
        for symbol in listed
        if any(fnmatchcase(symbol, one) and ("_" in one or not _DELIVERY.search(symbol)) for one in patterns)
    ]


def _selected(text: str, turnover: dict[str, float]) -> list[str]:
    count = top_of(text)
    if count:
        return sorted(turnover, key=lambda symbol: (-turnover[symbol], symbol))[:count]
    return sorted(symbol for symbol in turnover if text == "all" or fnmatchcase(symbol, text))


def _turnovers(
    archive: Archive, dataset: ArchiveDataset, symbols: Sequence[str], settings: Settings
) -> dict[str, float | None]:
    """Return the USD traded on the newest day that has a file, of those that were traded; None where it is unknown."""
    today = now_by(settings).date()
    days = [today - timedelta(days=back) for back in range(1, DAYS_BACK + 1)]
    with TemporaryDirectory(prefix="liq_universe_") as folder, ThreadPoolExecutor(settings.workers) as pool:
        found = pool.map(partial(_turnover, archive, dataset, days, Path(folder)), symbols)
        return {symbol: usd for symbol, usd in zip(symbols, found, strict=True) if usd != 0}


def _turnover(
    archive: Archive, dataset: ArchiveDataset, days: Iterable[date], folder: Path, symbol: str
) -> float | None:
    is_unknown = False
    for day in days:
        remote = RemoteFile(dataset.key(symbol, day), 0, "", datetime.fromtimestamp(0, UTC))
        fetched = fetch_file(archive, remote, folder)
        if fetched.status == "ok" and fetched.path:
            whole = fetched.path.rename(fetched.path.with_name(Path(remote.key).name))
            rows = read_dataset(dataset, [whole], symbol)
            if not rows.bad:
                return float(pc.sum(rows.table["quote_volume"]).as_py() or 0.0)
        is_unknown |= fetched.status != "missing"
    return None if is_unknown else 0.0
