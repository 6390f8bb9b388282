"""A part of the assets, selected by hand: what is made, what is checked, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.warehouse.schema import FEATURES, HEATMAP_TABLES, LEVEL_TABLES, STORED_AS
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

pytestmark = pytest.mark.whole_run

SYMBOL = "BTCUSDT"
Materialise = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def materialise(own_run: Settings, instance: dg.DagsterInstance) -> Materialise:
    """Materialise these assets with their checks, as Dagster's UI and command line do."""

    def run(*assets: str) -> dg.ExecuteInProcessResult:
        job = build_definitions(own_run).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            asset_selection=[dg.AssetKey(asset) for asset in assets], partition_key=SYMBOL, instance=instance,
            raise_on_error=False,
        )  # fmt: skip

    return run


@pytest.fixture
def tables(own_run: Settings) -> Warehouse:
    return Warehouse(database=str(own_run.database))


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


def checked(result: dg.ExecuteInProcessResult) -> set[str]:
    return {evaluation.asset_key.to_user_string() for evaluation in result.get_asset_check_evaluations()}


def rows(tables: Warehouse, table: str) -> list[dict[str, object]]:
    return once(tables).sql(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()


@pytest.mark.parametrize("table", [*LEVEL_TABLES[::3], *HEATMAP_TABLES[::3]])  # the shortest and the longest
def test_one_timeframe_alone_is_made_as_in_a_full_run_and_only_it_is_checked(
    table: str, materialise: Materialise, tables: Warehouse
) -> None:
    family = LEVEL_TABLES if table in LEVEL_TABLES else HEATMAP_TABLES
    before = rows(tables, table)
    with tables.transaction("BTCUSDT") as stored:
        for one in family:
            if family is HEATMAP_TABLES:
                stored.file_of(one).unlink()
            else:
                stored.connection.execute(f"DELETE FROM {one}")

    result = materialise(table)

    assert result.success
    assert made(result) == checked(result) == {table}
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    assert rows(tables, table) == before
    assert not [one for one in family if one != table and rows(tables, one)], "others are left as they were"


def test_two_timeframes_are_made_together(materialise: Materialise) -> None:
    chosen = {"liquidation_levels_1d", "liquidation_levels_90d"}
    result = materialise(*chosen)
    assert result.success
    assert made(result) == chosen


@pytest.mark.parametrize("table", ["position_cohorts", "position_survival"])
def test_one_table_of_positions_brings_the_other_since_they_come_from_one_walk(
    table: str, materialise: Materialise, tables: Warehouse
) -> None:
    before = {name: rows(tables, name) for name in ("position_cohorts", "position_survival")}
    with tables.get_connection("BTCUSDT") as connection:
        for one in before:
            connection.execute(f"DELETE FROM {STORED_AS.get(one, one)}")

    result = materialise(table)

    assert result.success
    assert made(result) == set(before)
    assert checked(result) == {table}
    assert {name: rows(tables, name) for name in before} == before


def _levels_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("selected", "unchecked"),
    [
        (("published_levels",), "liquidation_levels_1d, liquidation_levels_7d, liquidation_levels_30d"),
        (("liquidation_levels_7d", "published_levels"), "liquidation_levels_1d, liquidation_levels_30d"),
        ((*LEVEL_TABLES, "published_levels"), "oi_delta, position_survival"),
        (("published_heatmaps",), ", ".join(HEATMAP_TABLES)),
        (("liquidation_heatmap_1d", "published_heatmaps"), "liquidation_heatmap_7d"),
    ],
)
def test_what_this_run_did_not_check_is_not_published_and_the_reason_comes_first(
    selected: tuple[str, ...], unchecked: str, materialise: Materialise, own_run: Settings,
    instance: dg.DagsterInstance,
) -> None:  # fmt: skip
    before = _levels_of(own_run.published_dir)

    result = materialise(*selected)

    (failed,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert failed.step_failure_data.user_failure_data
    reason = failed.step_failure_data.user_failure_data.description
    assert reason
    assert reason.startswith(f"Nothing was published: this run evaluated no check of {unchecked}")
    assert "To do: launch `refresh_job`" in reason
    # A line of its own stands above Dagster's stack.
    lines = [entry.user_message or entry.get_dagster_event().message for entry in instance.all_logs(result.run_id)]
    told = lines.index(reason)
    assert told < next(place for place, line in enumerate(lines) if line and "failed" in line)
    assert _levels_of(own_run.published_dir) == before


def test_levels_are_published_by_hand_when_all_their_tables_are_checked(materialise: Materialise) -> None:
    result = materialise("oi_delta", "position_survival", *LEVEL_TABLES, FEATURES, "published_levels")
    assert result.success
    assert "published_levels" in made(result)


def test_a_run_by_hand_is_tagged_with_its_bar_model_and_code(
    materialise: Materialise, instance: dg.DagsterInstance
) -> None:
    result = materialise("liquidation_levels_1d")
    run = instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags["liq/as_of"] == "2026-06-28T00:00:00Z"
    assert run.tags["liq/model"].startswith("position-lifecycle ")
    assert run.tags["liq/code_version"]


def test_the_largest_levels_are_price_bins_over_all_leverages_in_four_rounded_columns(
    materialise: Materialise, tables: Warehouse
) -> None:
    result = materialise("liquidation_levels_90d")
    (event,) = result.asset_materializations_for_node("liquidation_levels")
    shown = [record.data for record in event.metadata["largest_levels"].value.records]
    sums = (
        once(tables)
        .sql(
            "SELECT side, price_low, price_high, sum(notional_usd) AS usd, "
            "any_value(distance_pct) AS distance_pct FROM liquidation_levels_90d GROUP BY ALL ORDER BY usd DESC LIMIT 5"
        )
        .to_pylist()
    )
    assert shown == [
        {
            "side": row["side"],
            "price_usd": f"{row['price_low']:,.10g} – {row['price_high']:,.10g}",
            "distance_pct": round(row["distance_pct"], 2),
            "notional_usd": f"{row['usd']:,.0f}",
        }
        for row in sums
    ]


def test_every_number_that_dagster_plots_compares_between_symbols(good_run: Settings) -> None:
    from liq_pipeline.orchestration.history import dagster_instance

    comparable = ("_pct", "_pct_of_open_interest", "_pct_of_price", "rows", "columns", "files", "bytes", "bars")
    with dagster_instance(good_run.home) as instance:
        for table in (*LEVEL_TABLES, *HEATMAP_TABLES, "oi_delta", "position_cohorts", "published_levels"):
            event = instance.get_latest_materialization_event(dg.AssetKey(table))
            assert event
            assert event.asset_materialization
            plotted = [
                name
                for name, value in event.asset_materialization.metadata.items()
                if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
            ]
            assert plotted
            for name in plotted:
                assert "_pct" in name or name.endswith(comparable) or name == "dagster/partition_row_count", (
                    table,
                    name,
                )
            shares = [name for name in plotted if "_pct" in name]
            assert all(0 <= event.asset_materialization.metadata[name].value <= 100 + 1e-9 for name in shares)


def test_pages_are_links_that_the_service_answers(good_run: Settings) -> None:
    from liq_pipeline.orchestration.history import dagster_instance

    with dagster_instance(good_run.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("published_views"))
    assert event
    assert event.asset_materialization
    metadata = event.asset_materialization.metadata
    pages = {name: value.value for name, value in metadata.items() if name.startswith("page")}
    assert pages == {
        f"page_{timeframe}": f"http://127.0.0.1:8000/?symbol=BTCUSDT&timeframe={timeframe}" for timeframe in TIMEFRAMES
    }
    assert Path(str(metadata["path"].value), "7d", "heatmap.html").exists()


def test_long_steps_tell_how_far_they_are(materialise: Materialise, instance: dg.DagsterInstance) -> None:
    result = materialise("raw_klines", "position_cohorts", "liquidation_heatmap_1d", "liquidation_heatmap_7d")
    lines = [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]
    told = "\n".join(lines)
    for text in ("files to fetch", "walked over 2880 bars", "heatmap 1 of 2, 1d", "heatmap 2 of 2, 7d"):
        assert text in told
