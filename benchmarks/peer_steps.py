"""Steps of `benchmarks/peers.py`, each a process of its own (`python -m benchmarks.peer_steps NAME ZIPS OUT`).

And what the results mean: how many levels, how many USD, how much of that lies where price has been since.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import SYMBOL
from liq_pipeline.published.layout import dataset_path, manifest_path

WIDEST, MILLION = "90d", 1e6
# Asks the peer's own classes for the levels behind its buckets, each with the instant of its entry. Not timed.
PROBE = """
import sys
sys.path.insert(0, sys.argv[1] + "/src")
import polars as pl
from liquidation_map.analysis import LiquidationMapCalculator
from liquidation_map.data import DataProcessor
with DataProcessor(db_path=sys.argv[2]) as rows:
    tables = [rows.query(f"SELECT * FROM {name} ORDER BY timestamp") for name in ("open_interest", "klines")]
calculator = LiquidationMapCalculator()
entries = calculator.estimate_position_entries(*tables)
ts = entries.select(pl.col("timestamp").repeat_by(len(calculator.leverage_weights)).explode())
pl.concat([ts, calculator.build_liquidation_levels(entries)], how="horizontal").write_parquet(sys.argv[3])
"""


def read_zips(zips: Path, tables: Any) -> None:
    """Read klines and open interest into a warehouse as a run does; check nothing but what the readers check."""
    from liq_pipeline.exchange.formats import read_klines, read_open_interest

    candles = read_klines(sorted((zips / "klines" / SYMBOL / "5m").glob("*.zip")), SYMBOL, "5m")
    interest = read_open_interest(sorted((zips / "metrics" / SYMBOL).glob("*.zip")), SYMBOL)
    tables.replace("klines", SYMBOL, candles.table)
    tables.replace("open_interest", SYMBOL, interest.table)


def static_map(zips: Path, out: Path) -> None:
    """Ours, no more than the peer does: zips, positions, four timeframes of levels, a picture of the widest."""
    import pyarrow.parquet as pq

    from benchmarks.data import temporary_warehouse
    from benchmarks.levels import living_cells
    from liq_pipeline.model.levels import liquidation_levels
    from liq_pipeline.model.walk import walk
    from liq_pipeline.published.levels import level_rows
    from liq_pipeline.transform.positions import read_walk_input
    from liq_pipeline.views.levels_frame import levels_frame_of
    from liq_pipeline.views.map_png import draw_map

    with temporary_warehouse() as warehouse, warehouse.transaction(SYMBOL) as tables:
        read_zips(zips, tables)
        tables.rebuild("oi_delta", SYMBOL)
        result = walk(read_walk_input(tables, SYMBOL), SYMBOL)
    as_of, price = result.bars.ts[-1], float(result.bars.close[-1])
    instant = as_of.item().replace(tzinfo=UTC)
    found = liquidation_levels(living_cells(result), as_of, price)
    rows = {name: level_rows(levels, SYMBOL, name, instant, price) for name, levels in found.items()}
    for name, table in rows.items():
        pq.write_table(table, out / f"{name}.parquet")
    facts = {"as_of": instant, "current_price": price}
    (out / "map.png").write_bytes(draw_map(levels_frame_of(rows[WIDEST], facts, SYMBOL, WIDEST, instant)))


def legacy_query(zips: Path, out: Path) -> None:
    """The legacy system's levels by SQL: zips into a DuckDB file (read by us), the query once per timeframe."""
    import pyarrow.parquet as pq

    from benchmarks.legacy_query import Legacy_QUERY
    from liq_pipeline.model.baselines import legacy_entry_bin
    from liq_pipeline.model.levels import SPANS
    from liq_pipeline.warehouse.warehouse import Warehouse

    warehouse = Warehouse(database=str(out / "legacy.duckdb"))
    with warehouse.transaction(SYMBOL) as tables:
        read_zips(zips, tables)
    with warehouse.get_connection(SYMBOL) as connection:
        newest = connection.execute("SELECT max(ts) FROM klines").fetchall()[0][0]
        for name, span in SPANS.items():
            window = {"days": int(span / np.timedelta64(1, "D")), "bin": legacy_entry_bin(span)}
            bound = {"symbol": SYMBOL, "now": newest, **window}
            pq.write_table(connection.execute(Legacy_QUERY, bound).to_arrow_table(), out / f"{name}.parquet")


