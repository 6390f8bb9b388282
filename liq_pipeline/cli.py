"""The `liq` command. Thin: every verb calls what the assets call."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from liq_pipeline.errors import INTERRUPTED, LiqError, RestUnreachable, SettingsError
from liq_pipeline.interrupts import is_interrupt, leave
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.storage import REASONS, check_writable, storage_failed
from liq_pipeline.terminal import speak_any_encoding
from liq_pipeline.wall_clock import now_by

if TYPE_CHECKING:
    from liq_pipeline.refresh import SymbolResult

OK, DATA_LOST, WRONG_USAGE, STALE = 0, 1, 2, 3
DEMO_FOLDER = "demo"


class _Commands(TyperGroup):
    """The commands; Ctrl-C ends each with one line, while its options are read, too."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _interruptible():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _interruptible():
            return super().invoke(ctx)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        leave()


app = typer.Typer(
    cls=_Commands,
    help="The open liquidation map: estimated liquidation levels for crypto perpetuals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

alerts = typer.Typer(help="Alerts, sent where LIQ_ALERT_URLS says.", no_args_is_help=True)
app.add_typer(alerts, name="alerts")

Symbols = Annotated[str | None, typer.Option("--symbols", help="Perpetuals, comma-separated (LIQ_SYMBOLS).")]
Bar = Annotated[str | None, typer.Option("--bar", help="Width of a bar: 5m or 15m (LIQ_BAR).")]
Since = Annotated[str | None, typer.Option("--since", help="First day to load, YYYY-MM-DD (LIQ_SINCE).")]
Archive = Annotated[str | None, typer.Option("--archive", help="URL or folder of the archive (LIQ_ARCHIVE).")]
NoChecksums = Annotated[
    bool,
    typer.Option("--no-checksums", help="Take a folder's files though no .CHECKSUM lies beside (LIQ_NO_CHECKSUMS)."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder for everything that is made (LIQ_DATA_DIR).")]
Now = Annotated[str | None, typer.Option("--now", help="ISO instant that stands for now (LIQ_NOW).")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the page.")]


@app.command()
def run(
    symbols: Symbols = None,
    bar: Bar = None,
    since: Since = None,
    archive: Archive = None,
    no_checksums: NoChecksums = False,
    data: Data = None,
    now: Now = None,
) -> None:
    """Fetch, compute, check and publish, for every symbol."""
    settings = load_settings(
        symbols=symbols, bar=bar, since=since, archive=archive, no_checksums=no_checksums or None, data_dir=data,
        now=now,
    )  # fmt: skip
    raise typer.Exit(_run(settings))


@app.command()
def recent(symbols: Symbols = None, data: Data = None, now: Now = None) -> None:
    """Bring the published levels up to the newest closed bar, over REST; after a full run."""
    settings = load_settings(symbols=symbols, data_dir=data, now=now)
    check_writable(settings.data_dir)
    from liq_pipeline.preflight import require_rest
    from liq_pipeline.status import read_status

    done: list[str] = []
    failed: list[str] = []
    try:
        require_rest(settings)
    except RestUnreachable as error:
        done = [f"nothing new: {error}"]  # no fault of the data: the archive alone goes on
    else:
        from liq_pipeline.refresh import refresh_newest

        done, failed = refresh_newest(settings)
    for line in (*done, *failed):
        _say(line)
    published = read_status(settings.published_dir, now_by(settings))
    raise typer.Exit(DATA_LOST if failed or not published else OK)


@app.command()
def demo(data: Data = None) -> None:
    """Run the whole chain on a simulated exchange, with no network."""
    settings = load_settings(data_dir=data)
    console = _console()
    mirror = _demo_mirror(console, settings)
    from liq_pipeline.simulator.server import ArchiveServer

    console.print("The exchange here is simulated: random prices, invented traders. Nothing of it is real.")
    with ArchiveServer(mirror.folder) as server:
        code = _run(_demo_settings(settings, mirror, archive=server.url))
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
        mirror = _demo_mirror(_console(), settings)
        settings = _demo_settings(settings, mirror, archive=str(mirror.folder))
    check_writable(settings.data_dir)
    from liq_pipeline.ui import run_ui

    code = run_ui(settings, port, _say)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    raise typer.Exit(code)


@app.command()
def status(
    data: Data = None,
    now: Now = None,
    demo: Annotated[bool, typer.Option("--demo", help="Tell of the demo instead, by the demo's clock.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what is published, and how old it is."""
    from liq_pipeline.console import print_levels
    from liq_pipeline.status import read_status
    from liq_pipeline.warehouse.layout import published_symbols

    settings = load_settings(data_dir=data, now=now)
    if demo:
        mirror = _demo_mirror(_console(), settings)
        settings = _demo_settings(settings, mirror, archive=str(mirror.folder))
    refreshed = settings.refreshed(published_symbols(settings.published_dir))
    found = read_status(settings.published_dir, now_by(settings), refreshed)
    if as_json:
        typer.echo(json.dumps({"published": str(settings.published_dir), "symbols": found}, indent=2))
    else:
        console = _console()
        if not found:
            nothing = f"Nothing is published in {settings.published_dir}. To do: liq run, or liq demo --data ..."
            console.print(nothing, soft_wrap=True)
        for symbol, entry in found.items():
            print_levels(console, symbol, entry["timeframes"])
            style = "red" if entry["is_stale"] and entry["is_refreshed"] else None
            console.print(f"{symbol}: {entry['notice']}", style=style, soft_wrap=True)
    if not found:
        raise typer.Exit(DATA_LOST)
    raise typer.Exit(STALE if any(one["is_stale"] and one["is_refreshed"] for one in found.values()) else OK)


@app.command()
def forget(
    symbol: Annotated[str, typer.Argument(help="Perpetual that is no longer wanted.")],
    data: Data = None,
    raw: Annotated[bool, typer.Option("--raw", help="Remove the archive's files of it, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what is kept of one symbol: published files, rows of the warehouse and of REST, memory of alerts."""
    from liq_pipeline.forget import find_holdings
    from liq_pipeline.forget import forget as remove

    settings = load_settings(data_dir=data)
    (symbol,) = load_settings(symbols=(symbol,)).symbols  # spelled as everywhere
    found = find_holdings(settings, symbol)
    for line in (f"{symbol}:", *found.said(with_raw=raw)):
        _say(line)
    if symbol in settings.symbols:
        named = "symbols" in settings.model_fields_set
        where, to_do = ("in LIQ_SYMBOLS", "take it out") if named else ("the default", "name others in LIQ_SYMBOLS")
        _say(f"{symbol} is {where}: the next run without --symbols brings it back. To do: {to_do}")
    if not yes and not _agreed("Remove this? [y/N] "):
        _say("Nothing was removed. To do: answer y, or --yes")
        raise typer.Exit(WRONG_USAGE)
    remove(settings, found, with_raw=raw)
    _say(f"{symbol} is forgotten. Dagster's history keeps its runs")


@app.command()
def serve(
    data: Data = None,
    now: Now = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 by default (LIQ_SERVE_HOST).")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 8000 by default (LIQ_SERVE_PORT).")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve what the demo published, by the demo's clock.")] = False,
) -> None:
    """Serve the published files: the page, the data, health. Read-only."""
    settings = load_settings(data_dir=data, now=now, serve_host=host, serve_port=port)
    if demo:
        mirror = _demo_mirror(_console(), settings)
        served = {name: getattr(settings, name) for name in type(settings).model_fields if name.startswith("serve_")}
        settings = _demo_settings(settings, mirror, archive=str(mirror.folder)).model_copy(update=served)
    try:
        from liq_pipeline.server.run import serve as run_server
    except ModuleNotFoundError as error:
        raise LiqError(
            f"the service needs a package that is not installed: {error.name}",
            remedy="make setup",
        ) from None
    from liq_pipeline.ports import take_port, web_address

    listeners = take_port(settings.serve_host, settings.serve_port)
    address = web_address(settings.serve_host, listeners[0].getsockname()[1])
    _console().print(f"{address}/  serves {settings.published_dir}", soft_wrap=True)
    run_server(settings, lambda: now_by(settings), listeners)


@app.command()
def record(
    symbols: Symbols = None,
    data: Data = None,
    stream: Annotated[str | None, typer.Option("--stream", help="Address of the streams (LIQ_STREAM).")] = None,
) -> None:
    """Keep the public stream of forced orders, until Ctrl-C (exit code 130) or SIGTERM (0)."""
    from liq_pipeline.recording import record as keep

    settings = load_settings(symbols=symbols, data_dir=data, stream=stream)
    console = _console()
    raise typer.Exit(keep(settings, lambda line: console.print(line, soft_wrap=True)))


@app.command()
def validate(
    klines: Annotated[Path, typer.Option("--klines", help="Bars: CSV, Parquet, or a folder of archive files.")],
    open_interest: Annotated[Path, typer.Option("--open-interest", help="Open interest, contracts or USD.")],
    liquidations: Annotated[Path, typer.Option("--liquidations", help="Reported: ts, long_usd, short_usd.")],
    bar: Annotated[str, typer.Option("--bar", help="Width of a bar, such as 5m.")] = "5m",
    symbol: Annotated[str, typer.Option("--symbol", help="Whose margin brackets.")] = "BTCUSDT",
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure with its interval.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the report: Markdown, HTML, plots.")] = None,
    kline_stamp: Annotated[
        str, typer.Option(help="What kline stamps name: start, end, or auto: open_time is a start, ts an end.")
    ] = "auto",
    truth_stamp: Annotated[
        str, typer.Option(help="What truth stamps name: start, end, or auto: ask the data.")
    ] = "auto",
    open_interest_stamp: Annotated[str, typer.Option(help="The same for open interest; end is its instant.")] = "auto",
    gamma: Annotated[float | None, typer.Option(help="Churn (default: by how often open interest is known).")] = None,
) -> None:
    """Score the map against reported liquidations, beside every baseline."""
    load_settings()  # says what is wrong with them, as every command does
    from liq_pipeline.validation.command import run_validation

    found = run_validation(
        klines, open_interest, liquidations, bar, symbol, kline_stamp=kline_stamp,
        truth_stamp=truth_stamp, open_interest_stamp=open_interest_stamp, gamma=gamma, out=out,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        from liq_pipeline.console import print_validation

        print_validation(_console(), found, out)


@app.command("coin-m")
def coin_m(
    archive: Archive = None,
    no_checksums: NoChecksums = False,
    data: Data = None,
    symbol: Annotated[str, typer.Option("--symbol", help="COIN-M perpetual.")] = "BTCUSD_PERP",
    bar: Annotated[str, typer.Option("--bar", help="Width of a bar: 5m or 15m.")] = "5m",
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2023, 6, 25),  # noqa: DTZ001
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = datetime(2024, 10, 14),  # noqa: DTZ001
) -> None:
    """Fetch the COIN-M liquidations of the archive, and score the map against them."""
    from liq_pipeline.console import print_validation
    from liq_pipeline.preflight import require_reachable

    settings = load_settings(archive=archive, data_dir=data)
    check_writable(settings.data_dir)
    require_reachable(settings)
    from liq_pipeline.validation.coin_m import validate_coin_m
    from liq_pipeline.validation.report import report_folder

    console = _console()
    folder = settings.data_dir / "validation" / "coin_m"
    out = report_folder(settings.published_dir, symbol, "coin_m")
    found = validate_coin_m(
        settings.archive, folder, listing=settings.listing_url, symbol=symbol, bar=bar, since=since.date(),
        until=until.date(), workers=settings.workers, needs_checksums=not settings.no_checksums, out=out,
        report=console.print,
    )  # fmt: skip
    print_validation(console, found, out)


@alerts.command("test")
def alerts_test() -> None:
    """Send one message to every address."""
    from liq_pipeline.alerts import open_addresses

    failed = 0
    for sender in open_addresses(load_settings().alert_urls):
        sent = sender.notify(title="liq_pipeline: test", body="Alerts reach you. Nothing is wrong.")
        failed += not sent
        _say(f"{sender.service_name}: {'delivered' if sent else 'NOT delivered'}  ({sender.url(privacy=True)})")
    raise typer.Exit(DATA_LOST if failed else OK)


def _run(settings: Settings) -> int:
    from liq_pipeline.console import print_levels, print_result, print_where, reporter
    from liq_pipeline.preflight import unknown_symbols
    from liq_pipeline.status import read_status

    console = _console()
    if settings.since and settings.since > now_by(settings).date():
        raise SettingsError(f"since {settings.since} lies after now", expected="a past day", remedy="correct --since")
    check_writable(settings.data_dir)
    unknown = unknown_symbols(settings)
    from liq_pipeline.refresh import refresh  # loads Dagster: not before it is known that there is something to do

    results: list[SymbolResult] = []
    with reporter(console) as progress:
        for result in refresh(settings, progress, unknown):
            print_result(console, result)
            results.append(result)
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


def _demo_mirror(console: Console, settings: Settings) -> Any:
    check_writable(settings.data_dir)
    from liq_pipeline.model.compiled import keep_compiled_below
    from liq_pipeline.simulator.demo import build_demo_mirror

    keep_compiled_below(settings.compiled_dir)
    return build_demo_mirror(settings.data_dir / DEMO_FOLDER / "exchange", progress=console.print)


def _demo_settings(settings: Settings, mirror: Any, archive: str) -> Settings:
    return load_settings(
        symbols=",".join(mirror.symbols),
        bar="5m",
        since=mirror.since,
        now=mirror.now,
        archive=archive,
        no_checksums=False,
        listing="",
        data_dir=settings.data_dir / DEMO_FOLDER,
        dagster_home=settings.data_dir / DEMO_FOLDER / "dagster_home",
        source_label="simulated",
    )


def _say(text: str) -> None:
    """Print a line as it is. (`typer.echo` writes UTF-8 to terminals that say they are ASCII.)"""
    _console().print(text, markup=False, soft_wrap=True)


def _agreed(question: str) -> bool:
    """Ask; nobody there to answer is a no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        _say("")
        return False


def _console() -> Console:
    from liq_pipeline.console import make_console

    return make_console()


def _stop(error: LiqError) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
    sys.exit(WRONG_USAGE if isinstance(error, SettingsError) else DATA_LOST)


def main() -> None:
    """Run the command; turn errors that a user can act on into a message and an exit code."""
    speak_any_encoding()
    try:
        app()
    except LiqError as error:
        _stop(error)
    except OSError as error:
        if error.errno not in REASONS:
            raise
        _stop(storage_failed(error))
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        leave()


if __name__ == "__main__":
    main()
