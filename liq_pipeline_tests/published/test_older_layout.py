"""Files of schema 1 (`symbol=…/timeframe=…/`): replaced by the next publication, and never before it is complete."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from liq_pipeline.cli.main import app
from liq_pipeline.published.layout import older_folders, published_folders, published_symbols
from liq_pipeline.published.publish import PublishedDataset, Publisher, Views

AS_OF = "2026-06-28T00:00:00Z"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A folder in which an older version published levels and views of two symbols."""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for dataset, name in (("liquidation_levels", "liquidation_levels.parquet"), ("views", "map.png")):
            folder = tmp_path / dataset / f"symbol={symbol}" / "timeframe=7d"
            folder.mkdir(parents=True)
            (folder / name).write_bytes(b"of schema 1")
            (folder / "manifest.json").write_text('{"schema_version": 1}')
    return tmp_path


def levels(symbol: str) -> PublishedDataset:
    rows = pa.table({"symbol": [symbol], "timeframe": ["7d"]})
    return PublishedDataset("liquidation_levels", symbol, rows, {"as_of": AS_OF}, "7d")


def test_they_count_as_not_published(older: Path) -> None:
    assert published_symbols(older) == []
    assert len(older_folders(older)) == 4


def test_publishing_a_dataset_of_a_symbol_removes_its_own_old_files_and_no_others(older: Path) -> None:
    Publisher(folder=str(older)).publish([levels("BTCUSDT")])

    left = [folder.relative_to(older).as_posix() for folder in older_folders(older)]
    assert left == ["liquidation_levels/symbol=ETHUSDT", "views/symbol=BTCUSDT", "views/symbol=ETHUSDT"]
    assert published_symbols(older) == ["BTCUSDT"]

    Publisher(folder=str(older)).publish_views([Views("BTCUSDT", "7d", {"map.png": b"new"}, {"as_of": AS_OF})], {})
    assert len(older_folders(older)) == 2


def test_once_every_symbol_is_new_the_folder_opens(older: Path) -> None:
    Publisher(folder=str(older)).publish([levels("BTCUSDT"), levels("ETHUSDT")])

    assert sorted(pd.read_parquet(older / "liquidation_levels")["symbol"]) == ["BTCUSDT", "ETHUSDT"]


def test_what_fails_leaves_the_old_files(older: Path) -> None:
    class Broken(PublishedDataset):
        def content(self) -> tuple[bytes, int]:
            raise OSError("no space left on device")

    broken = Broken("liquidation_levels", "BTCUSDT", pa.table({}), {"as_of": AS_OF}, "7d")
    with pytest.raises(OSError, match="no space"):
        Publisher(folder=str(older)).publish([broken])

    assert len(older_folders(older)) == 4


def test_withdrawing_a_symbol_takes_its_old_files_too(older: Path) -> None:
    Publisher(folder=str(older)).publish([levels("BTCUSDT")])

    Publisher(folder=str(older)).withdraw("BTCUSDT")

    assert published_folders(older, "BTCUSDT") == []
    assert not list(older.rglob("*BTCUSDT*"))
    assert len(published_folders(older, "ETHUSDT")) == 2


def test_status_says_which_symbols_are_of_an_older_version_and_what_to_do(older: Path, tmp_path: Path) -> None:
    Publisher(folder=str(older)).publish([levels("BTCUSDT")])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "published").symlink_to(older, target_is_directory=True)

    told = CliRunner().invoke(app, ["status", "--data", str(tmp_path / "data")]).output

    assert "ETHUSDT: published by an older version" in told
    assert "To do: liq run --symbols ETHUSDT" in told
    assert "BTCUSDT: published by an older" not in told
