"""What was published stays as it was: an entry per day, whatever runs later."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.published.layout import HISTORY, dataset_path
from liq_pipeline.published.manifests import read_intact_manifest
from liq_pipeline.published.publish import rounded
from liq_pipeline.transform.rules.history import past_agrees_with_what_was_published

MOST_BYTES = 60_000


def entries(settings) -> dict[str, bytes]:
    folder = dataset_path(settings.published_dir, HISTORY, "BTCUSDT", "x").parent
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_an_entry_holds_every_timeframe_as_it_was_published(good_run) -> None:
    path = dataset_path(good_run.published_dir, HISTORY, "BTCUSDT", "2026-06-28")
    rows = pq.read_table(path)
    manifest = read_intact_manifest(path)

    assert set(rows["published_at"].to_pylist()) == {good_run.now}
    assert manifest["published_at"] == "2026-06-28T06:00:00Z"
    assert manifest["model"]["version"]
    for timeframe in ("1d", "7d", "30d", "90d"):
        published = pq.read_table(dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", timeframe))
        mine = rows.filter(np.array(rows["timeframe"].to_pylist()) == timeframe)
        for name in ("side", "leverage", "price_low", "as_of"):
            assert mine[name].equals(published[name]), name
        np.testing.assert_allclose(
            mine["notional_usd"].to_numpy(), published["notional_usd"].to_numpy(), rtol=1 / 16_000
        )


def test_a_later_run_of_the_day_leaves_it_alone(own_run) -> None:
    before = entries(own_run)
    later = own_run.model_copy(update={"now": own_run.now + timedelta(hours=3), "pictures": False})
    (result,) = refresh(later)

    assert result.published
    assert entries(own_run) == before


@pytest.mark.slow
def test_ten_days_of_the_schedule_leave_ten_entries_none_of_which_changes(make_settings, exchange) -> None:
    seen: dict[str, bytes] = {}
    for number in range(1, 11):
        day = datetime.combine(exchange.day(number), time(9, 30), UTC)
        settings = make_settings(now=day, pictures=False)
        repository = build_definitions(settings).get_repository_def()
        schedule = repository.get_schedule_def("daily_refresh")
        with dg.build_schedule_context(scheduled_execution_time=day, repository_def=repository) as context:
            (request,) = schedule.evaluate_tick(context).run_requests
        (result,) = refresh(settings, symbols=[request.partition_key])
        assert result.published, result.errors

        now = entries(settings)
        assert len(now) == number
        assert {name: now[name] for name in seen} == seen
        seen = now
    assert list(seen) == [str(exchange.day(number)) for number in range(1, 11)]
    assert max(map(len, seen.values())) <= MOST_BYTES


def test_an_entry_that_was_altered_is_said_to_be(subject) -> None:
    path = dataset_path(Path(subject.publisher.folder), HISTORY, "BTCUSDT", "2026-06-28")
    path.write_bytes(path.read_bytes()[:-9])
    found = past_agrees_with_what_was_published(subject)

    assert (found.passed, found.severity) == (False, "WARN")
    assert "the entry of 2026-06-28 is not what was published. To do: bring" in found.found


def test_numbers_are_rounded_to_four_digits() -> None:
    usd = np.random.default_rng(1).uniform(1, 1e9, 10_000)

    np.testing.assert_allclose(rounded(usd), usd, rtol=1 / 16_000)
    assert not (rounded(usd).view(np.uint32) & np.uint32(0x3FF)).any()
