"""Commands that change something: `run`, `recent`, `ui`, `record`, `forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from liq_pipeline.cli.app import (
    DATA_LOST,
    OK,
    STALE,
    WRONG_USAGE,
    Archive,
    Bar,
    Data,
    Jobs,
    NoChecksums,
    NoPictures,
    Now,
    Port,
    Since,
    Symbols,
    app,
    say,
)
from liq_pipeline.cli.console import make_console
from liq_pipeline.cli.demo import demo_mirror, demo_settings
from liq_pipeline.clock import now_by
from liq_pipeline.errors import INTERRUPTED, RestUnreachable, SettingsError
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.symbols import has_selectors, named, with_symbols
from liq_pipeline.system.storage import check_writable

if TYPE_CHECKING:
    from rich.console import Console

    from liq_pipeline.orchestration.results import SymbolResult


@app.command()
def run(
    symbols: Symbols = None,
    bar: Bar = None,
    since: Since = None,
    archive: Archive = None,
    no_checksums: NoChecksums = False,
    data: Data = None,
    now: Now = None,
    jobs: Jobs = None,
    no_pictures: NoPictures = False,
) -> None:
    """Fetch, compute, check and publish, for every symbol."""
    settings = load_settings(
        symbols=symbols, bar=bar, since=since, archive=archive, no_checksums=no_checksums or None, data_dir=data,
        now=now, jobs=jobs, pictures=False if no_pictures else None,
    )  # fmt: skip
    raise typer.Exit(run_all(settings))


@app.command()
def recent(symbols: Symbols = None, data: Data = None, now: Now = None, jobs: Jobs = None) -> None:
    """Bring the published levels up to the newest closed bar, over REST; after a full run."""
    settings = named(load_settings(symbols=symbols, data_dir=data, now=now, jobs=jobs))
    check_writable(settings.data_dir)
    from liq_pipeline.cli.console import reporter
    from liq_pipeline.exchange.preflight import require_rest
    from liq_pipeline.published.status import read_status

    failed: list[str] = []
    try:
        require_rest(settings)
    except RestUnreachable as error:
        say(f"nothing new: {error}")  # no fault of the data: the archive alone goes on
    else:
        from liq_pipeline.orchestration.refresh import refresh_newest

        with reporter(make_console()) as progress:
            _, failed = refresh_newest(settings, progress)
    for line in failed:
        say(line)
    published = read_status(settings.published_dir, now_by(settings))
    raise typer.Exit(DATA_LOST if failed or not published else OK)


@app.command()
def demo(data: Data = None, jobs: Jobs = None) -> None:
    """Run the whole chain on a simulated exchange, with no network."""
    settings = load_settings(data_dir=data, jobs=jobs)
    console = make_console()
    mirror = demo_mirror(console, settings)
    from liq_pipeline.simulator.server import ArchiveServer

    console.print("The exchange here is simulated: random prices, invented traders. Nothing of it is real.")
    with ArchiveServer(mirror.folder) as server:
        code = run_all(demo_settings(settings, mirror, archive=server.url))
    console.print("The warnings are planted: the simulated exchange has the defects of the real one.")
    console.print("Look at it: make serve-demo (the page), make ui-demo (Dagster)      Real data: make run")
    raise typer.Exit(code)


@app.command()
def ui(
    demo: Annotated[bool, typer.Option("--demo", help="Show the demo's runs instead.")] = False,
    port: Port = 3000,
    data: Data = None,
) -> None:
    """Open the Dagster UI with its schedule and sensor, on this machine only."""
    settings = load_settings(data_dir=data)
    if demo:
        mirror = demo_mirror(make_console(), settings)
        settings = demo_settings(settings, mirror, archive=str(mirror.folder))
    check_writable(settings.data_dir)
    from liq_pipeline.orchestration.ui import run_ui

    code = run_ui(settings, port, say)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    raise typer.Exit(code)


@app.command()
def record(
    symbols: Symbols = None,
    data: Data = None,
    stream: Annotated[str | None, typer.Option("--stream", help="Address of the streams (LIQ_STREAM).")] = None,
) -> None:
    """Keep the public stream of forced orders, until Ctrl-C (exit code 130) or SIGTERM (0)."""
    from liq_pipeline.cli.recording import record as keep

    settings = named(load_settings(symbols=symbols, data_dir=data, stream=stream))
    console = make_console()
    raise typer.Exit(keep(settings, lambda line: console.print(line, soft_wrap=True)))


@app.command()
def forget(
    symbol: Annotated[str, typer.Argument(help="Perpetual that is no longer wanted.")],
    data: Data = None,
    raw: Annotated[bool, typer.Option("--raw", help="Remove the archive's files of it, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what is kept of one symbol: published files, rows of the warehouse and of REST, memory of alerts."""
    from liq_pipeline.orchestration.forget import find_holdings
    from liq_pipeline.orchestration.forget import forget as remove

    settings = load_settings(data_dir=data)
    asked = load_settings(symbols=(symbol,))  # spelled as everywhere
    if has_selectors(asked):
        raise SettingsError(f"{symbol} stands for several symbols", expected="one, such as BTCUSDT")
    (symbol,) = asked.symbols
    found = find_holdings(settings, symbol)
    for line in (f"{symbol}:", *found.said(with_raw=raw)):
        say(line)
    if symbol in settings.symbols:
        is_set = "symbols" in settings.model_fields_set
        where, to_do = ("in LIQ_SYMBOLS", "take it out") if is_set else ("the default", "name others in LIQ_SYMBOLS")
        say(f"{symbol} is {where}: the next run without --symbols brings it back. To do: {to_do}")
    if not yes and not _agreed("Remove this? [y/N] "):
        say("Nothing was removed. To do: answer y, or --yes")
        raise typer.Exit(WRONG_USAGE)
    remove(settings, found, with_raw=raw)
    say(f"{symbol} is forgotten. Dagster's history keeps its runs")


