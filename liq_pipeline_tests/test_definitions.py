"""The product as Dagster sees it: nothing vanishes silently, everything is described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.warehouse.schema import TABLES

GROUPS = {
    "archive": {"raw_open_interest", "raw_klines"},
    "recent": {"recent_open_interest", "recent_klines"},
    "market": {"open_interest", "klines", "oi_delta"},
    "positions": {"position_cohorts", "position_survival"},
    "levels": {
        "liquidation_levels_1d",
        "liquidation_levels_7d",
        "liquidation_levels_30d",
        "liquidation_levels_90d",
    },
    "features": {"liquidation_features"},
    "heatmaps": {
        "liquidation_heatmap_1d",
        "liquidation_heatmap_7d",
        "liquidation_heatmap_30d",
        "liquidation_heatmap_90d",
    },
    "published": {"published_levels", "published_heatmaps", "published_views", "if_reached"},
    "validation": {"model_validation", "bracket_evidence"},
}
ORDER = list(GROUPS)
LEVEL_CHECKS = {
    "keys_are_unique": True,
    "keys_have_no_nulls": True,
    "schema_is_as_published": True,
    "long_levels_lie_below_price": True,
    "short_levels_lie_above_price": True,
}
HEATMAP_CHECKS = {
    "keys_are_unique": True,
    "keys_have_no_nulls": True,
    "schema_is_as_published": True,
    "table_has_rows": True,
    "last_column_is_the_living_cells": True,
    "last_candle_touches_no_older_cell": True,
    "columns_stay_within_open_interest": True,
}
# Every check, and whether what lies downstream waits for it.
CHECKS = {
    "raw_open_interest": {"no_file_was_lost": False},
    "raw_klines": {"no_file_was_lost": False},
    "recent_open_interest": {
        "rest_gives_the_newest_rows": False,
        "archive_confirms_rows_of_rest": False,
        "stamps_mean_what_they_meant": False,
    },
    "recent_klines": {"rest_gives_the_newest_rows": False, "archive_confirms_rows_of_rest": False},
    "open_interest": {
        "newest_bar_is_younger_than_48_hours": False,
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "grid_has_no_gaps": False,
        "table_has_rows": True,
        "snapshots_are_positive": False,
        "snapshots_are_plausible": False,
        "open_interest_moves_while_contracts_trade": False,
    },
    "klines": {
        "newest_bar_is_younger_than_48_hours": False,
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "grid_has_no_gaps": False,
        "table_has_rows": True,
        "bars_are_plausible": False,
        "contract_is_still_traded": False,
        "bars_without_volume_are_flat": False,
    },
    "oi_delta": {
        "newest_bar_is_younger_than_48_hours": False,
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "schema_is_as_published": True,
        "table_has_rows": True,
        "snapshot_labels_agree_with_klines": True,
        "klines_and_open_interest_join": False,
        "ticker_names_one_contract": False,
        "delta_equals_recomputation": True,
        "row_count_does_not_shrink": True,
    },
    "position_cohorts": {
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "table_has_rows": True,
        "no_living_cell_was_touched": True,
        "the_past_does_not_change": True,
        "the_map_scales_with_the_price": True,
        "mirrored_prices_exchange_the_sides": True,
        "stored_positions_follow_from_the_bars": True,
    },
    "position_survival": {
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "positions_add_up_to_open_interest": True,
    },
    "liquidation_levels_1d": LEVEL_CHECKS,
    "liquidation_levels_7d": LEVEL_CHECKS,
    "liquidation_levels_30d": LEVEL_CHECKS,
    "liquidation_levels_90d": LEVEL_CHECKS
    | {
        "table_has_rows": True,
        "shorter_timeframes_are_contained": True,
        "contracts_stay_within_open_interest": True,
        "past_agrees_with_what_was_published": False,
    },
    "liquidation_features": {
        "keys_are_unique": True,
        "keys_have_no_nulls": True,
        "schema_is_as_published": True,
        "table_has_rows": True,
        "features_are_the_living_positions": True,
        "wider_holds_more": True,
    },
    "liquidation_heatmap_1d": HEATMAP_CHECKS,
    "liquidation_heatmap_7d": HEATMAP_CHECKS,
    "liquidation_heatmap_30d": HEATMAP_CHECKS,
    "liquidation_heatmap_90d": HEATMAP_CHECKS,
    "model_validation": {"model_passes_its_gates": False},
    "bracket_evidence": {"brackets_agree_with_forced_orders": False},
    "if_reached": {"ranges_cover_eight_of_ten_cases": False},
}


@pytest.fixture
def definitions(make_settings) -> dg.Definitions:
    return build_definitions(make_settings(symbols="BTCUSDT,ETHUSDT"))


@pytest.fixture
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_these_are_all_assets_and_their_groups(specs) -> None:
    groups = {}
    for name, spec in specs.items():
        groups.setdefault(spec.group_name, set()).add(name)

    assert groups == GROUPS


def test_these_are_all_checks_and_whether_they_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), {})[key.name] = graph.get(key).blocking

    assert found == CHECKS


def test_data_runs_one_way_through_the_groups(specs) -> None:
    for spec in specs.values():
        for dep in spec.deps:
            upstream = specs[dep.asset_key.to_user_string()]
            assert ORDER.index(upstream.group_name) <= ORDER.index(spec.group_name), (dep.asset_key, spec.key)


def test_everything_is_published_only_after_every_table_that_has_a_blocking_check(definitions) -> None:
    graph = definitions.resolve_asset_graph()
    upstream, new = set(), {dg.AssetKey("published_views")}
    while new:
        upstream |= new
        new = {parent for key in new for parent in graph.get(key).parent_keys} - upstream

    blocking = {dg.AssetKey(asset) for asset, checks in CHECKS.items() if any(checks.values())}
    assert blocking <= upstream


def test_every_asset_is_described_owned_and_drawn(specs) -> None:
    for name, spec in specs.items():
        assert len((spec.description or "").split(".")[0]) > 20, name
        assert spec.owners == ["team:liq-pipeline"], name
        assert spec.kinds, name
        assert spec.partitions_def == dg.StaticPartitionsDefinition(["BTCUSDT", "ETHUSDT"]), name


def test_every_check_is_described_and_kept_per_symbol(definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.asset_check_keys:
        assert graph.get(key).description, key
        assert graph.get(key).partitions_def == dg.StaticPartitionsDefinition(["BTCUSDT", "ETHUSDT"]), key


def test_every_table_shows_its_columns_with_units_before_it_is_filled(specs) -> None:
    assert set(TABLES) <= set(specs)
    for table in TABLES:
        schema = specs[table].metadata["dagster/column_schema"]
        assert specs[table].metadata["dagster/table_name"] == f"main.{table}"
        assert all(column.description for column in schema.columns), table
        assert any(column.tags.get("unit") for column in schema.columns), table


def test_every_asset_has_a_freshness_policy(specs) -> None:
    assert all(spec.freshness_policy for spec in specs.values())


def test_downloads_are_tried_again_with_a_growing_pause(definitions) -> None:
    for name in ("raw_open_interest", "raw_klines"):
        policy = definitions.get_assets_def(name).op.retry_policy
        assert policy.max_retries > 0
        assert policy.backoff is dg.Backoff.EXPONENTIAL


def test_steps_run_in_one_process_by_default(definitions) -> None:
    assert definitions.executor is dg.in_process_executor


def test_the_module_offers_its_definitions_to_dagster() -> None:
    import liq_pipeline

    assert isinstance(liq_pipeline.defs, dg.Definitions)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = liq_pipeline.nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "shows"),
    [
        (["dagster", "definitions", "validate"], "Validation successful for code location liq_pipeline"),
        (["dagster", "definitions", "validate", "-w", "workspace.yaml"], "Validation successful"),
        (["dg", "check", "defs"], "All definitions loaded successfully"),
        (["dg", "list", "defs"], "published_levels"),
    ],
    ids=" ".join,
)
def test_the_tools_find_the_project(
    command: list[str], shows: str, repository: Path, tmp_path: Path, child_env
) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        cwd=repository, env=child_env(DAGSTER_HOME=str(tmp_path), COLUMNS="300"), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert shows in done.stdout + done.stderr


def test_every_asset_leads_to_its_code_and_every_table_to_its_sql(specs) -> None:
    for name, spec in specs.items():
        files = [Path(one.file_path) for one in spec.metadata["dagster/code_references"].value.code_references]
        assert all(file.exists() for file in files)
        assert any(file.suffix == ".py" and name.split("_")[0] in file.read_text() for file in files), name
        assert any(file.suffix == ".sql" for file in files) == (name in TABLES), name
    queries = [one.file_path for one in specs["oi_delta"].metadata["dagster/code_references"].value.code_references]
    assert any(path.endswith("sql/queries/oi_delta.sql") for path in queries)


def test_every_job_is_tried_again_as_a_whole(make_settings) -> None:
    """On another machine the tables of the steps that went well are not there."""
    definitions = build_definitions(make_settings())
    jobs = [definitions.resolve_job_def(name) for name in ("refresh_job", "recent_refresh_job", "picture_refresh_job")]

    assert {job.tags["dagster/retry_strategy"] for job in jobs} == {"ALL_STEPS"}
