"""What people open published files with: each reader, on a file, a list, a glob and the folder, whole and filtered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.layout import HISTORY, WHOLE
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.settings import Settings


def files(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*/*.parquet"))


MINE = (pc.field("symbol") == "BTCUSDT") & (pc.field("timeframe") == "7d")
READERS: dict[str, tuple[Callable[[str], Any], Callable[[str], Any]]] = {
    "pandas, folder": (
        lambda folder: pd.read_parquet(folder),
        lambda folder: pd.read_parquet(folder, filters=[("symbol", "==", "BTCUSDT"), ("timeframe", "==", "7d")]),
    ),
    "pandas, list": (
        lambda folder: pd.read_parquet(files(folder)),
        lambda folder: pd.read_parquet(files(folder), filters=MINE),
    ),
    "pyarrow, dataset": (
        lambda folder: ds.dataset(folder).to_table().to_pandas(),
        lambda folder: ds.dataset(folder).to_table(filter=MINE).to_pandas(),
    ),
    "pyarrow, hive dataset": (
        lambda folder: ds.dataset(folder, partitioning="hive").to_table().to_pandas(),
        lambda folder: ds.dataset(folder, partitioning="hive").to_table(filter=MINE).to_pandas(),
    ),
    "pyarrow, read_table": (
        lambda folder: pq.read_table(folder).to_pandas(),
        lambda folder: pq.read_table(folder, filters=MINE).to_pandas(),
    ),
    "polars, folder": (
        lambda folder: pl.read_parquet(folder).to_pandas(),
        lambda folder: pl.read_parquet(folder).filter(symbol="BTCUSDT", timeframe="7d").to_pandas(),
    ),
    "polars, glob": (
        lambda folder: pl.read_parquet(f"{folder}/*/*.parquet").to_pandas(),
        lambda folder: pl.read_parquet(f"{folder}/*/*.parquet").filter(symbol="BTCUSDT", timeframe="7d").to_pandas(),
    ),
    "polars, lazy": (
        lambda folder: pl.scan_parquet(folder).collect().to_pandas(),
        lambda folder: pl.scan_parquet(folder).filter(symbol="BTCUSDT", timeframe="7d").collect().to_pandas(),
    ),
    "duckdb, glob": (
        lambda folder: duckdb.sql(f"FROM '{folder}/*/*.parquet'").to_arrow_table().to_pandas(),
        lambda folder: (
            duckdb.sql(f"FROM '{folder}/*/*.parquet' WHERE symbol = 'BTCUSDT' AND timeframe = '7d'")
            .to_arrow_table()
            .to_pandas()
        ),
    ),
}


@pytest.mark.parametrize("dataset", [name for name in SCHEMAS if name not in (*WHOLE, HISTORY)])
@pytest.mark.parametrize("reader", READERS)
def test_each_reader_opens_a_dataset_as_it_lies(reader: str, dataset: str, good_run: Settings) -> None:
    folder = str(good_run.published_dir / dataset)
    whole, mine = (read(folder) for read in READERS[reader])

    assert list(whole.columns) == SCHEMAS[dataset].names
    assert set(whole["timeframe"]) == {"1d", "7d", "30d", "90d"}
    assert set(whole["exchange"]) == {"binance"}
    assert len(mine) == pq.read_metadata(f"{folder}/BTCUSDT/7d.parquet").num_rows
    assert len(whole) == sum(pq.read_metadata(path).num_rows for path in Path(folder).rglob("*.parquet"))


@pytest.mark.parametrize("dataset", WHOLE)
@pytest.mark.parametrize("reader", READERS)
def test_datasets_with_one_file_per_symbol_open_too(reader: str, dataset: str, good_run: Settings) -> None:
    rows = READERS[reader][0](str(good_run.published_dir / dataset))

    assert list(rows.columns) == SCHEMAS[dataset].names
    assert set(rows["symbol"]) == (set() if dataset == DATASET else {"BTCUSDT"})  # no truth, no range
    assert len(rows) == pq.read_metadata(good_run.published_dir / dataset / "BTCUSDT" / f"{dataset}.parquet").num_rows


@pytest.mark.parametrize("reader", READERS)
def test_the_history_opens_as_one_table(reader: str, good_run: Settings) -> None:
    rows = READERS[reader][0](str(good_run.published_dir / HISTORY))

    assert list(rows.columns) == SCHEMAS[HISTORY].names
    assert set(rows["timeframe"]) == {"1d", "7d", "30d", "90d"}


@pytest.mark.parametrize("dataset", SCHEMAS)
def test_a_file_says_what_its_columns_mean(dataset: str, good_run: Settings) -> None:
    path = next((good_run.published_dir / dataset).rglob("*.parquet"))
    for field in pq.read_schema(path):
        assert field.metadata[b"description"], field.name
    units = {field.name: (field.metadata or {}).get(b"unit") for field in pq.read_schema(path)}
    in_usd = {name for name, unit in units.items() if unit == b"USD"}
    assert units["symbol"] is None
    assert in_usd & {"notional_usd", "close", "oi_delta_usd", "p50_usd"}


def test_nothing_but_parquet_lies_in_a_folder_of_a_dataset(good_run: Settings) -> None:
    for dataset in SCHEMAS:
        files = [path for path in (good_run.published_dir / dataset).rglob("*") if path.is_file()]
        assert files
        assert {path.suffix for path in files} == {".parquet"}
