"""Commands that read: `status`, `sql`, `serve`, `mcp`, `validate`, `coin-m`, `alerts test`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from liq_pipeline.cli.app import DATA_LOST, OK, STALE, Archive, Data, NoChecksums, Now, alerts, app, say
from liq_pipeline.cli.console import make_console
from liq_pipeline.cli.demo import demo_mirror, demo_settings
from liq_pipeline.clock import now_by
from liq_pipeline.errors import LiqError
from liq_pipeline.settings import load_settings
from liq_pipeline.symbols import refreshed
from liq_pipeline.system.storage import check_writable

FIRST_DAY, LAST_DAY = datetime(2023, 6, 25), datetime(2024, 10, 14)  # noqa: DTZ001 -- as typer reads days


@app.command()
def status(
    data: Data = None,
    now: Now = None,
    demo: Annotated[bool, typer.Option("--demo", help="Tell of the demo instead, by the demo's clock.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what is published, and how old it is."""
    from liq_pipeline.cli.console import print_levels
    from liq_pipeline.published.layout import older_folders, published_symbols
    from liq_pipeline.published.local import up_to_date
    from liq_pipeline.published.status import read_status

    settings = load_settings(data_dir=data, now=now)
    if demo:
        mirror = demo_mirror(make_console(), settings)
        settings = demo_settings(settings, mirror, archive=str(mirror.folder))
    folder = up_to_date(settings)
    kept_new = refreshed(settings, published_symbols(folder))
    found = read_status(folder, now_by(settings), kept_new)
    if as_json:
        typer.echo(json.dumps({"published": settings.storage or str(folder), "symbols": found}, indent=2))
    else:
        console = make_console()
        if not found:
            nothing = f"Nothing is published in {settings.storage or folder}. To do: liq run, or liq demo --data ..."
            console.print(nothing, soft_wrap=True)
        if older := {folder.name.partition("=")[2] for folder in older_folders(folder)} - found.keys():
            told = f"{', '.join(sorted(older))}: published by an older version, which readers cannot mix with this one."
            console.print(f"{told} To do: liq run --symbols {','.join(sorted(older))}", soft_wrap=True)
        for symbol, entry in found.items():
            print_levels(console, symbol, entry["timeframes"])
            style = "red" if entry["is_stale"] and entry["is_refreshed"] else None
            console.print(f"{symbol}: {entry['notice']}", style=style, soft_wrap=True)
    if not found:
        raise typer.Exit(DATA_LOST)
    raise typer.Exit(STALE if any(one["is_stale"] and one["is_refreshed"] for one in found.values()) else OK)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One statement, such as: SELECT * FROM klines LIMIT 5.")],
    data: Data = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
) -> None:
    """Ask the tables of all symbols. Nothing can be changed; symbols that a run is writing are left out."""
    from liq_pipeline.warehouse.everything import answer

    settings = load_settings(data_dir=data)
    text, busy = answer(settings.database.parent, query, as_csv=as_csv)
    if busy:
        typer.echo(f"left out, since runs write them now: {', '.join(busy)}", err=True)
    typer.echo(text, nl=False)


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
        mirror = demo_mirror(make_console(), settings)
        served = {name: getattr(settings, name) for name in type(settings).model_fields if name.startswith("serve_")}
        settings = demo_settings(settings, mirror, archive=str(mirror.folder)).model_copy(update=served)
    try:
        from liq_pipeline.server.run import serve as run_server
    except ModuleNotFoundError as error:
        raise LiqError(
            f"the service needs a package that is not installed: {error.name}",
            remedy="make setup",
        ) from None
    from liq_pipeline.system.ports import take_port, web_address

    listeners = take_port(settings.serve_host, settings.serve_port)
    address = web_address(settings.serve_host, listeners[0].getsockname()[1])
    make_console().print(f"{address}/  serves {settings.storage or settings.published_dir}", soft_wrap=True)
    run_server(settings, lambda: now_by(settings), listeners)


@app.command()
def mcp(
    data: Data = None,
    now: Now = None,
    http: Annotated[bool, typer.Option("--http", help="Listen on 127.0.0.1 instead of standard input.")] = False,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port, with --http.")] = 8001,
) -> None:
    """Answer questions of language models (Model Context Protocol) about the published files. Read-only."""
    settings = load_settings(data_dir=data, now=now)
    try:
        from liq_pipeline.server.tools import make_tools
    except ModuleNotFoundError as error:
        raise LiqError(
            f"the tools need a package that is not installed: {error.name}", remedy="pip install 'liq_pipeline[mcp]'"
        ) from None
    from liq_pipeline.published.local import kept_up

    with kept_up(settings) as folder:
        server = make_tools(folder, lambda: now_by(settings))
        if not http:
            server.run()
            return
        from liq_pipeline.server.run import run_app
        from liq_pipeline.system.ports import take_port, web_address

        listeners = take_port("127.0.0.1", port)
        where = settings.storage or folder
        make_console().print(f"{web_address('127.0.0.1', port)}/mcp  answers about {where}", soft_wrap=True)
        run_app(server.streamable_http_app(), listeners, lifespan="on")


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
    churn_per_turnover: Annotated[
        float | None, typer.Option(help="Churn (default: by how often open interest is known).")
    ] = None,
) -> None:
    """Score the map against reported liquidations, beside every baseline."""
    settings = load_settings()  # says what is wrong with them, as every command does
    from liq_pipeline.exchange.brackets import use_brackets_below
    from liq_pipeline.model.walk import use_model
    from liq_pipeline.validation.command import run_validation

    use_brackets_below(settings.raw_dir)
    use_model(settings.model)

    found = run_validation(
        klines, open_interest, liquidations, bar, symbol, kline_stamp=kline_stamp, truth_stamp=truth_stamp,
        open_interest_stamp=open_interest_stamp, churn_per_turnover=churn_per_turnover, out=out,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        from liq_pipeline.cli.console import print_validation

        print_validation(make_console(), found, out)


@app.command("coin-m")
def coin_m(
    archive: Archive = None,
    no_checksums: NoChecksums = False,
    data: Data = None,
    symbol: Annotated[str, typer.Option("--symbol", help="COIN-M perpetual.")] = "BTCUSD_PERP",
    bar: Annotated[str, typer.Option("--bar", help="Width of a bar: 5m or 15m.")] = "5m",
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = FIRST_DAY,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = LAST_DAY,
) -> None:
    """Fetch the COIN-M liquidations of the archive, and score the map against them."""
    from liq_pipeline.cli.console import print_validation
    from liq_pipeline.exchange.preflight import require_reachable

    settings = load_settings(archive=archive, no_checksums=no_checksums or None, data_dir=data)
    check_writable(settings.data_dir)
    require_reachable(settings)
    from liq_pipeline.exchange.brackets import use_brackets_below
    from liq_pipeline.model.walk import use_model
    from liq_pipeline.validation.coin_m import validate_coin_m
    from liq_pipeline.validation.report import report_folder

    use_brackets_below(settings.raw_dir)
    use_model(settings.model)

    console = make_console()
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
    from liq_pipeline.alerts.alerts import open_addresses

    failed = 0
    for sender in open_addresses(load_settings().alert_urls):
        sent = sender.notify(title="liq_pipeline: test", body="Alerts reach you. Nothing is wrong.")
        failed += not sent
        say(f"{sender.service_name}: {'delivered' if sent else 'NOT delivered'}  ({sender.url(privacy=True)})")
    raise typer.Exit(DATA_LOST if failed else OK)
