"""Asked before long work, and before anything heavy is loaded: does the archive answer, does it know the symbols?"""

from __future__ import annotations

from time import sleep
from urllib.parse import urlsplit

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, RestUnreachable, SettingsError, UnknownSymbol
from liq_pipeline.exchange.archive import open_archive
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.listing import unknown_symbol
from liq_pipeline.exchange.universe import Universe
from liq_pipeline.exchange.universe import find_universe as ask_for_universe
from liq_pipeline.settings import Settings
from liq_pipeline.symbols import known
from liq_pipeline.system.network import through_proxy, why_unreachable

_A_MOMENT = 0.3  # seconds until a refused connection is tried again: once


def unknown_symbols(settings: Settings) -> dict[str, UnknownSymbol]:
    """Return which of the symbols the archive does not list, with what is perhaps meant.

    One clear message is better than the same from every asset and retry; one symbol that is known is enough to go on.

    Raises:
        ArchiveForbidden, ArchiveUnreachable: the archive does not answer; told within about three seconds.
        UnknownSymbol: it lists none of them.
        SettingsError: neither a URL nor a folder, or a proxy that cannot be used.
    """
    try:
        require_reachable(settings)
        archive = open_archive(settings.archive, settings.listing_url, needs_checksums=not settings.no_checksums)
        listed = set(archive.list_folders(METRICS.root))
    except (ArchiveForbidden, ArchiveUnreachable) as error:
        raise _with_local_count(error, settings) from error
    unknown = {symbol: unknown_symbol(archive, METRICS, symbol) for symbol in settings.symbols if symbol not in listed}
    if len(unknown) == len(settings.symbols):
        errors = list(unknown.values())
        problems = [f"{error.problem} (expected {error.expected})" for error in errors]
        raise errors[0] if len(errors) == 1 else UnknownSymbol("; ".join(problems), remedy=errors[0].remedy)
    return unknown


def find_universe(settings: Settings) -> Universe:
    """Ask the archive which symbols `all`, `top:N` and patterns stand for.

    Raises:
        ArchiveForbidden, ArchiveUnreachable, SettingsError: as `unknown_symbols`.
        UnknownSymbol: one of them stands for none.
    """
    try:
        require_reachable(settings)
        return ask_for_universe(settings)
    except (ArchiveForbidden, ArchiveUnreachable) as error:
        raise _with_local_count(error, settings) from error


def require_reachable(settings: Settings) -> None:
    """See that somebody takes connections where the archive and its listing are.

    Raises:
        ArchiveUnreachable: nobody does.
    """
    places = {urlsplit(url).netloc: url for url in (settings.archive, settings.listing_url) if "://" in url}
    for host, url in places.items():
        if why := _why_unreachable(url):
            raise ArchiveUnreachable(
                f"{host} does not answer{through_proxy(url)} ({why}; asked for {url})",
                remedy="check the network and try again",
            )


def require_rest(settings: Settings) -> None:
    """See that REST is on and that somebody takes connections there.

    Raises:
        SettingsError: it is off.
        RestUnreachable: nobody does.
    """
    url = settings.rest_url
    if not url:
        raise SettingsError("REST is off, so nothing is newer than the archive", remedy="set LIQ_REST, or `liq run`")
    if why := _why_unreachable(url):
        raise RestUnreachable(
            f"{urlsplit(url).netloc} does not answer{through_proxy(url)} ({why})",
            remedy="check the network and try again; what was published before stays",
        )


def _why_unreachable(url: str) -> str:
    why = why_unreachable(url)
    if why and "within" not in why:
        sleep(_A_MOMENT)
        why = why_unreachable(url)
    return why


def _with_local_count(error: ArchiveForbidden | ArchiveUnreachable, settings: Settings) -> Exception:
    wanted = known(settings) or ()
    here = {symbol: sum(1 for _ in settings.raw_dir.glob(f"data/**/{symbol}/**/*.zip")) for symbol in wanted}
    counts = ", ".join(f"{symbol} {count}" for symbol, count in here.items()) or "none"
    return type(error)(
        f"{error.problem}. Nothing was changed; files already in {settings.raw_dir}: {counts}",
        expected=error.expected,
        remedy=f"{error.remedy.rstrip('.')}; `liq demo` shows the whole chain without the exchange",
    )
