"""What goes wrong outside, from one end to the other: each fault gets a clear message, the rest is published."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.files import (
    corrupt_zip,
    garbage_row,
    kline_key,
    metrics_key,
    remove_day,
    rewrite_day,
    wrong_checksum,
)
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline_tests.findings import finding_in

pytestmark = pytest.mark.whole_run


@pytest.fixture(scope="module")
def spoilt(copy_of, liq, run_options, tmp_path_factory):
    """One run over an archive with all five faults at once, over HTTP."""
    folder = tmp_path_factory.mktemp("spoilt")
    exchange = copy_of(folder / "exchange")
    remove_day(exchange.folder, metrics_key("BTCUSDT", exchange.day(1)))
    wrong_checksum(exchange.folder, metrics_key("BTCUSDT", exchange.day(3)))
    corrupt_zip(exchange.folder, kline_key("BTCUSDT", "5m", exchange.day(4)))
    garbage_row(exchange.folder, kline_key("BTCUSDT", "5m", exchange.day(6)))
    with ArchiveServer(exchange.folder) as server:
        options = run_options(exchange, folder / "data", archive=server.url, symbols="BTCUSDT,BTCUSTD,ETHUSDT")
        return liq("run", *options), folder / "data"


class TestFiveFaultsAtOnce:
    def test_data_was_lost_so_the_exit_code_is_1(self, spoilt) -> None:
        assert spoilt[0].code == 1

    def test_the_missing_day_is_named(self, spoilt) -> None:
        found = finding_in(spoilt[0].out, "raw_open_interest", "no_file_was_lost")

        assert found.startswith("ERROR")
        assert "BTCUSDT metrics: 2026-06-19 is missing from the archive, with days before and after it" in found

    def test_the_wrong_checksum_is_named_with_both_hashes_and_where_the_file_was_put(self, spoilt) -> None:
        done, data = spoilt
        found = finding_in(done.out, "raw_open_interest", "no_file_was_lost")
        quarantined = data / "raw" / "quarantine" / metrics_key("BTCUSDT", datetime(2026, 6, 21).date())  # noqa: DTZ001
        facts = json.loads(Path(f"{quarantined}.json").read_text())

        assert f"has sha256 {facts['sha256']}, its sidecar promises {facts['expected_sha256']}" in found
        assert f"kept for inspection: {quarantined}" in found
        assert quarantined.exists()

    def test_the_corrupt_zip_is_named_and_what_is_wrong_with_it(self, spoilt) -> None:
        found = finding_in(spoilt[0].out, "raw_klines", "no_file_was_lost")

        assert found.startswith("ERROR")
        assert re.search(r"BTCUSDT-5m-2026-06-22\.zip.*zip", found)

    def test_the_garbage_row_is_named_with_its_file_and_what_it_says(self, spoilt) -> None:
        found = finding_in(spoilt[0].out, "raw_klines", "no_file_was_lost")

        assert re.search(r"BTCUSDT-5m-2026-06-24\.(zip|csv).*garbage", found)

    def test_the_unknown_symbol_is_named_with_what_was_perhaps_meant(self, spoilt) -> None:
        out = " ".join(spoilt[0].out.split())

        assert "BTCUSTD not published" in out
        assert re.search(r"lists no (metrics|klines) of 'BTCUSTD'.*for example BTCUSDT.*To do: correct --symbols", out)

    def test_no_message_is_a_traceback(self, spoilt) -> None:
        assert "Traceback" not in spoilt[0].out + spoilt[0].err

    def test_the_rest_of_the_spoilt_symbol_is_published_with_its_gaps_told(self, spoilt) -> None:
        done, data = spoilt

        path = dataset_path(data / "published", "oi_delta", "BTCUSDT")
        days = {f"{ts:%d}" for ts in pq.read_table(path, partitioning=None)["ts"].to_pylist()}
        assert {"18", "20", "21", "23", "25", "26", "27"} <= days
        assert (
            "288 missing in 1 gaps" in finding_in(done.out, "klines", "grid_has_no_gaps") or "576 missing" in done.out
        )
        manifest = read_manifest(path)
        assert manifest
        assert {"asset": "raw_klines", "check": "no_file_was_lost", "passed": False, "severity": "ERROR"} in manifest[
            "checks"
        ]

    def test_the_symbol_after_the_bad_ones_is_published_without_a_blemish(self, spoilt) -> None:
        done, data = spoilt

        assert re.search(r"ETHUSDT published; 20 files fetched, \d+ checks passed, 0 did not", done.out)
        assert dataset_path(data / "published", "liquidation_levels", "ETHUSDT", "90d").exists()


def test_stale_data_is_published_with_exit_code_3_and_says_how_old_it_is(own_run, liq, run_options, exchange) -> None:
    done = liq("run", *run_options(exchange, own_run.data_dir, now=(exchange.now + timedelta(days=7)).isoformat()))

    assert done.code == 3
    assert "BTCUSDT published" in done.out
    found = finding_in(done.out, "oi_delta", "newest_bar_is_younger_than_48_hours")
    assert found == "ERROR newest bar 2026-06-28 00:00 UTC, 174.0 h (7.2 days) old; the limit is 48 h"


def test_real_holes_are_listed_not_filled_silently(liq, run_options, exchange, tmp_path: Path) -> None:
    folder = tmp_path / "exchange"
    publish(simulate(MarketConfig(first_day=exchange.first_day, days=10, traders=100)), folder)

    done = liq("run", *run_options(exchange, tmp_path / "data", archive=folder))

    assert done.code == 0
    gaps = finding_in(done.out, "open_interest", "grid_has_no_gaps")
    assert re.fullmatch(r"WARN 7 missing in 2 gaps, between: .* \(1\), .* \(6\)", gaps)
    assert "1 bad prints: 2026-06-21" in finding_in(done.out, "open_interest", "snapshots_are_positive")
    rows = pq.read_table(dataset_path(tmp_path / "data" / "published", "oi_delta", "BTCUSDT"), partitioning=None)
    assert sum(rows["is_interpolated"].to_pylist()) == 9  # seven that are missing, and the two that end the gaps


def _spoil_a_cell(column: int, cell: str):
    def change(lines: list[str]) -> list[str]:
        cells = lines[9].split(",")
        cells[column] = cell
        return [*lines[:9], ",".join(cells), *lines[10:]]

    return change


@pytest.fixture(scope="module")
def week(copy_of, liq, run_options, tmp_path_factory):
    """One run over an archive that lacks a day of this week in one dataset and has an unreadable one in the other."""
    folder = tmp_path_factory.mktemp("holes")
    exchange = copy_of(folder / "exchange")
    remove_day(exchange.folder, metrics_key("BTCUSDT", exchange.day(7)))
    rewrite_day(exchange.folder, kline_key("BTCUSDT", "5m", exchange.day(5)), _spoil_a_cell(5, ""))
    return liq("run", *run_options(exchange, folder / "data"))


class TestAWeekWithHoles:
    """A day of this week is absent from metrics, one of the klines is unreadable; later days are there."""

    def test_they_are_lost_data(self, week) -> None:
        assert week.code == 1
        assert "Traceback" not in week.out + week.err

    def test_the_absent_day_is_a_hole_though_it_is_of_this_week(self, week) -> None:
        found = finding_in(week.out, "raw_open_interest", "no_file_was_lost")
        assert found.startswith("ERROR BTCUSDT metrics: 2026-06-25 is missing from the archive, with days before and")

    def test_the_blank_cell_is_named_with_its_file_and_line(self, week) -> None:
        found = finding_in(week.out, "raw_klines", "no_file_was_lost")
        assert re.search(r"ERROR BTCUSDT-5m-2026-06-23\.zip, line 10: .*Expected: a finite number as volume", found)

    def test_the_other_days_are_published(self, week) -> None:
        assert "BTCUSDT published" in week.out


def test_a_rewritten_file_is_fetched_and_ingested_again(
    own_run: Settings, own_exchange, liq, run_options, bytes_below
) -> None:
    before = bytes_below(own_run.published_dir)

    def double_the_open_interest(lines: list[str]) -> list[str]:
        cells = lines[-1].split(",")
        return [*lines[:-1], ",".join([*cells[:2], *(str(2 * float(cell)) for cell in cells[2:4]), *cells[4:]])]

    rewrite_day(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(8)), double_the_open_interest)

    done = liq("run", *run_options(own_exchange, own_run.data_dir, pictures=True))

    assert done.code == 0, done.out
    assert "1 files fetched" in done.out.splitlines()[-2]
    after = bytes_below(own_run.published_dir)
    assert after.keys() == before.keys()
    assert after["oi_delta/BTCUSDT/oi_delta.parquet"] != before["oi_delta/BTCUSDT/oi_delta.parquet"]


def test_a_blocking_check_that_fails_stops_publication_and_the_last_good_files_stay(
    own_run: Settings, own_exchange, liq, run_options, bytes_below
) -> None:
    """The meaning of the labels changes again: every snapshot is written five minutes too early."""
    before = bytes_below(own_run.published_dir)

    def five_minutes_early(lines: list[str]) -> list[str]:
        header, *rows = lines
        moved = []
        for row in rows:
            label, rest = row.split(",", 1)
            moved.append(f"{datetime.fromisoformat(label) - timedelta(minutes=5)},{rest}")
        return [header, *moved]

    for number in range(7):
        rewrite_day(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(number)), five_minutes_early)

    done = liq("run", *run_options(own_exchange, own_run.data_dir, pictures=True))

    assert done.code == 1
    assert "BTCUSDT not published" in done.out
    found = finding_in(done.out, "oi_delta", "snapshot_labels_agree_with_klines")
    assert found.startswith("ERROR 7 of 10 files carry labels that disagree with the klines: 2026-06-18")
    assert bytes_below(own_run.published_dir) == before


def test_a_file_that_was_damaged_on_our_own_disk_is_fetched_again(
    own_run: Settings, exchange, liq, run_options, bytes_below
) -> None:
    before = bytes_below(own_run.published_dir)
    (own_run.raw_dir / kline_key("BTCUSDT", "5m", exchange.day(2))).write_bytes(b"bit rot")
    shutil.rmtree(own_run.raw_dir / "data/futures/um/daily/metrics")

    done = liq("run", *run_options(exchange, own_run.data_dir, pictures=True))

    assert done.code == 0
    assert "11 files fetched" in done.out
    assert bytes_below(own_run.published_dir) == before


def test_a_day_of_usd_in_the_contracts_column_is_lost_and_named_and_the_rest_is_published(
    own_exchange, liq, run_options, tmp_path: Path
) -> None:
    def usd_as_contracts(lines: list[str]) -> list[str]:
        cells = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*row[:2], row[3], *row[3:]]) for row in cells)]

    rewrite_day(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(5)), usd_as_contracts)

    done = liq("run", *run_options(own_exchange, tmp_path / "data"))

    assert done.code == 1
    assert "BTCUSDT published" in done.out
    found = finding_in(done.out, "open_interest", "snapshots_are_plausible")
    assert found.startswith("ERROR lost: 2026-06-23 (287 of 288 rows)")  # midnight stands in the next file, too
    assert "value / contracts is not the price" in found
    with pq.ParquetFile(dataset_path(tmp_path / "data" / "published", "oi_delta", "BTCUSDT")) as file:
        rows = file.read(columns=["open_interest", "is_interpolated"])
    assert max(rows["open_interest"].to_pylist()) < 1e6  # contracts, not USD
    assert sum(rows["is_interpolated"].to_pylist()) == 288


def test_one_absurd_snapshot_is_a_warning_with_its_instant(own_exchange, liq, run_options, tmp_path: Path) -> None:
    def one_times_ten(lines: list[str]) -> list[str]:
        cells = lines[100].split(",")
        spoilt = [*cells[:2], str(10 * float(cells[2])), str(10 * float(cells[3])), *cells[4:]]
        return [*lines[:100], ",".join(spoilt), *lines[101:]]

    rewrite_day(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(4)), one_times_ten)

    done = liq("run", *run_options(own_exchange, tmp_path / "data"))

    assert done.code == 0
    found = finding_in(done.out, "open_interest", "snapshots_are_plausible")
    assert re.match(
        r"WARN 1 bad prints: 2026-06-22 \d\d:\d\d changed by more than was traded: [\d,.]+ contracts", found
    )
