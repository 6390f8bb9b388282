"""Every check passes on good data, and fails on the fault that it is there to find, and names it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg
import pytest

from liq_pipeline.orchestration.assets.archive import NO_FILE_WAS_LOST
from liq_pipeline.orchestration.checks import all_checks
from liq_pipeline.settings import Settings
from liq_pipeline.transform.rules.rule import Rule, Subject
from liq_pipeline_tests.subjects import subject_on, warehouse_copy
from liq_pipeline_tests.transform.rules.faults import FAULTS, RULES, plant

BLOCKING = {
    "features_are_the_living_positions",
    "wider_holds_more",
    "keys_are_unique",
    "keys_have_no_nulls",
    "table_has_rows",
    "schema_is_as_published",
    "snapshot_labels_agree_with_klines",
    "delta_equals_recomputation",
    "row_count_does_not_shrink",
    "long_levels_lie_below_price",
    "short_levels_lie_above_price",
    "shorter_timeframes_are_contained",
    "contracts_stay_within_open_interest",
    "positions_add_up_to_open_interest",
    "no_living_cell_was_touched",
    "the_past_does_not_change",
    "the_map_scales_with_the_price",
    "mirrored_prices_exchange_the_sides",
    "stored_positions_follow_from_the_bars",
    "last_column_is_the_living_cells",
    "last_candle_touches_no_older_cell",
    "columns_stay_within_open_interest",
}


def _each(rules: dict[tuple[str, str], Rule]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("key", sorted(rules), ids="-".join)


@pytest.fixture(scope="module")
def untouched(good_run: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Good data that every check looks at: checks change nothing."""
    warehouse = warehouse_copy(good_run, tmp_path_factory.mktemp("untouched"))
    with subject_on(good_run, warehouse, good_run.published_dir) as looked_at:
        yield looked_at


@_each(RULES)
def test_the_check_passes_on_good_data(key: tuple[str, str], untouched: Subject) -> None:
    outcome = RULES[key].apply(untouched)

    assert outcome.passed, outcome.found


@_each(RULES)
def test_the_check_fails_on_its_fault_and_names_it(
    key: tuple[str, str], subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[key]
    plant(fault, subject, monkeypatch)

    outcome = RULES[key].apply(subject)

    assert not outcome.passed
    assert outcome.severity is fault.severity
    assert re.search(fault.says, outcome.found), outcome.found


def test_every_check_that_exists_has_a_planted_fault() -> None:
    symbols = dg.StaticPartitionsDefinition(["BTCUSDT"])
    existing = {(key.asset_key.to_user_string(), key.name) for step in all_checks(symbols) for key in step.check_keys}

    assert existing == set(FAULTS)
    assert existing == set(RULES)


def test_the_archive_assets_have_no_check_but_the_one_that_is_tested_beside_them() -> None:
    from liq_pipeline.orchestration.assets.archive import archive_assets

    assets = archive_assets(dg.StaticPartitionsDefinition(["BTCUSDT"]))

    assert {key.name for asset in assets for key in asset.check_keys} == {NO_FILE_WAS_LOST}


def test_the_checks_that_guard_correctness_block_and_the_others_do_not() -> None:
    assert {name for (_, name), rule in RULES.items() if rule.blocking} == BLOCKING
    assert {name for (_, name), rule in RULES.items() if not rule.blocking}.isdisjoint(BLOCKING)
