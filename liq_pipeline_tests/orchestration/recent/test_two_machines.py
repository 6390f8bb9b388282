"""New bars on two machines in turn: each goes on from what the other has published."""

from __future__ import annotations

from pathlib import Path

import pytest

from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.lease import lease
from liq_pipeline.orchestration.refresh import refresh_newest
from liq_pipeline_tests.cluster.bucket import Bucket
from liq_pipeline_tests.live_exchange import FIVE_MINUTES, LiveExchange
from liq_pipeline_tests.orchestration.recent.runs import as_of, data_files, run


@pytest.mark.slow
def test_a_machine_whose_warehouse_is_not_the_newest_makes_it_anew_and_publishes_the_same(
    live: LiveExchange, bucket: Bucket, tmp_path: Path
) -> None:
    run(live.settings(tmp_path / "a", storage=bucket.address))
    for name in ("b", "a", "a"):
        live.now += FIVE_MINUTES
        settings = live.settings(tmp_path / name, storage=bucket.address)
        done, failed = refresh_newest(settings)
        assert not failed
        assert done[0].endswith(f"up to {live.now:%Y-%m-%d %H:%M} UTC")
        assert as_of(settings) == live.now
    fresh = live.settings(tmp_path / "from-the-start")
    run(fresh)
    assert data_files(settings) == data_files(fresh)


def test_a_symbol_that_another_machine_works_on_is_left_to_it(
    live: LiveExchange, bucket: Bucket, tmp_path: Path
) -> None:
    settings = live.settings(tmp_path / "a", storage=bucket.address)
    with dagster_instance(settings.home) as instance, lease(instance, "another-run", "BTCUSDT", 1):
        done, failed = refresh_newest(settings)

    assert not failed
    assert "left out: run another-run works on BTCUSDT" in done[0]