def run_all(settings: Settings) -> int:
    """Refresh every symbol, print what became of it, and return the exit code."""
    from liq_pipeline.cli.console import print_levels, print_result, print_where, reporter
    from liq_pipeline.exchange.preflight import unknown_symbols
    from liq_pipeline.published.status import read_status
    from liq_pipeline.warehouse.everything import remove_file_of_all

    console = make_console()
    if settings.since and settings.since > now_by(settings).date():
        raise SettingsError(f"since {settings.since} lies after now", expected="a past day", remedy="correct --since")
    check_writable(settings.data_dir)
    if remove_file_of_all(settings.database.parent):
        console.print(
            "Each symbol has a file of tables of its own now: this run fills them anew from what was fetched."
        )
    settings = _with_every_name(settings, console)
    unknown = unknown_symbols(settings)
    # May load Dagster: not before it is known that there is something to do.
    from liq_pipeline.orchestration.workers import refresh_at_once

    results: list[SymbolResult] = []
    with reporter(console) as progress:
        for result in refresh_at_once(settings, progress, unknown, settings.jobs):
            print_result(console, result)
            results.append(result)
    results.sort(key=lambda result: settings.symbols.index(result.symbol))
    found = read_status(settings.published_dir, now_by(settings))
    for result in results:
        if result.published:
            print_levels(console, result.symbol, found[result.symbol]["timeframes"])
    if any(result.published for result in results):
        print_where(console, settings.published_dir)
    console.print(f"{sum(result.fetched for result in results)} files fetched")
    lost = [result.symbol for result in results if result.lost_data]
    stale = [result.symbol for result in results if result.has_error_findings]
    if lost:
        console.print(f"Not all is good: data was lost or could not be published for {', '.join(lost)} (exit code 1)")
        return DATA_LOST
    if stale:
        console.print(f"Published, but with errors for {', '.join(stale)}, see above (exit code 3)")
        return STALE
    console.print(f"All good: {', '.join(result.symbol for result in results)} published (exit code 0)")
    return OK


def _with_every_name(settings: Settings, console: Console) -> Settings:
    """Return settings that name each symbol; where the archive had to be asked, say what it answered."""
    if not has_selectors(settings):
        return settings
    from liq_pipeline.exchange.preflight import find_universe

    universe = find_universe(settings)
    for line in universe.said():
        console.print(line, soft_wrap=True)
    return with_symbols(settings, universe.symbols)


def _agreed(question: str) -> bool:
    """Ask; nobody there to answer is a no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        say("")
        return False
