"""The mirrored files, and the check that none was lost."""

from __future__ import annotations

import dagster as dg
import pytest

from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.files import corrupt_zip, metrics_key, remove_day, wrong_checksum


def _mirror(settings: Settings) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            build_definitions(settings)
            .resolve_job_def("refresh_job")
            .execute_in_process(
                instance=instance,
                partition_key=settings.symbols[0],
                asset_selection=[dg.AssetKey("raw_open_interest")],
                raise_on_error=False,
            )
        )


def _check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = result.get_asset_check_evaluations()
    assert found.check_name == "no_file_was_lost"
    return found


@pytest.fixture
def settings(make_settings, own_exchange) -> Settings:
    return make_settings(archive=str(own_exchange.folder))


def test_no_file_was_lost_passes_when_every_file_is_good(settings: Settings) -> None:
    result = _mirror(settings)

    assert _check(result).passed
    (event,) = result.asset_materializations_for_node("raw_open_interest")
    assert event.metadata["fetched"].value == 10
    assert event.metadata["first_day"].value == "2026-06-18"
    assert event.metadata["last_day"].value == "2026-06-27"


@pytest.mark.parametrize("spoil", [corrupt_zip, wrong_checksum, remove_day])
def test_a_lost_file_is_an_error_that_names_its_day_and_the_rest_is_kept(spoil, settings, own_exchange) -> None:
    spoil(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(1)))

    result = _mirror(settings)

    assert result.success
    found = _check(result)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "2026-06-19" in (found.description or "")
    assert len(list((settings.raw_dir / "data").rglob("*.zip"))) == 9


def test_a_bad_rewrite_whose_older_file_stays_in_use_is_a_warning(settings: Settings, own_exchange) -> None:
    _mirror(settings)
    corrupt_zip(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(1)))

    found = _check(_mirror(settings))

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "the older good file stays in use" in (found.description or "")


def test_an_unknown_symbol_is_not_tried_again(make_settings) -> None:
    result = _mirror(make_settings(symbols="BTCUSDC"))

    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert "lists no metrics of 'BTCUSDC'" in failure.user_failure_data.description
    assert "BTCUSDT" in failure.user_failure_data.description  # what was perhaps meant
    assert not any(event.is_step_up_for_retry for event in result.all_events)


def test_it_shows_how_much_was_fetched_and_what_is_still_to_come(settings: Settings, own_exchange) -> None:
    remove_day(own_exchange.folder, metrics_key("BTCUSDT", own_exchange.day(9)))

    (event,) = _mirror(settings).asset_materializations_for_node("raw_open_interest")

    assert event.metadata["not_yet_published"].value == "2026-06-27"
    assert event.metadata["lost_files"].value == 0
