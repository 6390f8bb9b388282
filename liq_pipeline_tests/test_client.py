"""The client gives what is published, as frames, and says in words what is not there."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline import client
from liq_pipeline.errors import LiqError, NoData, NotPublished, PublishedDamaged, SettingsError
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.schemas import SCHEMAS

READERS = {
    "liquidation_levels": lambda folder: client.liquidation_levels("BTCUSDT", "30d", folder=folder),
    "liquidation_heatmap": lambda folder: client.liquidation_heatmap("BTCUSDT", "30d", folder=folder),
    "candles": lambda folder: client.candles("BTCUSDT", "30d", folder=folder),
    "oi_delta": lambda folder: client.oi_delta("BTCUSDT", folder=folder),
    "liquidation_features": lambda folder: client.liquidation_features("BTCUSDT", folder=folder),
    "if_reached": lambda folder: client.if_reached("BTCUSDT", folder=folder),
}


@pytest.mark.parametrize("dataset", READERS)
def test_each_dataset_is_the_published_one(dataset: str, good_run) -> None:
    rows = READERS[dataset](good_run.published_dir)

    assert rows.equals(pq.read_table(dataset_path(good_run.published_dir, dataset, "BTCUSDT", "30d")).to_pandas())


def test_the_folder_of_the_settings_is_the_default(good_run, monkeypatch) -> None:
    monkeypatch.setenv("LIQ_DATA_DIR", str(good_run.data_dir))

    assert client.symbols() == ["BTCUSDT"]
    assert len(client.liquidation_levels("BTCUSDT")) > 0


def test_of_a_bucket_the_symbol_that_is_asked_for_is_brought_and_for_a_list_of_all_every_one(
    good_run, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(client, "up_to_date", lambda settings, symbols: asked.append(symbols) or good_run.published_dir)

    client.symbols()
    client.candles("BTCUSDT")

    assert asked == [None, ("BTCUSDT",)]


@pytest.mark.parametrize("at", ["2026-06-25T12:00Z", "2026-06-25 14:00+02:00", datetime(2026, 6, 25, 12, tzinfo=UTC)])
def test_an_instant_may_be_text_or_an_instant(at, good_run) -> None:
    rows = client.liquidation_levels("BTCUSDT", "1d", at=at, folder=good_run.published_dir)

    assert list(rows.columns) == SCHEMAS["liquidation_levels"].names
    assert set(rows["as_of"]) == {datetime(2026, 6, 25, 12, tzinfo=UTC)}


def test_a_manifest_tells_how_the_past_may_differ(good_run) -> None:
    facts = client.manifest("positions", "BTCUSDT", folder=good_run.published_dir)

    assert any("is_interpolated" in line for line in facts["hindsight"])


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"symbol": "XUSDT"}, NotPublished, "XUSDT is not published in .* Expected: BTCUSDT"),
        ({"symbol": "BTCUSDT", "timeframe": "2d"}, SettingsError, "no timeframe '2d'. Expected: 1d, 7d, 30d, 90d"),
        ({"symbol": "BTCUSDT", "timeframe": "2d", "at": "2026-06-25"}, SettingsError, "no timeframe '2d'"),
        ({"symbol": "BTCUSDT", "at": "noon"}, SettingsError, "'noon' is not an instant; expected 2026-03-19"),
        ({"symbol": "BTCUSDT", "at": "2020-01-01"}, NoData, "no bar that closed by 2020-01-01"),
    ],
)
def test_what_is_not_there_is_said(asked: dict, error: type[LiqError], said: str, good_run) -> None:
    with pytest.raises(error, match=said):
        client.liquidation_levels(**asked, folder=good_run.published_dir)


def test_a_file_of_another_version_is_a_typed_error_that_names_the_column(published: Path) -> None:
    path = dataset_path(published, "positions", "BTCUSDT")
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["liquidated_at"]), path)

    with pytest.raises(PublishedDamaged, match=r"no column liquidated_at: another version .* To do: publish again"):
        client.liquidation_levels("BTCUSDT", "7d", at="2026-06-27T12:00Z", folder=published)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_a_damaged_file_is_a_typed_error(damage, published: Path) -> None:
    damage(dataset_path(published, "liquidation_levels", "BTCUSDT", "7d"))

    with pytest.raises(PublishedDamaged, match=r"7d\.parquet .* To do: publish again: liq run"):
        client.liquidation_levels("BTCUSDT", folder=published)


@pytest.mark.parametrize("module", ["client", "server.run"])
def test_readers_load_neither_dagster_nor_duckdb_nor_a_compiler(module: str, child_env) -> None:
    code = f"import sys, liq_pipeline.{module}; print({{'dagster', 'duckdb', 'numba', 'pandas'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_the_client_loads_no_server(child_env) -> None:
    code = "import sys, liq_pipeline.client; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
