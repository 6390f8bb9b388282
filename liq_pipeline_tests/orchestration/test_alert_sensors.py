"""Alerts as Dagster's daemon raises them: each once, received over a real socket."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pytest_httpserver import HTTPServer

from liq_pipeline.alerts.zones import Zone, zones
from liq_pipeline.orchestration.alert_sensors import _until_far_edges
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.settings import Settings


@pytest.fixture
def phone(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/phone").respond_with_data("ok")
    return httpserver


@pytest.fixture
def listening(good_run: Settings, tmp_path: Path, phone: HTTPServer) -> Settings:
    """The good run's published files, with somebody who listens."""
    shutil.copytree(good_run.published_dir, tmp_path / "data" / "published")
    update = {"data_dir": tmp_path / "data", "alert_urls": f"json://127.0.0.1:{phone.port}/phone"}
    return good_run.model_copy(update=update)


def received(server: HTTPServer) -> list[dict[str, Any]]:
    return [request.get_json() for request, _ in server.log]


def tick(settings: Settings, name: str) -> str:
    """Evaluate a sensor as its daemon does; return what it said."""
    definitions = build_definitions(settings)
    repository = definitions.get_repository_def()
    resources = {name: definitions.resources[name] for name in ("publisher", "clock", "alerts")}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context,
    ):
        return str(repository.get_sensor_def(name).evaluate_tick(context).skip_message)


def give_fit(published: Path, days: float) -> None:
    """Publish what is known, from so many days of truth, of what gets liquidated within four hours."""
    place = manifest_path(dataset_path(published, DATASET, "BTCUSDT"))
    numbers = {"a": 6.5, "b": 1.1, "c1": 0.08, "c2": 0.1, "beta": 0.4, "z10": -0.9, "z50": 0.0, "z90": 0.9}
    fit = {
        "source": "recorded", "horizon_hours": 4, "days_of_truth": days, "cases": 900, "scored_from_day": 14.0,
        "coverage_80": 0.8, "range_ratio": 9.0, "crps_gain_over_distance": None, "fitted_until": "x",
        "crps_gain_over_distance_low": None, "crps_gain_over_distance_high": None, "parameters": numbers,
    }  # fmt: skip
    place.write_text(json.dumps(json.loads(place.read_text()) | {"fits": [fit]}))


def later(settings: Settings, **delta: float) -> Settings:
    assert settings.now
    return settings.model_copy(update={"now": settings.now + timedelta(**delta)})


def test_they_run_where_an_address_is_set_and_only_there(listening: Settings) -> None:
    names = ("alert_stale_data_sensor", "alert_price_near_zone_sensor", "alert_failures_sensor")
    for settings, status in ((listening, "RUNNING"), (listening.model_copy(update={"alert_urls": ""}), "STOPPED")):
        repository = build_definitions(settings).get_repository_def()
        assert {repository.get_sensor_def(name).default_status.value for name in names} == {status}
    assert tick(listening.model_copy(update={"alert_urls": ""}), names[0]) == "no address: LIQ_ALERT_URLS"


def test_no_secret_is_in_what_the_ui_shows_of_resources(listening: Settings) -> None:
    alerts = build_definitions(listening).resources["alerts"]
    assert "phone" not in repr(alerts)
    assert "phone" not in str(getattr(alerts, "config_schema", ""))


class TestStaleData:
    def test_fresh_data_is_not_worth_a_word(self, listening: Settings, phone: HTTPServer) -> None:
        assert tick(later(listening, hours=66), "alert_stale_data_sensor") == "nothing to say"  # 72 h old: at the limit
        assert not received(phone)

    def test_it_fires_once_cools_down_and_fires_again(self, listening: Settings, phone: HTTPServer) -> None:
        assert tick(later(listening, hours=70), "alert_stale_data_sensor") == "1 sent"
        assert tick(later(listening, hours=71), "alert_stale_data_sensor") == "1 said before"
        assert [message["title"] for message in received(phone)] == ["BTCUSDT: data 76 h old"]
        assert tick(later(listening, hours=77), "alert_stale_data_sensor") == "1 sent"


