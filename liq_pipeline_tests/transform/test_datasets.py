"""What is published is of one state, whoever writes meanwhile."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.published.publish import PublishedDataset
from liq_pipeline.transform.datasets import level_datasets
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

SYMBOL = "BTCUSDT"
ROUNDS = 50
WRITER = """
import sys, time
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
from pathlib import Path
from liq_pipeline.transform.features import write_features
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.warehouse.warehouse import Warehouse

database, folder = sys.argv[1], Path(sys.argv[2])
warehouse = Warehouse(database=database, lock_timeout_seconds=60)
states = [{table: pq.read_table(folder / f"{table}-{state}.parquet") for table in ("open_interest", "klines")}
          for state in (0, 1)]
while True:
    for state in states:
        with warehouse.transaction("BTCUSDT") as tables:
            for table, rows in state.items():
                tables.replace(table, "BTCUSDT", rows)
            tables.rebuild("oi_delta", "BTCUSDT")
            walk_whole(tables, "BTCUSDT")
            write_levels(tables, "BTCUSDT", tables.newest_bar("BTCUSDT"))
            write_features(tables, "BTCUSDT")
        print("written", flush=True)
        time.sleep(0.1)  # the lock is no queue: who comes back at once is first again
"""


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveSource:
    return ArchiveSource(location=str(tmp_path), listing_url="", raw_dir=str(tmp_path), bar_minutes=5)


@contextmanager
def another_process_writing_other_data(warehouse: Warehouse, folder: Path) -> Iterator[None]:
    """Two days that end at different bars, the second at twice the prices, take turns until the end."""
    for table, prices in (("open_interest", ()), ("klines", ("open", "high", "low", "close", "quote_volume"))):
        rows = once(warehouse).sql(f"SELECT * FROM {table} WHERE symbol = '{SYMBOL}' ORDER BY ts LIMIT 576")
        for state in (0, 1):
            part = rows.slice(0, 576 - 288 * state)
            for name in prices if state else ():
                place = part.schema.get_field_index(name)
                part = part.set_column(place, part.schema.field(name), pc.multiply(part[name], 2.0))
            pq.write_table(part, folder / f"{table}-{state}.parquet")
    command = [sys.executable, "-c", WRITER, warehouse.database, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        try:
            for _ in range(2):  # both states have been there
                assert writer.stdout.readline() == "written\n"
            yield
        finally:
            writer.kill()


def states_of(datasets: list[PublishedDataset]) -> set[tuple[object, ...]]:
    """Return the states of which the rows and the manifests are: one, if all is well."""
    seen: set[tuple[object, ...]] = set()
    closes: set[float] = set()
    for dataset in datasets:
        manifest, rows = dataset.manifest, dataset.rows
        rows = pq.read_table(io.BytesIO(rows)) if isinstance(rows, bytes) else rows
        seen.add((manifest["as_of"], round(manifest["open_interest_contracts"], 6)))
        if dataset.name == "oi_delta":
            newest = pc.max(rows["ts"]).as_py()
            seen.add((f"{newest:%Y-%m-%dT%H:%M:%SZ}", round(rows["open_interest"][-1].as_py(), 6)))
        elif dataset.name in ("positions", "liquidation_features"):
            assert f"{pc.max(rows['ts']).as_py():%Y-%m-%dT%H:%M:%SZ}" == manifest["as_of"]
            closes.add(rows["close"][-1].as_py())
        else:
            assert set(rows["current_price"].to_pylist()) == {manifest["current_price"]}
            closes.add(manifest["current_price"])
            assert {f"{ts:%Y-%m-%dT%H:%M:%SZ}" for ts in pc.unique(rows["as_of"]).to_pylist()} == {manifest["as_of"]}
    assert len(closes) == 1
    return seen


@pytest.mark.slow
def test_what_is_published_is_of_one_state_while_another_process_writes_other_data(
    warehouse: Warehouse, archive: ArchiveSource, tmp_path: Path
) -> None:
    found: set[tuple[object, ...]] = set()
    warehouse = warehouse.model_copy(update={"lock_timeout_seconds": 60})
    with another_process_writing_other_data(warehouse, tmp_path):
        rounds, until = 0, time.monotonic() + 300
        while rounds < ROUNDS or (len(found) < 2 and time.monotonic() < until):
            with warehouse.transaction("BTCUSDT") as tables:
                datasets = level_datasets(tables, SYMBOL, archive, [])
            states = states_of(datasets)
            assert len(states) == 1, states
            found |= states
            rounds += 1
            time.sleep(0.05)  # the lock is no queue: the writer comes in between

    assert len(found) == 2  # both states were published


def test_positions_hold_both_sides_of_every_bar_also_where_nothing_opened(warehouse: Warehouse) -> None:
    with warehouse.transaction("BTCUSDT") as tables:
        found = tables.read("positions", symbol="BTCUSDT")
        walked = tables.sql("SELECT ts, side FROM position_survival ORDER BY ts, side").to_pylist()

    assert found.select(["ts", "side"]).to_pylist() == walked
    quiet = [row for row in found.to_pylist() if not row["contracts_opened"]]
    assert {row["side"] for row in quiet if row["ts"] == walked[0]["ts"]} == {"long", "short"}
