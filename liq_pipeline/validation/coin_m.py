"""Validation against COIN-M liquidations: from the archive's files to the three documented tables, then as always.

The walk counts contracts of fixed USD value, which is what COIN-M conserves. Liquidation prices are those of USD-M
contracts; for inverse ones they differ by less than 0.01 % at 100x. The mapped USD of this run are contracts × price
and serve as features only: the scale of the report does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.archive import open_archive
from liq_pipeline.exchange.coin_m import (
    fetch_coin_m,
    read_coin_klines,
    read_coin_metrics,
    read_liquidation_snapshots,
    set_bad_aside,
)
from liq_pipeline.system.storage import written_whole
from liq_pipeline.validation.command import run_validation
from liq_pipeline.validation.files import bar_width
from liq_pipeline.validation.run import Validation

FIRST_DAY, LAST_DAY = date(2023, 6, 25), date(2024, 10, 14)
TABLES = ("klines", "open_interest", "liquidations")


def validate_coin_m(
    archive: str,
    folder: Path,
    *,
    listing: str | None = None,
    symbol: str = "BTCUSD_PERP",
    brackets_of: str = "BTCUSDT",
    bar: str = "5m",
    since: date = FIRST_DAY,
    until: date = LAST_DAY,
    workers: int = 8,
    needs_checksums: bool = True,
    out: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Fetch the files, turn them into the documented tables in `folder/tables`, score.

    Args:
        archive: URL, or a folder in the archive's layout.
        folder: for raw files and tables.
        listing: URL that lists the archive.
        symbol: COIN-M perpetual.
        brackets_of: whose margin brackets the walk uses.
        bar: width of a bar; klines of this width are fetched.
        since, until: days, both included.
        workers: parallel downloads.
        needs_checksums: whether a file without a sidecar is refused; only a folder can do without.
        out: folder of the report.
        report: told what is done.

    Raises:
        LiqError: the archive cannot be used, or holds too little.
    """
    source = open_archive(archive, listing, needs_checksums=needs_checksums)
    local = fetch_coin_m(source, symbol, bar, since, until, folder / "raw", workers, report=report)
    tables = {name: folder / "tables" / f"{symbol}-{name}.parquet" for name in TABLES}
    bars, interest = read_coin_klines(local["klines"], symbol), read_coin_metrics(local["metrics"], symbol)
    orders = read_liquidation_snapshots(local["liquidationSnapshot"], symbol)
    for name, read in {"klines": bars, "metrics": interest, "liquidationSnapshot": orders}.items():
        report(f"{name}: {len(read.rows)} rows; {read.notes or 'no quirk'}; {len(read.bad)} bad files")
        for _, error in read.bad:
            report(f"left out: {error}")
        set_bad_aside(folder / "raw", read.bad)
    steps = steps_of(orders.rows, orders.days, bar_width(bar))
    for name, rows in {"klines": bars.rows, "open_interest": interest.rows, "liquidations": steps}.items():
        with written_whole(tables[name]) as draft:
            rows.to_parquet(draft, index=False)
    return run_validation(
        tables["klines"], tables["open_interest"], tables["liquidations"], bar, brackets_of,
        truth_stamp="start", out=out,
    )  # fmt: skip


def steps_of(orders: pd.DataFrame, days: list[date], minutes: int) -> pd.DataFrame:
    """Return sums per step, stamped with its start, for the days that have a file; quiet steps of those are zero.

    Raises:
        LiqError: no liquidation at all.
    """
    if orders.empty:
        raise LiqError("the liquidation files hold no filled order")
    width = f"{minutes}min"
    sums = orders.assign(ts=orders["ts"].dt.floor(width)).groupby("ts")[["long_usd", "short_usd"]].sum()
    grid = [pd.date_range(str(day), periods=1440 // minutes, freq=width, tz="UTC") for day in sorted(set(days))]
    whole = grid[0].append(grid[1:]) if len(grid) > 1 else grid[0]
    return sums.reindex(whole, fill_value=0.0).rename_axis("ts").reset_index()
