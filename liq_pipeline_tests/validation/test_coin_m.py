"""The COIN-M archive: its quirks by name, and the whole run on a simulated publication served over HTTP."""

import shutil
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from liq_pipeline.cli import reading
from liq_pipeline.cli.main import app
from liq_pipeline.errors import ChecksumsMissing, UnknownSymbol
from liq_pipeline.exchange.coin_m import (
    drop_doubled_rows,
    fetch_coin_m,
    is_liquidated_long,
    key_of,
    read_coin_klines,
    read_coin_metrics,
    read_liquidation_snapshots,
)
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.keys import RemoteFile
from liq_pipeline.simulator.coin_m import publish_coin_m
from liq_pipeline.simulator.files import corrupt_zip, write_zip
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.validation import coin_m
from liq_pipeline.validation.coin_m import steps_of, validate_coin_m

pytestmark = pytest.mark.whole_run

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


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_steps_fill_each_day_that_has_a_file_and_no_other(published, minutes):
    read = read_liquidation_snapshots(files(published, "liquidationSnapshot"), SYMBOL)
    last = [read.days[-1]] * 2 + [read.days[-1] + timedelta(days=2)]
    steps = steps_of(read.rows, last, minutes)
    assert len(steps) == 2 * 1440 // minutes
    assert steps["ts"].is_unique
    assert set(steps["ts"].dt.date) == set(last)


def test_command_function_and_document_name_the_same_days(repository):
    days = [day.isoformat() for day in (coin_m.FIRST_DAY, coin_m.LAST_DAY)]
    assert [f"{day:%Y-%m-%d}" for day in (reading.FIRST_DAY, reading.LAST_DAY)] == days
    assert f"single liquidations, {days[0]} to {days[1]}" in (repository / "docs" / "validation.md").read_text()


BAD_CELLS = {
    "klines": [(1, "nan"), (2, "0"), (3, "-1"), (4, "inf"), (2, "1"), (5, ""), (5, "-1"), (7, "1e308"), (8, "2.5"),
               (9, "-1"), (10, "x"), (0, ""), (0, "1773392700000000000"), (0, "58190")],
    "metrics": [(0, ""), (0, "never"), (0, "2099-01-01 00:00:00")],
    "liquidationSnapshot": [(0, ""), (0, "x"), (0, "1e300"), (0, "-5"), (0, "1")],
}  # fmt: skip
READERS = {
    "klines": read_coin_klines, "metrics": read_coin_metrics, "liquidationSnapshot": read_liquidation_snapshots,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "column", "cell"), [(kind, *spoilt) for kind, cells in BAD_CELLS.items() for spoilt in cells]
)
def test_a_row_that_cannot_be_costs_its_file_which_is_named_with_the_line(published, tmp_path, kind, column, cell):
    first, second = files(published, kind)[:2]
    with zipfile.ZipFile(first) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    cells = lines[3].split(",")
    cells[column] = cell
    spoilt = tmp_path / first.name
    write_zip(tmp_path, first.name, "\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")
    read = READERS[kind]([spoilt, second], SYMBOL)
    assert [path for path, _ in read.bad] == [spoilt]
    assert f"{first.name}: line 3" in str(read.bad[0][1]).replace("line 4", "line 3")
    assert len(read.days) == 1


@pytest.mark.parametrize("kind", READERS)
def test_whatever_is_wrong_with_a_zip_costs_its_day_only(published, tmp_path, kind):
    first, second = files(published, kind)[:2]
    whole = first.read_bytes()
    spoilt = tmp_path / first.name
    places = range(len(whole) - 130, len(whole))
    flipped = [whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :] for place in places]
    for content in (b"", b"PK", whole[:-30], b"<html>", *flipped):
        spoilt.write_bytes(content)
        read = READERS[kind]([spoilt, second], SYMBOL)
        assert {path for path, _ in read.bad} <= {spoilt}
        assert second.stem[-10:] in map(str, read.days)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "time\n", "a,b\n1,2\n", '"', "open_time,open_time\n1,2\n", "\0" * 50, "time,side," * 15_000]
)
def test_a_csv_that_is_none_is_left_out(published, tmp_path, content):
    for kind, reader in READERS.items():
        good = files(published, kind)[1]
        name = files(published, kind)[0].name
        write_zip(tmp_path, name, content)
        read = reader([tmp_path / name, good], SYMBOL)
        assert [path.name for path, _ in read.bad] == [name]


def test_a_bad_file_goes_to_quarantine_with_what_is_wrong_with_it(published, tmp_path):
    exchange = shutil.copytree(published, tmp_path / "exchange")
    key = key_of("klines", SYMBOL, FIRST + timedelta(days=3), "5m")
    write_zip(exchange, key, "open_time,nonsense\n1,2\n")
    said: list[str] = []
    options = {"since": FIRST, "until": FIRST + timedelta(days=DAYS), "report": said.append}
    validate_coin_m(str(exchange), tmp_path / "data", symbol=SYMBOL, **options)
    quarantined = tmp_path / "data" / "raw" / "quarantine" / key
    assert quarantined.exists()
    assert "without open" in quarantined.with_name(f"{quarantined.name}.txt").read_text()
    assert any(line.startswith(f"left out: {quarantined.name}") for line in said)
    assert not (tmp_path / "data" / "raw" / key).exists()


def test_a_listing_cannot_write_outside_its_folder(published, tmp_path):
    exchange = shutil.copytree(published, tmp_path / "exchange")

    class Hostile(FolderArchive):
        def list_files(self, prefix: str) -> list[RemoteFile]:
            listed = super().list_files(prefix)
            evil = [replace(one, key=f"{one.key}/../../../../../../../../../evil.zip") for one in listed[:2]]
            return [*listed, *evil, *(replace(one, key=f"{one.key[:-4]}x.zip") for one in listed[:2])]

    folder = tmp_path / "deep" / "raw"
    local = fetch_coin_m(Hostile(exchange), SYMBOL, "5m", FIRST, FIRST + timedelta(days=2), folder, 2)
    assert [len(paths) for paths in local.values()] == [3, 3, 3]
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"deep", "exchange"}
    assert not list(tmp_path.rglob("evil.zip"))


def test_a_mirror_without_sidecars_says_so_and_a_folder_can_do_without(published, tmp_path):
    exchange = shutil.copytree(published, tmp_path / "exchange")
    for sidecar in exchange.rglob("*.CHECKSUM"):
        sidecar.unlink()
    until, said = FIRST + timedelta(days=2), []
    with pytest.raises(ChecksumsMissing, match=r"no \.CHECKSUM beside 3 zips of BTCUSD_PERP liquidationSnapshot"):
        fetch_coin_m(FolderArchive(exchange), SYMBOL, "5m", FIRST, until, tmp_path / "raw", 2)
    unchecked = FolderArchive(exchange, needs_checksums=False)
    fetch_coin_m(unchecked, SYMBOL, "5m", FIRST, until, tmp_path / "raw", 2, said.append)
    assert "checksums NOT verified: 3 files without a .CHECKSUM" in said


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
    assert "legacy system" in result.output
    assert np.any([path.suffix == ".html" for path in tmp_path.rglob("*")])
