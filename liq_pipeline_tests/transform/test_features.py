"""Features as a table: new bars are added to the file, and give what making it anew gives."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.publish import parquet_bytes
from liq_pipeline.published.schemas import FEATURES_SCHEMA
from liq_pipeline.transform.features import write_features
from liq_pipeline.transform.incremental import extend
from liq_pipeline.warehouse.schema import FEATURES
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOL = "BTCUSDT"


def alike(one: pa.Table, other: pa.Table) -> None:
    assert one.schema.equals(other.schema)
    assert one.num_rows == other.num_rows
    for name in one.column_names:
        mine, theirs = (rows[name].to_numpy(zero_copy_only=False) for rows in (one, other))
        if pa.types.is_floating(one[name].type):
            scale = np.nanmax(np.abs(theirs)) if len(theirs) else 0
            np.testing.assert_allclose(mine, theirs, rtol=2 / 16_000, atol=1e-6 * scale, err_msg=name)
        else:
            assert (mine == theirs).all(), name


def test_there_is_a_row_per_bar_with_what_a_bot_merges(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        rows = write_features(tables, SYMBOL)
        bars = tables.sql("SELECT ts, is_interpolated FROM oi_delta ORDER BY ts")

    assert rows.schema.names == FEATURES_SCHEMA.names
    assert rows["ts"].equals(bars["ts"])
    assert rows["is_interpolated"].equals(bars["is_interpolated"])
    change = rows["imbalance_change"].to_numpy()
    assert np.isnan(change[0])
    np.testing.assert_allclose(change[1:], np.diff(rows["imbalance"].to_numpy()), atol=2 / 16_000)


def test_missing_snapshots_are_told_by_the_age_of_open_interest(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        tables.connection.execute(
            "DELETE FROM open_interest WHERE ts BETWEEN '2026-06-24 12:00:00+00' AND '2026-06-24 12:10:00+00'"
        )
        tables.rebuild("oi_delta", SYMBOL)
        rows = write_features(tables, SYMBOL)

    age = rows["open_interest_age_minutes"].to_numpy()
    assert age[age > 0].tolist() == [5, 10, 15]
    assert rows.filter(rows["is_interpolated"]).num_rows == 4  # the change up to the next snapshot is spread, too


@pytest.mark.parametrize("hours", [1, 30])
def test_new_bars_give_what_making_all_anew_gives(hours: int, warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        given = {name: tables.sql(f"SELECT * FROM {name} ORDER BY ts") for name in ("open_interest", "klines")}
        until = tables.newest_bar(SYMBOL)["as_of"] - timedelta(hours=hours)
        for name in given:
            tables.connection.execute(f"DELETE FROM {name} WHERE ts > $until", {"until": until})
        tables.rebuild("oi_delta", SYMBOL)
        tables.connection.execute("DELETE FROM position_survival")  # left half done: the walk begins anew
        extend(tables, SYMBOL, given["open_interest"].slice(0, 0), given["klines"].slice(0, 0))
        before = pq.read_table(tables.file_of(FEATURES))
        extend(tables, SYMBOL, given["open_interest"], given["klines"])
        extended = pq.read_table(tables.file_of(FEATURES))

        alike(extended, write_features(tables, SYMBOL))
    assert before["ts"][-1].as_py() == until
    assert extended.num_rows - before.num_rows == 12 * hours
    assert extended.slice(0, before.num_rows).equals(before)  # what was is left as it was


def test_without_new_bars_a_file_that_is_gone_is_made(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        tables.file_of(FEATURES).unlink()
    with warehouse.transaction(SYMBOL) as tables:
        none = {name: tables.sql(f"SELECT * FROM {name} LIMIT 0") for name in ("open_interest", "klines")}
        extend(tables, SYMBOL, none["open_interest"], none["klines"])

        assert pq.read_metadata(tables.file_of(FEATURES)).num_rows == tables.count("oi_delta", SYMBOL)


DAMAGE = {
    "gone": lambda rows: None,
    "of another history": lambda rows: rows.slice(0, rows.num_rows - 3),
    "ahead, as after a transaction that did not last": lambda rows: pa.concat_tables(
        [rows, rows.slice(rows.num_rows - 1)]
    ),
    "of other columns": lambda rows: rows.drop_columns(["imbalance"]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_file_that_cannot_be_gone_on_with_is_made_anew(damage, warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        good, file = write_features(tables, SYMBOL), tables.file_of(FEATURES)
    if (left := damage(good)) is None:
        file.unlink()
    else:
        file.write_bytes(parquet_bytes(left))
    with warehouse.transaction(SYMBOL) as tables:
        since = np.datetime64(pc.max(good["ts"]).as_py().replace(tzinfo=None), "us")

        alike(write_features(tables, SYMBOL, since=since), good)