class TestPriceNearAZone:
    @pytest.fixture
    def near(self, listening: Settings) -> Settings:
        """Thresholds under which the published map has something to tell, at the time of its newest bar."""
        path = dataset_path(listening.published_dir, "liquidation_levels", "BTCUSDT", "30d")
        levels = pq.read_table(path, partitioning=None)
        largest = zones(levels, 5, 0)[0]
        as_of = pc.max(levels["as_of"]).as_py()
        update = {"alert_zone_pct": 5, "alert_zone_usd": largest.notional_usd * 0.999, "now": as_of}
        return listening.model_copy(update=update)

    def test_it_fires_once_cools_down_and_fires_again(self, near: Settings, phone: HTTPServer) -> None:
        assert tick(near, "alert_price_near_zone_sensor") == "1 sent"
        assert tick(later(near, minutes=5), "alert_price_near_zone_sensor") == "1 said before"
        (message,) = received(phone)
        assert message["title"].startswith("BTCUSDT: est. $")
        assert "An estimate of exposure, not a forecast." in message["message"]
        again = later(near, minutes=55).model_copy(update={"alert_cooldown_hours": 0.5})
        assert tick(again, "alert_price_near_zone_sensor") == "1 sent"

    @pytest.mark.parametrize(("days", "is_told"), [(30.0, True), (13.9, False)])
    def test_it_says_what_gets_liquidated_until_the_zone_is_passed_where_that_is_known(
        self, near: Settings, phone: HTTPServer, days: float, is_told: bool
    ) -> None:
        give_fit(near.published_dir, days)
        assert tick(near, "alert_price_near_zone_sensor") == "1 sent"
        (message,) = received(phone)
        said = re.search(
            r"If [\d,.]+ is reached within 4 h: \$\S+ to \$\S+ liquidated on the way, half the time below \$\S+\.$",
            message["message"],
        )
        assert bool(said) == is_told

    @pytest.mark.parametrize(
        ("side", "edge", "told"),
        [("long", 0.95, 0.95), ("long", 0.91, 0.93), ("short", 1.05, 1.05), ("short", 1.09, 1.07)],
    )
    def test_of_a_zone_that_goes_on_for_more_than_seven_percent_it_says_the_way_up_to_there(
        self, near: Settings, side: str, edge: float, told: float
    ) -> None:
        give_fit(near.published_dir, 30.0)
        levels = pq.read_table(dataset_path(near.published_dir, "liquidation_levels", "BTCUSDT", "30d"))
        price = levels["current_price"][0].as_py()
        begin = 0.99 if side == "long" else 1.01

        zone = Zone(side, *sorted((begin * price, edge * price)), 1e6, 1.0)
        (way,) = _until_far_edges(near.published_dir, "BTCUSDT", [zone])

        assert way
        assert way.price == pytest.approx(told * price)
        assert 0 < way.p10 < way.p50 < way.p90

    def test_an_old_price_says_nothing_of_where_price_is(self, near: Settings, phone: HTTPServer) -> None:
        assert tick(later(near, hours=2), "alert_price_near_zone_sensor") == "nothing to say"
        assert tick(later(near, minutes=61), "alert_price_near_zone_sensor") == "nothing to say"
        assert not received(phone)

    def test_a_price_of_an_hour_ago_is_known(self, near: Settings, phone: HTTPServer) -> None:
        assert tick(later(near, hours=1), "alert_price_near_zone_sensor") == "1 sent"


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["BTCUSDT"]))
def levels() -> None:
    """Some asset."""


@dg.asset_check(asset=levels, blocking=True)
def long_levels_lie_below_price() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="3 of 9 levels lie above")


@dg.asset(deps=[levels], partitions_def=dg.StaticPartitionsDefinition(["BTCUSDT"]))
def published() -> None:
    """What the check stops."""


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["BTCUSDT"]))
def broken() -> None:
    """Something that crashes."""
    raise OSError("no space left on device")


class TestFailures:
    def _fail(self, settings: Settings, assets: list, checks: list, tags: dict[str, str] | None = None) -> str:
        """Let a real run fail, and evaluate the sensor on it."""
        job = dg.define_asset_job("refresh_job", tags=tags)
        definitions = dg.Definitions(assets=assets, asset_checks=checks, jobs=[job])
        ours = build_definitions(settings)
        sensor = ours.get_repository_def().get_sensor_def("alert_failures_sensor")
        with dg.DagsterInstance.ephemeral() as instance:
            outcome = definitions.resolve_job_def("refresh_job").execute_in_process(
                partition_key="BTCUSDT", instance=instance, raise_on_error=False
            )
            assert not outcome.success
            context = dg.build_run_status_sensor_context(
                sensor_name="alert_failures_sensor",
                dagster_instance=instance,
                dagster_run=outcome.dagster_run,
                dagster_event=outcome.get_run_failure_event(),
                resources={name: ours.resources[name] for name in ("clock", "alerts")},
            ).for_run_failure()
            return str(sensor(context).skip_message)

    def test_a_blocking_check_gives_one_alert_that_names_it(self, listening: Settings, phone: HTTPServer) -> None:
        assert self._fail(listening, [levels, published], [long_levels_lie_below_price]) == "1 sent"
        (message,) = received(phone)
        assert message["title"] == "refresh BTCUSDT: a blocking check failed"
        assert message["message"].startswith("levels: long_levels_lie_below_price: 3 of 9 levels lie above (run ")

    def test_a_crash_gives_one_alert_that_says_why_and_cools_down(self, listening: Settings, phone: HTTPServer) -> None:
        assert self._fail(listening, [broken], []) == "1 sent"
        assert self._fail(listening, [broken], []) == "1 said before"
        (message,) = received(phone)
        assert message["title"] == "refresh BTCUSDT: a run failed"
        assert "no space left on device" in message["message"]

    def test_a_run_that_is_tried_again_is_not_worth_a_word_yet(self, listening: Settings, phone: HTTPServer) -> None:
        assert self._fail(listening, [broken], [], {"dagster/will_retry": "true"}) == "the run is tried again"
        assert not received(phone)
