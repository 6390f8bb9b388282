"""`liq brackets`: the margin brackets that the model uses, and newer ones that a user has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from liq_pipeline.cli.app import Data, Now, brackets, say
from liq_pipeline.cli.console import make_console
from liq_pipeline.clock import now_by
from liq_pipeline.errors import FormatError, SettingsError
from liq_pipeline.setting_forms import day_of, symbol_of
from liq_pipeline.settings import load_settings
from liq_pipeline.system.storage import check_writable

_SHOWN = 20  # lines


@brackets.command("import")
def take(
    file: Annotated[Path, typer.Argument(help="JSON of /fapi/v1/leverageBracket, or ccxt's leverage tiers.")],
    day: Annotated[str | None, typer.Option("--date", help="When they were asked, YYYY-MM-DD; default: today.")] = None,
    data: Data = None,
    now: Now = None,
) -> None:
    """Take over margin brackets from a file; they hold from their day on."""
    from liq_pipeline.exchange.brackets import keep_brackets, read_brackets
    from liq_pipeline.exchange.kept import fetch_shared, store_shared
    from liq_pipeline.system.objects import objects_at

    settings = load_settings(data_dir=data, now=now)
    today = now_by(settings).date()
    try:
        since = day_of(day) if day else today
    except ValueError as error:
        raise SettingsError(f"--date {day!r} {error}") from None
    if since > today:
        raise SettingsError(f"--date {since} lies after now ({today})", expected="the day on which they were asked")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise FormatError(f"{file} cannot be read: {error.strerror}", remedy="correct the path") from None
    found = read_brackets(content, since, str(file))
    check_writable(settings.data_dir)
    if settings.storage:
        fetch_shared(objects_at(settings.storage), settings.raw_dir)
    changed = keep_brackets(settings.raw_dir, found)
    if settings.storage:
        store_shared(objects_at(settings.storage), settings.raw_dir)
    for line in found.left_out[:_SHOWN]:
        say(f"left out: {line}")
    if len(found.left_out) > _SHOWN:
        say(f"left out: {len(found.left_out) - _SHOWN} more")
    say(f"{len(found.tables)} symbols, brackets of {since}; {changed} tables are new or changed. To do: liq run")


@brackets.command()
def show(
    symbol: Annotated[str, typer.Argument(help="Perpetual, such as BTCUSDT.")],
    data: Data = None,
) -> None:
    """Show the brackets of a symbol: since when which, the newest in full, and what forced orders say of them."""
    from liq_pipeline.exchange.brackets import use_brackets_below
    from liq_pipeline.model.margin import bracket_history, brackets_known_until, has_own_brackets
    from liq_pipeline.validation.brackets import read_tests

    settings = load_settings(data_dir=data)
    try:
        symbol = symbol_of(symbol)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    use_brackets_below(settings.raw_dir)
    history = bracket_history(symbol)
    known = f"as of {brackets_known_until(symbol)}" if has_own_brackets(symbol) else "none: the default stands in"
    console = make_console()
    console.print(f"{symbol}: margin brackets, {known}", style="bold", soft_wrap=True)
    dates = Table(caption="a small position's", caption_justify="left")
    for heading in ("valid from", "maintenance margin", "highest leverage", "brackets"):
        dates.add_column(heading, justify="right", no_wrap=True)
    for table in history:
        dates.add_row(str(table.valid_from), f"{100 * table.mmr[0]:.10g} %", f"{table.max_leverage[0]:g}x",
                      str(table.mmr.size))  # fmt: skip
    console.print(dates)
    newest = Table(caption=f"the newest, valid from {history[-1].valid_from}", caption_justify="left")
    for heading in ("notional from, USD", "maintenance margin", "amount, USD", "highest leverage"):
        newest.add_column(heading, justify="right", no_wrap=True)
    for floor, mmr, cum, leverage in zip(
        history[-1].notional_floor, history[-1].mmr, history[-1].cum, history[-1].max_leverage, strict=True
    ):
        newest.add_row(f"{floor:,.0f}", f"{100 * mmr:.10g} %", f"{cum:,.10g}", f"{leverage:g}x")
    console.print(newest)
    for source, one in read_tests(settings.published_dir, symbol).items():
        verdict = "" if one["agrees"] else "; the table is WRONG by these orders"
        console.print(f"{source}: {one['said']}{verdict}", soft_wrap=True)
