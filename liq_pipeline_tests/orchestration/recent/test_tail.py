"""Fresh data: the recent tail over REST, and what replaces it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline.orchestration.refresh import refresh_newest
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.simulator.market import Market
from liq_pipeline.simulator.rest import RestFault
from liq_pipeline_tests.live_exchange import LiveExchange, live_exchange
from liq_pipeline_tests.orchestration.recent.runs import as_of, data_files, run

pytestmark = pytest.mark.whole_run


class TestAnArchiveThatEnds30HoursAgo:
    def test_with_rest_the_map_is_one_bar_old_and_1d_is_not_empty(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        assert as_of(settings) == live.now  # a bar closed just now
        rows = pq.read_table(dataset_path(settings.published_dir, "liquidation_levels", "BTCUSDT", "1d"))
        assert rows.num_rows > 0
        manifest = read_manifest(dataset_path(settings.published_dir, "oi_delta", "BTCUSDT"))
        assert manifest
        assert manifest["rest_rows"] == {"open_interest": 360, "klines": 360}

    def test_without_rest_it_publishes_the_archive_and_says_how_old_it_is(
        self, live: LiveExchange, tmp_path: Path
    ) -> None:
        settings = live.settings(tmp_path / "data", rest="off")
        result = run(settings)
        assert result.published
        assert as_of(settings) == datetime.fromisoformat("2026-06-26T00:00:00+00:00")
        assert {(finding.check, finding.severity) for finding in result.findings} == {
            ("newest_bar_is_younger_than_48_hours", "WARN")
        }

    def test_where_rest_is_fenced_it_publishes_the_archive_with_a_flag(
        self, market: dict[str, Market], everything: Path, tmp_path: Path
    ) -> None:
        with live_exchange(tmp_path, everything, market, fenced=True) as live:
            settings = live.settings(tmp_path / "data")
            result = run(settings)
            assert result.published
            assert not result.has_error_findings  # exit code 0
            flags = [finding for finding in result.findings if finding.check == "rest_gives_the_newest_rows"]
            assert {flag.asset for flag in flags} == {"recent_open_interest", "recent_klines"}
            assert all("451" in flag.text and flag.text.startswith("archive only") for flag in flags)
            asked = len(live.rest.requests)
            assert asked <= 2  # never a loop
            (line,), failed = refresh_newest(settings)
            assert not failed
            assert line.startswith("BTCUSDT: nothing new: refused at 06:00 UTC, asked again at 07:00: ")
            assert len(live.rest.requests) == asked, "after a refusal the quick refresh waits for an hour"

    @pytest.mark.parametrize(
        "fault",
        [
            RestFault(body="[" * 200_000),
            RestFault(change=lambda body: [*body, [None] * 12] if isinstance(body, list) else body),
        ],
        ids=["deep JSON", "a row of nothing"],
    )
    def test_whatever_rest_answers_the_archive_alone_is_published(
        self, market: dict[str, Market], everything: Path, tmp_path: Path, fault: RestFault
    ) -> None:
        with live_exchange(tmp_path, everything, market, faults=lambda _: fault) as live:
            result = run(live.settings(tmp_path / "data"))
        assert result.published
        assert not result.has_error_findings
        flags = [finding for finding in result.findings if finding.check == "rest_gives_the_newest_rows"]
        assert len(flags) == 2
        assert all(flag.text.startswith("archive only") for flag in flags)

    def test_a_symbol_that_is_not_traded_any_more_is_named_with_its_status(
        self, market: dict[str, Market], everything: Path, data: Path, tmp_path: Path
    ) -> None:
        nothing = RestFault(change=lambda body: [] if isinstance(body, list) else body)
        with live_exchange(tmp_path, everything, market, faults=lambda _: nothing) as live:
            live.rest.statuses["BTCUSDT"] = "SETTLING"
            live.now += timedelta(hours=2)
            (line,), failed = refresh_newest(live.settings(data))
        assert not failed
        assert line == (
            "BTCUSDT: nothing new: REST has nothing of BTCUSDT since 2026-06-27 06:00 UTC; its status: SETTLING"
        )

    def test_the_same_run_again_fetches_nothing_and_changes_nothing(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        before = data_files(settings)
        tails = {path: path.read_bytes() for path in settings.raw_dir.rglob("rest/**/*.parquet")}
        assert tails
        run(settings)
        assert data_files(settings) == before
        assert {path: path.read_bytes() for path in tails} == tails


class TestTheArchiveArrives:
    def test_its_rows_replace_those_of_rest_and_the_map_is_as_if_they_had_always_been_there(
        self, live: LiveExchange, data: Path, tmp_path: Path
    ) -> None:
        settings = live.settings(data)
        live.archive_until(date(2026, 6, 26))
        result = run(settings)
        assert not result.findings
        fresh = live.settings(tmp_path / "from-the-start")
        run(fresh)
        assert data_files(settings) == data_files(fresh)
        manifest = read_manifest(dataset_path(settings.published_dir, "oi_delta", "BTCUSDT"))
        assert manifest
        assert manifest["rest_rows"] == {"open_interest": 72, "klines": 72}

    def test_what_differed_is_counted_and_warned_of(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        path = next(settings.raw_dir.rglob("rest/**/metrics.parquet"))
        rows = pq.read_table(path, partitioning=None)
        values = rows["open_interest"].to_pylist()
        values[3] *= 1.005
        column = rows.schema.get_field_index("open_interest")
        pq.write_table(rows.set_column(column, "open_interest", [values]), path)
        live.archive_until(date(2026, 6, 26))
        result = run(settings)
        (finding,) = result.findings
        assert (finding.check, finding.severity) == ("archive_confirms_rows_of_rest", "WARN")
        assert finding.text.startswith("288 rows of REST were replaced by the archive's: 1 differ, by at most 0.5 %")
