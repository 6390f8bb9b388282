"""`liq at`: the map at an instant of the past."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.table import Table

from liq_pipeline.cli.app import Data, Symbols, app, say
from liq_pipeline.cli.console import make_console
from liq_pipeline.clock import iso
from liq_pipeline.errors import NoData, SettingsError
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.settings import load_settings
from liq_pipeline.symbols import named_among
from liq_pipeline.system.storage import write_whole

KINDS = (".parquet", ".csv", ".json")


@app.command()
def at(
    instant: Annotated[str, typer.Argument(help="ISO instant, UTC if it names no zone: 2026-03-20T12:00Z.")],
    symbols: Symbols = None,
    timeframe: Annotated[
        Literal["1d", "7d", "30d", "90d"] | None, typer.Option("--timeframe", help="Only this one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write all rows there: FILE.parquet, FILE.csv or FILE.json.")
    ] = None,
    data: Data = None,
) -> None:
    """Tell the levels of an instant: the map as the model sees it from the bars up to then. From published files."""
    from liq_pipeline import client
    from liq_pipeline.published.local import up_to_date

    settings = load_settings(symbols=symbols, data_dir=data)
    if out and out.suffix not in KINDS:
        raise SettingsError(f"--out {out} names no known kind of file", expected=", ".join(KINDS))
    moment = client.instant(instant)
    folder = up_to_date(settings)
    published = client.symbols(folder)
    wanted = named_among(settings, published) if symbols or not published else published
    timeframes = [timeframe] if timeframe else list(TIMEFRAMES)
    found, missing = {}, []
    for symbol in wanted:
        past = client.past(symbol, folder)
        try:
            found[symbol] = past.levels_at(moment, timeframes)
        except NoData as error:
            missing.append(error)
            continue
        if not out:
            facts = client.manifest("positions", symbol, folder=folder)
            bar = past.newest(moment)
            _print(make_console(), symbol, past.ts[bar].item(), float(past.close[bar]), found[symbol], facts)
    if missing and not found:
        raise missing[0]
    for why in missing:
        say(f"left out: {why}")
    if out:
        rows = pa.concat_tables([table for levels in found.values() for table in levels.values()])
        write_whole(out, _bytes(rows, out.suffix))
        make_console().print(f"{out}: {rows.num_rows} estimated liquidation levels as of {iso(moment)}", soft_wrap=True)


def _print(
    console: Console, symbol: str, as_of: datetime, price: float, levels: Mapping[str, pa.Table], facts: dict[str, Any]
) -> None:
    """Print a symbol's totals at an instant of the past, per timeframe and side, and its largest levels.

    Args:
        as_of: the bar, UTC.
        levels: rows of `liquidation_levels` by timeframe.
        facts: the manifest of `positions`.
    """
    label = f" ({facts['source_label'].upper()} DATA)" if facts.get("source_label") else ""
    title = f"\n{symbol}{label}: estimated liquidation levels as of {as_of:%Y-%m-%dT%H:%M:%SZ}, price {price:,.10g} USD"
    console.print(title, style="bold", soft_wrap=True)
    table = Table(caption="exposure, not a forecast; as the model sees it now", caption_justify="left")
    for heading in ("timeframe", "levels", "long USD", "short USD", "largest below", "largest above"):
        table.add_column(heading, justify="right", no_wrap=True)
    for timeframe, rows in levels.items():
        sides = {side: rows.filter(pc.equal(rows["side"], side)) for side in ("long", "short")}
        totals = [f"{pc.sum(side['notional_usd']).as_py() or 0:,.0f}" for side in sides.values()]
        table.add_row(timeframe, str(rows.num_rows), *totals, *(_largest(side) for side in sides.values()))
    console.print(table)


def _largest(rows: pa.Table) -> str:
    if not rows.num_rows:
        return "none"
    bins = rows.group_by(["price_low", "price_high"]).aggregate([("notional_usd", "sum")])
    (top,) = bins.sort_by([("notional_usd_sum", "descending"), ("price_low", "ascending")]).slice(0, 1).to_pylist()
    return f"{top['notional_usd_sum']:,.0f} at {top['price_low']:,.10g} – {top['price_high']:,.10g}"


def _bytes(rows: pa.Table, kind: str) -> bytes:
    from liq_pipeline.published.publish import parquet_bytes
    from liq_pipeline.views.exports import levels_csv

    if kind == ".json":
        plain = [
            {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}
            for row in rows.to_pylist()
        ]
        return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()
    return levels_csv(rows) if kind == ".csv" else parquet_bytes(rows)
