"""The validation scores what production walks over: NumPy here and SQL there fill gaps and price entries alike."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from liq_pipeline.transform.positions import read_walk_input
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOL = "BTCUSDT"
STEP = np.timedelta64(5, "m")


@st.composite
def feeds(draw) -> tuple[pa.Table, pa.Table]:
    """Klines and snapshots of some hours, with holes in both, bars without trades, and volumes that are null."""
    bars = draw(st.integers(30, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ts = np.datetime64("2026-03-01T00:05", "us") + STEP * np.arange(bars)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
    opening = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opening, close) * 1.002, np.minimum(opening, close) * 0.998
    volume = np.round(rng.exponential(50, bars), 3) * (rng.random(bars) > draw(st.sampled_from([0.0, 0.3, 1.0])))
    quote = volume * (low + (high - low) * rng.random(bars))
    unknown = rng.random(bars) < draw(st.sampled_from([0.0, 0.2]))
    klines = pa.table(
        {
            "symbol": [SYMBOL] * bars,
            "open_time": pa.array(ts - STEP).cast(pa.timestamp("us", "UTC")),
            "ts": pa.array(ts).cast(pa.timestamp("us", "UTC")),
            "open": opening,
            "high": high,
            "low": low,
            "close": close,
            "volume": pa.array(volume, mask=unknown),
            "quote_volume": quote,
            "source": ["archive"] * bars,
            "bad_print": pa.array(np.where(unknown, "volume", None), pa.string()),
        }
    )
    snapshots = pa.table(
        {
            "symbol": [SYMBOL] * bars,
            "ts": klines["ts"],
            "open_interest": np.round(1000 * np.exp(np.cumsum(rng.normal(0, 0.02, bars))), 3),
            "source": ["archive"] * bars,
        }
    )
    kept = [draw(arrays.arrays(bool, bars, elements=st.sampled_from([True, True, True, False]))) for _ in range(2)]
    for one in kept:
        one[[0, 1, 2, -2, -1]] = True
    return klines.filter(pa.array(kept[0])), snapshots.filter(pa.array(kept[1]))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Where the validation reads; the reported liquidations are of no interest here."""
    liquidations = tmp_path / "liquidations.csv"
    times = "".join(f"2026-03-01 00:{minute:02}:00,{minute},{minute + 1}\n" for minute in range(0, 60, 5))
    liquidations.write_text("ts,long_usd,short_usd\n" + times, encoding="utf-8")
    return {name: tmp_path / f"{name}.parquet" for name in ("klines", "open_interest")} | {"liquidations": liquidations}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """One that stays open for all examples."""
    warehouse = Warehouse(database=str(tmp_path / "liq.duckdb"))
    with warehouse.kept_open():
        yield warehouse


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(feeds())
def test_both_give_the_walk_the_same_bars(
    warehouse: Warehouse, files: dict[str, Path], fed: tuple[pa.Table, pa.Table]
) -> None:
    with warehouse.transaction("BTCUSDT") as tables:
        for table, rows in zip(("klines", "open_interest"), fed, strict=True):
            tables.replace(table, SYMBOL, rows)
            pq.write_table(tables.read(f"validation_{table}", symbol=SYMBOL), files[table])
        tables.rebuild("oi_delta", SYMBOL)
        production = read_walk_input(tables, SYMBOL)

    scored = read_inputs(**files, bar_minutes=5, symbol=SYMBOL, kline_stamp="end", truth_stamp="end").data.walk_input

    assert np.array_equal(scored.ts, production.ts)
    for name in ("low", "high", "close"):
        assert np.array_equal(getattr(scored, name), getattr(production, name)), name
    if production.volume.any():  # without any trade the validation assumes a turnover, and says so
        np.testing.assert_allclose(scored.volume, production.volume, rtol=1e-12)
    for name in ("entry_price", "open_interest"):
        np.testing.assert_allclose(getattr(scored, name), getattr(production, name), rtol=1e-9, err_msg=name)
