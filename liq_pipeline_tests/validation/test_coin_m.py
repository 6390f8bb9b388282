"""The COIN-M archive: its quirks by name, and the whole run on a simulated publication served over HTTP."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from liq_pipeline.cli import app
from liq_pipeline.errors import UnknownSymbol
from liq_pipeline.exchange.coin_m import (
    drop_doubled_rows,
    is_liquidated_long,
    key_of,
    read_coin_klines,
    read_coin_metrics,
    read_liquidation_snapshots,
)
from liq_pipeline.simulator.coin_m import publish_coin_m
from liq_pipeline.simulator.files import corrupt_zip
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.validation.coin_m import steps_of, validate_coin_m

SYMBOL = "BTCUSD_PERP"
FIRST = date(2024, 2, 1)
DAYS = 12
HOLE = (FIRST + timedelta(days=6),)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("coin_m")
    publish_coin_m(simulate(MarketConfig(symbol=SYMBOL, first_day=FIRST, days=DAYS)), folder, HOLE)
    return folder


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / f"data/futures/cm/daily/{kind}/{SYMBOL}").rglob("*.zip"))


def test_every_row_stands_twice():
    rows = pd.DataFrame({"time": ["1", "1", "2", "2"], "side": ["SELL", "SELL", "BUY", "BUY"]})
    once, dropped = drop_doubled_rows(rows)
    assert (len(once), dropped) == (2, 2)


def test_sell_is_a_liquidated_long():
    assert is_liquidated_long(pd.Series(["SELL", "BUY"])).tolist() == [True, False]


def test_usd_is_contracts_times_a_hundred(published):
    market = simulate(MarketConfig(symbol=SYMBOL, first_day=FIRST, days=DAYS))
    read = read_liquidation_snapshots(files(published, "liquidationSnapshot"), SYMBOL)
    assert read.rows["long_usd"].sum() == pytest.approx(market.liquidations["long_usd"].sum(), rel=1e-3)
    assert read.rows["short_usd"].sum() == pytest.approx(market.liquidations["short_usd"].sum(), rel=1e-3)
    assert read.notes["doubled_rows_dropped"] == len(read.rows)


def test_labels_of_metrics_name_the_start_and_holes_are_counted(published):
    read = read_coin_metrics(files(published, "metrics"), SYMBOL)
    assert read.rows["ts"].iloc[0] == pd.Timestamp(FIRST, tz="UTC") + pd.Timedelta("5min")
    assert read.notes["holes_longer_than_a_day"] == 1


def test_vwap_of_inverse_contracts_lies_in_the_bar(published):
    rows = read_coin_klines(files(published, "klines"), SYMBOL).rows
    vwap = rows["quote_volume"] / rows["volume"]
    assert ((vwap >= rows["low"] * 0.9999) & (vwap <= rows["high"] * 1.0001)).all()


def test_a_damaged_day_is_left_out_and_not_taken_for_a_quiet_one(published, tmp_path):
    publish_coin_m(simulate(MarketConfig(symbol=SYMBOL, first_day=FIRST, days=3)), tmp_path)
    corrupt_zip(tmp_path, key_of("liquidationSnapshot", SYMBOL, FIRST + timedelta(days=1)))
    read = read_liquidation_snapshots(files(tmp_path, "liquidationSnapshot"), SYMBOL)
    assert len(read.bad) == 1
    steps = steps_of(read.rows, read.days, 5)
    assert len(steps) == 2 * 288
    assert set(steps["ts"].dt.date) == {FIRST, FIRST + timedelta(days=2)}


def test_the_whole_run_over_http(published, tmp_path):
    said: list[str] = []
    with ArchiveServer(published) as server:
        options = {"since": FIRST, "until": FIRST + timedelta(days=DAYS), "out": tmp_path / "report"}
        found = validate_coin_m(server.url, tmp_path, symbol=SYMBOL, report=said.append, **options)
    assert found.facts["truth_step_minutes"] == 5
    assert found.flows.rows["walk"].alone.value > found.flows.move.value
    assert (tmp_path / "report" / "validation.html").exists()
    assert any("doubled" in line for line in said)
    with ArchiveServer(published) as server, pytest.raises(UnknownSymbol):
        validate_coin_m(server.url, tmp_path, symbol="ETHUSD_PERP", since=FIRST, until=FIRST)


def test_the_command_works_on_a_folder(published, tmp_path):
    result = CliRunner().invoke(
        app,
        [
            "coin-m", "--archive", str(published), "--data", str(tmp_path), "--since", str(FIRST), "--until",
            str(FIRST + timedelta(days=DAYS)),
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "prior system" in result.output
    assert np.any([path.suffix == ".html" for path in tmp_path.rglob("*")])
