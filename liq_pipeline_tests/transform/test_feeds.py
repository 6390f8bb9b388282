"""Both feeds enter the tables judged, whichever way they come: what contradicts itself opens and ends no position."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA, read_klines, read_open_interest
from liq_pipeline.transform.feeds import fill_feeds
from liq_pipeline.transform.incremental import extend
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

pytestmark = pytest.mark.shared
SYMBOL = "BTCUSDT"
PRICES = ("open", "high", "low", "close")
Rows = dict[str, pa.Table]
SCHEMAS = {"open_interest": OPEN_INTEREST_SCHEMA, "klines": KLINES_SCHEMA}


@pytest.fixture(scope="module")
def month(shared_archive: Path) -> Rows:
    """A real month: open interest every 5 minutes, bars of 15."""
    base = shared_archive / "btc-15m-2026-03" / "data" / "futures" / "um" / "daily"
    return {
        "open_interest": read_open_interest(sorted((base / "metrics" / SYMBOL).glob("*.zip")), SYMBOL).table,
        "klines": read_klines(sorted((base / "klines" / SYMBOL / "15m").glob("*.zip")), SYMBOL, "15m").table,
    }


def planted(rows: Rows, table: str, at: np.ndarray | list[int], **factors: float) -> Rows:
    changed = rows[table]
    for name, factor in factors.items():
        values = changed[name].to_numpy().copy()
        values[at] *= factor
        changed = changed.set_column(changed.column_names.index(name), name, pa.array(values))
    return rows | {table: changed}


def day_of(rows: pa.Table, day: str) -> np.ndarray:
    return np.flatnonzero(
        (rows["ts"].to_numpy() - np.timedelta64(1, "us")).astype("datetime64[D]") == np.datetime64(day)
    )


def row_at(rows: pa.Table, instant: str) -> list[int]:
    return np.flatnonzero(rows["ts"].to_numpy() == np.datetime64(instant)).tolist()


def totals(tables: Tables, timeframe: str = "7d") -> dict[str, float]:
    found = tables.sql(f"SELECT side, sum(notional_usd) AS usd FROM liquidation_levels_{timeframe} GROUP BY side")
    return dict(zip(found["side"].to_pylist(), found["usd"].to_pylist(), strict=True))


@pytest.fixture
def filled(tmp_path: Path) -> Callable[..., Warehouse]:
    """Make a warehouse that holds these rows, and everything that a full run derives from them."""
    made = []

    def fill(rows: Rows, *, judged: bool = True) -> Warehouse:
        made.append(None)
        warehouse = Warehouse(database=str(tmp_path / str(len(made)) / "liq.duckdb"), lock_timeout_seconds=5)
        with warehouse.transaction("BTCUSDT") as tables:
            if judged:
                fill_feeds(tables, SYMBOL, rows["open_interest"], rows["klines"])
            else:
                for table, content in rows.items():
                    tables.replace(table, SYMBOL, content)
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
            write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
        return warehouse

    return fill


def levels_of(warehouse: Warehouse, timeframe: str = "7d") -> dict[str, float]:
    with warehouse.transaction("BTCUSDT") as tables:
        return totals(tables, timeframe)


@pytest.fixture
def clean(month: Rows, filled) -> dict[str, float]:
    """USD per side of the 7d map of the month as it is: 3.60 and 6.0 billion."""
    found = levels_of(filled(month))
    assert found["long"] == pytest.approx(3_600_684_840, rel=1e-6)
    assert found["short"] == pytest.approx(5_975_111_196, rel=1e-6)
    return found


BOTH = {"open_interest": 10.0, "open_interest_value_usd": 10.0}


@pytest.mark.parametrize("columns", [BOTH, {"open_interest": 10.0}], ids=["both", "contracts"])
@pytest.mark.parametrize("instant", ["2026-04-05T12:00", "2026-04-11T18:30"])
def test_one_snapshot_times_ten_changes_the_levels_by_less_than_a_hundredth(
    month: Rows, filled, clean: dict[str, float], columns: dict[str, float], instant: str
) -> None:
    spoilt = planted(month, "open_interest", row_at(month["open_interest"], instant), **columns)
    unjudged = levels_of(filled(spoilt, judged=False))
    assert max(abs(unjudged[side] / clean[side] - 1) for side in clean) > 0.03  # else this proves nothing
    warehouse = filled(spoilt)
    assert levels_of(warehouse) == pytest.approx(clean, rel=0.01)
    spread = once(warehouse).sql(
        "SELECT ts, is_interpolated FROM oi_delta WHERE ts = $ts::TIMESTAMPTZ", ts=f"{instant}:00+00"
    )
    assert spread["is_interpolated"].to_pylist() == [True]


def test_the_levels_are_those_of_data_without_the_bad_print(month: Rows, filled) -> None:
    at = row_at(month["open_interest"], "2026-04-05T12:00")
    without = month["open_interest"].filter(pa.array(~np.isin(np.arange(month["open_interest"].num_rows), at)))
    spoilt = planted(month, "open_interest", at, **BOTH)
    assert levels_of(filled(spoilt)) == levels_of(filled(month | {"open_interest": without}))


def test_a_day_of_usd_in_the_contracts_column_is_as_if_the_day_were_missing(
    month: Rows, filled, clean: dict[str, float]
) -> None:
    rows = month["open_interest"]
    day = np.isin(np.arange(rows.num_rows), day_of(rows, "2026-04-05"))
    usd = np.where(day, rows["open_interest_value_usd"].to_numpy(), rows["open_interest"].to_numpy())
    spoilt = month | {"open_interest": rows.set_column(2, "open_interest", pa.array(usd))}
    found = levels_of(filled(spoilt))
    assert found == levels_of(filled(month | {"open_interest": rows.filter(pa.array(~day))}))
    assert found == pytest.approx(clean, rel=0.02)


@pytest.mark.parametrize(
    ("factors", "day"),
    [
        ({"low": 0.01}, None),
        ({"high": 10.0}, None),
        (dict.fromkeys(PRICES, 10.0), None),
        (dict.fromkeys(PRICES, 0.1), None),
        (dict.fromkeys((*PRICES, "quote_volume"), 10.0), "2026-04-05"),
    ],
    ids=["wick-down", "wick-up", "bar-x10", "bar-/10", "day-x10"],
)
def test_absurd_prices_liquidate_nobody(
    month: Rows, filled, clean: dict[str, float], factors: dict[str, float], day: str | None
) -> None:
    rows = month["klines"]
    at = day_of(rows, day) if day else row_at(rows, "2026-04-08T12:00")
    spoilt = planted(month, "klines", at, **factors)
    unjudged = levels_of(filled(spoilt, judged=False))
    assert max(abs(unjudged[side] / clean[side] - 1) for side in clean) > 0.05  # else this proves nothing
    found = levels_of(filled(spoilt))
    assert found == levels_of(filled(month | {"klines": rows.filter(pa.array(~np.isin(np.arange(rows.num_rows), at)))}))
    assert found == pytest.approx(clean, rel=0.07 if day else 0.005)


def test_a_volume_of_a_million_times_makes_nobody_younger(month: Rows, filled, clean: dict[str, float]) -> None:
    spoilt = planted(month, "klines", row_at(month["klines"], "2026-04-08T12:00"), volume=1e6)
    assert levels_of(filled(spoilt, judged=False))["long"] > 1.05 * clean["long"]  # else this proves nothing
    assert levels_of(filled(spoilt)) == pytest.approx(clean, rel=1e-3)


def test_a_bar_of_negative_quote_volume_enters_at_its_typical_price(month: Rows, filled) -> None:
    rows = month["klines"]
    at = row_at(rows, "2026-04-08T12:00")
    warehouse = filled(planted(month, "klines", at, quote_volume=-1.0))
    bar = {name: rows[name][at[0]].as_py() for name in (*PRICES, "volume")}
    (row,) = (
        once(warehouse).sql("SELECT entry_price, volume FROM oi_delta WHERE ts = '2026-04-08 12:00:00+00'").to_pylist()
    )
    assert row["entry_price"] == pytest.approx((bar["high"] + bar["low"] + bar["close"]) / 3, rel=1e-12)
    assert row["volume"] == bar["volume"]


class TestTheQuickWay:
    """Rows that are added by the bar are judged like those of a full run."""

    @pytest.fixture
    def begun(self, month: Rows, filled) -> tuple[Warehouse, Rows]:
        """A warehouse that ends three hours before the data, and the rows that are still to come."""
        cut = pa.scalar(month["open_interest"]["ts"][-1].as_py() - timedelta(hours=3), pa.timestamp("us", "UTC"))
        old = {name: rows.filter(pc.less_equal(rows["ts"], cut)) for name, rows in month.items()}
        late = {name: rows.filter(pc.greater(rows["ts"], cut)) for name, rows in month.items()}
        return filled(old), late

    def _add(self, warehouse: Warehouse, rows: Rows) -> list[str]:
        with warehouse.transaction("BTCUSDT") as tables:
            extend(tables, SYMBOL, rows["open_interest"], rows["klines"])
        return (
            once(warehouse)
            .sql(
                "SELECT bad_print FROM open_interest WHERE bad_print IS NOT NULL "
                "UNION ALL SELECT bad_print FROM klines WHERE bad_print IS NOT NULL"
            )["bad_print"]
            .to_pylist()
        )

    def test_of_good_rows_says_nothing(self, begun) -> None:
        warehouse, late = begun
        assert self._add(warehouse, late) == []

    @pytest.mark.parametrize("row", [0, 17, -1])
    def test_blanks_a_snapshot_times_ten_wherever_it_comes(self, begun, month: Rows, filled, row: int) -> None:
        warehouse, late = begun
        spoilt = planted(late, "open_interest", [row], **BOTH)
        (said,) = self._add(warehouse, spoilt)
        assert said.startswith("changed by more than was traded")

    @pytest.mark.parametrize("row", [0, 5, -1])
    def test_blanks_a_bar_times_ten_wherever_it_comes(self, begun, row: int) -> None:
        warehouse, late = begun
        (said,) = self._add(warehouse, planted(late, "klines", [row], **dict.fromkeys(PRICES, 10.0)))
        assert said.startswith("prices leap away")

    def test_gives_what_a_full_run_gives(self, begun, month: Rows, filled) -> None:
        warehouse, late = begun
        at = row_at(month["open_interest"], "2026-04-12T00:30")
        spoilt = planted(month, "open_interest", at, **BOTH)
        cut = late["open_interest"]["ts"][0]
        rows = {name: table.filter(pc.greater_equal(table["ts"], cut)) for name, table in spoilt.items()}
        for end in range(1, rows["open_interest"].num_rows + 1, 3):  # bar by bar
            until = rows["open_interest"]["ts"][min(end + 2, rows["open_interest"].num_rows) - 1]
            self._add(warehouse, {n: table.filter(pc.less_equal(table["ts"], until)) for n, table in rows.items()})
        assert levels_of(warehouse) == levels_of(filled(spoilt))


def test_a_row_without_a_reason_cannot_be_null(month: Rows, filled) -> None:
    import duckdb

    warehouse = filled(month)
    with pytest.raises(duckdb.ConstraintException), warehouse.get_connection("BTCUSDT") as connection:
        connection.execute("UPDATE klines SET close = NULL WHERE ts = '2026-04-08 12:00:00+00'")