def same_levels(ours: Path, published: Path) -> bool:
    """Tell whether the static map is what a whole run publishes: the same rows, and contracts equal to 1e-9."""
    import pyarrow.parquet as pq

    for file in ours.glob("*.parquet"):
        folder = published / "liquidation_levels" / SYMBOL
        one, two = pq.ParquetFile(file).read(), pq.ParquetFile(folder / file.name).read()
        for name in ("side", "leverage", "price_low", "price_high"):
            if one[name] != two[name]:
                return False
        if not np.allclose(one["contracts"].to_numpy(), two["contracts"].to_numpy(), rtol=1e-9):
            return False
    return True


def meaning_of_ours(published: Path) -> str:
    """Say what a run published: levels, USD, contracts."""
    import json

    import pyarrow.parquet as pq

    path = dataset_path(published, "liquidation_levels", SYMBOL, WIDEST)
    rows = pq.ParquetFile(path).read()
    interest = json.loads(manifest_path(path).read_text("utf-8"))["open_interest_contracts"]
    is_long = np.asarray(rows["side"].to_numpy(zero_copy_only=False) == "long")
    usd, share = rows["notional_usd"].to_numpy(), rows["contracts"].to_numpy() / interest
    long, short = 100 * share[is_long].sum(), 100 * share[~is_long].sum()
    what = f"{WIDEST}: {usd.size:,} levels, {_sides(is_long, usd)}"
    return f"{what}; {long:.1f} % of open interest long, {short:.1f} % short"


def meaning_of_legacy(database: Path) -> str:
    """Say what the SQL showed for the widest timeframe, from the NumPy form of the same levels."""
    from liq_pipeline.model.baselines import legacy_levels
    from liq_pipeline.model.levels import SPANS

    candles = _candles(database)
    levels = legacy_levels(candles, SPANS[WIDEST])
    prices = np.unique(np.column_stack([levels.is_long, levels.leverage, levels.liquidation_price]), axis=0)
    swept = swept_pct(candles.ts[levels.bar], levels.is_long, levels.liquidation_price, levels.notional_usd, candles)
    return f"{WIDEST}: {len(prices):,} levels, " + _against(levels.is_long, levels.notional_usd, swept, candles)


def meaning_of_peer(checkout: Path, python: str, out: Path, database: Path) -> str:
    """Say what the peer's map showed."""
    import pyarrow.parquet as pq

    levels = out / "levels.parquet"
    subprocess.run([python, "-c", PROBE, str(checkout), str(out / "peer.duckdb"), str(levels)], check=True)
    rows, candles = pq.read_table(levels), _candles(database)
    price, usd = rows["liq_price"].to_numpy(), rows["volume"].to_numpy()
    is_long = np.asarray(rows["side"].to_numpy(zero_copy_only=False) == "long")
    shown = np.where(is_long, price < candles.close[-1], price > candles.close[-1])
    ts = rows["timestamp"].to_numpy().astype("datetime64[us]")[shown]
    is_long, price, usd = is_long[shown], price[shown], usd[shown]
    buckets = np.unique(np.floor(price / 100)).size
    return f"the year: {buckets:,} buckets, " + _against(
        is_long, usd, swept_pct(ts, is_long, price, usd, candles), candles
    )


def _candles(database: Path) -> Any:
    import duckdb

    from benchmarks.side_by_side import JOINED
    from liq_pipeline.model.baselines import LegacyInput

    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(JOINED, {"symbol": SYMBOL}).to_arrow_table().drop_columns(["open_interest"])
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    return LegacyInput(**(columns | {"ts": columns["ts"].astype("datetime64[us]")}))


def swept_pct(
    ts: NDArray[np.datetime64], is_long: NDArray[np.bool_], price: NDArray[Any], usd: NDArray[Any], candles: Any
) -> float:
    """Return the share of the USD whose price was reached in a bar after its entry, per cent."""
    after = np.searchsorted(candles.ts, ts, side="right")
    lowest = np.append(np.minimum.accumulate(candles.low[::-1])[::-1], np.inf)[after]
    highest = np.append(np.maximum.accumulate(candles.high[::-1])[::-1], -np.inf)[after]
    return float(100 * usd[np.where(is_long, lowest <= price, highest >= price)].sum() / usd.sum())


def _against(is_long: NDArray[np.bool_], usd: NDArray[Any], swept: float, candles: Any) -> str:
    times = usd.sum() / candles.open_interest_value_usd[-1]
    return f"{_sides(is_long, usd)} = {times:.2f} × open interest; {swept:.0f} % of it where price has been since"


def _sides(is_long: NDArray[np.bool_], usd: NDArray[Any]) -> str:
    return f"long {usd[is_long].sum() / MILLION:,.0f}, short {usd[~is_long].sum() / MILLION:,.0f} million USD"


if __name__ == "__main__":
    Path(sys.argv[3]).mkdir(exist_ok=True)
    {"static": static_map, "legacy": legacy_query}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
