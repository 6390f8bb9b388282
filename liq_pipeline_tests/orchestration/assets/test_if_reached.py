"""`if_reached` and `bracket_evidence` in the chain: what `liq record` kept is used by itself."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.published.if_reached import DATASET, fits_of
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.recording import record
from liq_pipeline.validation.brackets import read_tests

pytestmark = pytest.mark.whole_run

FIRST, DAYS = date(2026, 4, 1), 30


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    made = simulate(MarketConfig(first_day=FIRST, days=DAYS))
    folder = tmp_path_factory.mktemp("exchange")
    publish(made, folder, intervals=("5m",), defects=())
    return made, folder


def chain(market, folder, recorded_days=0, until_day=DAYS):
    """Run the chain, up to a day of the market, after so many days of it were recorded."""
    settings = Settings(
        symbols="BTCUSDT", archive=str(market[1]), data_dir=folder / "data", since=FIRST, pictures=False,
        now=datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=until_day, hours=6),
    )  # fmt: skip
    if recorded_days:
        record(market[0], settings.recorded_dir, recorded_days)
    (result,) = refresh(settings)
    assert result.published, result.errors
    path = dataset_path(settings.published_dir, DATASET, "BTCUSDT")
    manifest = json.loads(manifest_path(path).read_text())
    return settings, result, pq.read_table(path, partitioning=None), manifest


@pytest.fixture(scope="module")
def whole(market, tmp_path_factory):
    """A run after all days were recorded. Only read it."""
    return chain(market, tmp_path_factory.mktemp("whole"), DAYS)


def test_with_nothing_recorded_the_dataset_is_empty_and_says_why(market, tmp_path):
    settings, result, rows, manifest = chain(market, tmp_path)
    assert rows.num_rows == 0
    assert set(manifest["hidden_because"]) == {"1 h", "4 h", "24 h"}
    assert "no reported liquidations. To do: liq record" in manifest["hidden_because"]["4 h"]
    assert read_tests(settings.published_dir, "BTCUSDT") == {}
    assert not result.findings


def test_from_fourteen_recorded_days_on_every_horizon_has_ranges(whole):
    settings, _, rows, manifest = whole
    fits = {one.horizon_hours: one for one in fits_of(manifest)}
    assert set(fits) == set(HORIZON_HOURS)
    assert {one.source for one in fits.values()} == {"recorded"}
    assert set(rows["horizon_hours"].to_pylist()) == set(HORIZON_HOURS)
    assert fits[4].days_of_truth == pytest.approx(DAYS - 1, abs=0.1)  # the first day has no positions yet
    assert fits[4].crps_gain_over_distance_low > 0
    assert read_tests(settings.published_dir, "BTCUSDT")["recorded"]["agrees"]


def test_with_fewer_days_it_is_hidden_and_the_fit_is_kept(market, tmp_path):
    _, result, rows, manifest = chain(market, tmp_path, 10)
    assert rows.num_rows == 0
    assert [one.days_of_truth for one in fits_of(manifest)] == pytest.approx([10] * len(manifest["fits"]), abs=0.1)
    assert "10.0 of 14 days of reported liquidations" in manifest["hidden_because"]["24 h"]
    assert not [one for one in result.findings if one.asset == DATASET]


def test_what_was_recorded_after_now_is_not_used(market, tmp_path):
    _, _, _, early = chain(market, tmp_path, DAYS, until_day=22)
    assert {one.fitted_until for one in fits_of(early)} == {"2026-04-23T06:00:00Z"}
    assert max(one.days_of_truth for one in fits_of(early)) == pytest.approx(21.25, abs=0.1)


def test_a_truth_that_cannot_be_read_is_said_and_does_not_stop_the_others(whole, tmp_path):
    shutil.copytree(whole[0].data_dir, tmp_path / "data")
    bad = tmp_path / "bad.csv"
    bad.write_text("ts,long_usd\n2026-04-01,1\n")
    settings = Settings(**{**whole[0].model_dump(), "data_dir": tmp_path / "data", "truth": f"BTCUSDT={bad}"})
    (result,) = refresh(settings)
    path = dataset_path(settings.published_dir, DATASET, "BTCUSDT")
    manifest = json.loads(manifest_path(path).read_text())
    assert {one.source for one in fits_of(manifest)} == {"recorded"}
    assert "lacks long_usd or short_usd" in manifest["not_fitted"]["bad"]
    (finding,) = [one for one in result.findings if one.asset == DATASET]
    assert (finding.check, finding.severity) == ("ranges_cover_eight_of_ten_cases", "WARN")
    assert "bad.csv lacks long_usd" in finding.text
