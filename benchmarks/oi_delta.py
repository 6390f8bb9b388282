"""`oi_delta` over four years: the project's SQL against pandas doing the same, and against a bare difference."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.data import SYMBOL, kline_rows, open_interest_rows, random_path, temporary_warehouse
from benchmarks.harness import Outcome, against
from liq_pipeline.warehouse.schema import BEGINNING, named_query

BARS = 417_600
MISSING = 140


def run() -> list[Outcome]:
    """Measure: DuckDB and one pandas from the same file, the other pandas and NumPy from memory."""
    market = random_path(BARS)
    known = np.ones(BARS, dtype=bool)
    known[np.random.default_rng(14).choice(np.arange(1, BARS - 1), MISSING, replace=False)] = False
    klines = pd.DataFrame({name: getattr(market, name) for name in ("ts", "high", "low", "close", "volume")})
    klines["quote_volume"] = market.quote_volume
    snapshots = pd.DataFrame({"ts": market.ts[known], "snapshot": market.open_interest[known]})
    with temporary_warehouse() as warehouse:
        with warehouse.transaction(SYMBOL) as tables:
            tables.replace("klines", SYMBOL, kline_rows(market))
            tables.replace("open_interest", SYMBOL, open_interest_rows(market, known))
        query = named_query("oi_delta")
        with warehouse.get_connection(SYMBOL) as connection:

            def ours() -> pa.Table:
                return connection.execute(query, {"symbol": SYMBOL, "since": BEGINNING}).to_arrow_table()

            table, frame = ours(), with_pandas(klines, snapshots)
            assert table.num_rows == len(frame) == BARS
            for name in ("open_interest", "oi_delta", "oi_delta_usd", "entry_price"):
                np.testing.assert_allclose(table[name].to_numpy(), frame[name], rtol=1e-9, atol=1e-3, err_msg=name)
            np.testing.assert_array_equal(table["is_interpolated"].to_numpy(), frame["is_interpolated"])

            def peer() -> pa.Table:
                return pa.Table.from_pandas(with_pandas(*_frames(connection)), preserve_index=False)

            np.testing.assert_array_equal(peer()["oi_delta"].to_numpy(), frame["oi_delta"])
            what = f"{BARS - MISSING:,} snapshots, {BARS:,} bars, against pandas "
            return [
                against("oi_delta", what + "from the same file", ours, peer, 2.0),
                against("oi_delta", what + "in memory", ours, lambda: with_pandas(klines, snapshots), None),
                against("oi_delta", "against numpy.diff (floor)", ours, lambda: np.diff(market.open_interest), None),
            ]


def _frames(connection: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what pandas needs."""
    klines = "SELECT ts, high, low, close, volume, quote_volume FROM klines WHERE symbol = $symbol ORDER BY ts"
    snapshots = "SELECT ts, open_interest AS snapshot FROM open_interest WHERE symbol = $symbol ORDER BY ts"
    of = {"symbol": SYMBOL}
    return connection.execute(klines, of).df(), connection.execute(snapshots, of).df()


def with_pandas(klines: pd.DataFrame, snapshots: pd.DataFrame) -> pd.DataFrame:
    """Do what `sql/queries/oi_delta.sql` does: join, entry price, spread over gaps, difference, flag."""
    bars = klines.merge(snapshots, on="ts", how="left")
    vwap = (bars["quote_volume"] / bars["volume"]).clip(bars["low"], bars["high"])
    bars["entry_price"] = vwap.where(bars["volume"] > 0, (bars["high"] + bars["low"] + bars["close"]) / 3)
    here = bars["snapshot"].notna()
    bars = bars.loc[here.idxmax() : here[::-1].idxmax()]
    here = bars["snapshot"].notna()
    gap = here.shift(fill_value=False).cumsum()
    before, after = bars["snapshot"].ffill().shift(), bars["snapshot"].bfill()
    by_gap = bars["volume"].groupby(gap)
    share = by_gap.cumsum() / by_gap.transform("sum")
    size = by_gap.transform("size")
    open_interest = bars["snapshot"].fillna(before.ffill() + (after - before) * share)
    change = open_interest.diff()
    return pd.DataFrame(
        {
            "ts": bars["ts"],
            "open_interest": open_interest,
            "oi_delta": change,
            "oi_delta_usd": change * bars["entry_price"],
            "entry_price": bars["entry_price"],
            "volume": bars["volume"],
            "is_interpolated": (size > 1) | (bars["ts"].diff() > pd.Timedelta(minutes=5)),
        }
    )
