"""The Dagster UI, started as `liq ui` starts it, in a real browser."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from liq_pipeline.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
LAUNCH = """mutation($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}, executionMetadata: {tags: $tags}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""


class Dagster:
    """A running `liq ui`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]


def _until(what: Callable[[], Any], seconds: float, failure: Callable[[], str]) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(failure())


@pytest.fixture(scope="module")
def settings(good_run: Settings, tmp_path_factory) -> Settings:
    """A copy of the good run, so that there is something to look at."""
    import shutil

    data = tmp_path_factory.mktemp("ui") / "data"
    shutil.copytree(good_run.data_dir, data)
    return good_run.model_copy(update={"data_dir": data})


@pytest.fixture(scope="module")
def dagster(settings: Settings, child_env, tmp_path_factory) -> Iterator[Dagster]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("ui_log") / "dagster.log"
    ours = {name: value for name, value in settings.as_environment().items() if name.startswith(("LIQ_", "DAGSTER_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("liq"), "ui", "--port", str(port)],
            env=child_env(**ours), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            # Ctrl-C is how it is stopped; a parent in the background would have its children ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    server = Dagster(f"http://127.0.0.1:{port}")
    loaded = "{workspaceOrError{... on Workspace{locationEntries{loadStatus locationOrLoadError{__typename}}}}}"

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            (entry,) = server.ask(loaded)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        assert entry["locationOrLoadError"]["__typename"] in (None, "RepositoryLocation"), entry
        return entry["loadStatus"] == "LOADED"

    try:
        _until(is_up, 90, log.read_text)
        yield server
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        for left in alive:
            left.kill()
    assert not alive, f"left behind after Ctrl-C: {alive}"


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A page that must not raise; a picture of it stays in the temporary folder."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.screenshot(path=tmp_path / f"{request.node.name}.png")
    page.close()
    assert not errors


def test_the_lineage_reads_as_the_groups_in_the_order_of_the_data(dagster: Dagster, page: Any) -> None:
    page.goto(f"{dagster.url}/asset-groups")
    places = {}
    for group in ("archive", "market", "positions", "levels", "published"):
        node = page.get_by_text(group, exact=True).last  # the first is in the list beside the graph
        node.wait_for(timeout=60_000)
        places[group] = node.bounding_box()

    assert sorted(places, key=lambda group: places[group]["x"]) == list(places)


def test_an_asset_shows_what_it_is_and_its_columns_with_units(dagster: Dagster, page: Any) -> None:
    page.goto(f"{dagster.url}/assets/oi_delta?view=overview")
    for text in (
        "Change of open interest per bar, in contracts and USD",
        "volume-weighted average price of the bar, within its range",
        "unit: USD",
        "unit: contracts",
    ):
        page.get_by_text(text).first.wait_for(timeout=60_000)


def test_the_result_of_a_check_is_shown(dagster: Dagster, page: Any) -> None:
    page.goto(f"{dagster.url}/assets/oi_delta?view=checks&checkDetail=delta_equals_recomputation")
    for text in ("This is a blocking asset check", "Passed", "neighbouring snapshots exact"):
        page.get_by_text(text).first.wait_for(timeout=60_000)


def test_a_run_of_one_symbol_launched_from_the_ui_succeeds_and_publishes(
    dagster: Dagster, settings: Settings, page: Any, bytes_below
) -> None:
    before = bytes_below(settings.published_dir)
    for path in settings.published_dir.rglob("*.parquet"):
        path.unlink()
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "liq_pipeline", "jobName": "refresh_job"}
    tags = [{"key": "dagster/partition", "value": "BTCUSDT"}]

    launched = dagster.ask(LAUNCH, selector=selector, tags=tags)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def state() -> str:
        return dagster.ask("query($id: ID!){runOrError(runId: $id){... on Run{status}}}", id=run_id)["runOrError"][
            "status"
        ]

    _until(lambda: state() in ("SUCCESS", "FAILURE", "CANCELED"), 120, state)
    assert state() == "SUCCESS"
    page.goto(f"{dagster.url}/runs/{run_id}")
    page.get_by_text("Success").first.wait_for(timeout=60_000)
    assert bytes_below(settings.published_dir).keys() == before.keys()


def test_the_first_page_and_the_jobs_history_show_the_run_of_liq(dagster: Dagster, page: Any) -> None:
    query = '{runsOrError(filter: {pipelineName: "refresh_job"}) {... on Runs {results {runId repositoryOrigin \
{repositoryLocationName} tags {key value}}}}}'
    found = dagster.ask(query)["runsOrError"]["results"]
    (run,) = [run for run in found if "liq/pid" in {tag["key"] for tag in run["tags"]}]
    assert run["repositoryOrigin"]["repositoryLocationName"] == "liq_pipeline"
    assert {"liq/as_of", "liq/model", "liq/code_version"} <= {tag["key"] for tag in run["tags"]}

    page.goto(dagster.url)
    page.get_by_text("refresh_job", exact=True).first.wait_for(timeout=60_000)
    page.goto(f"{dagster.url}/locations/liq_pipeline/jobs/refresh_job/runs")
    page.get_by_text(run["runId"][:8]).first.wait_for(timeout=60_000)
    page.get_by_text("liq/as_of: 2026-06-28T00:00:00Z").first.wait_for(timeout=60_000)


def test_an_asset_leads_to_its_code_and_shows_its_largest_levels_rounded(dagster: Dagster, page: Any) -> None:
    page.goto(f"{dagster.url}/assets/liquidation_levels_7d?view=overview")
    for text in ("SQL: columns", "levels.py"):
        page.locator("a", has_text=text).first.wait_for(timeout=60_000)
    page.get_by_text("long_pct_of_open_interest").first.wait_for(timeout=60_000)
    page.get_by_text("largest_levels").first.scroll_into_view_if_needed()
    for heading in ("side", "price_usd", "distance_pct", "notional_usd"):
        page.get_by_text(heading, exact=True).last.wait_for(timeout=20_000)


def test_pages_are_links_to_the_service(dagster: Dagster, page: Any) -> None:
    page.goto(f"{dagster.url}/assets/published_views?view=overview")
    page.get_by_text("page_7d").first.wait_for(timeout=60_000)
    assert page.locator("a[href^='file:']").count() == 0
    wanted = "http://127.0.0.1:8000/?symbol=BTCUSDT&timeframe=7d"
    assert page.locator(f"a[href='{wanted}']").count() >= 1


def _launch_by_hand(dagster: Dagster, asset: str) -> str:
    selector = {
        "repositoryName": "__repository__", "repositoryLocationName": "liq_pipeline", "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": [asset]}],
    }  # fmt: skip
    tags = [{"key": "dagster/partition", "value": "BTCUSDT"}]
    launched = dagster.ask(LAUNCH, selector=selector, tags=tags)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id: str = launched["run"]["runId"]
    return run_id


def test_runs_launched_by_hand_wait_for_each_other_and_a_refusal_says_why(dagster: Dagster, page: Any) -> None:
    assets = ("position_cohorts", "liquidation_levels_7d", "published_levels")
    runs = [_launch_by_hand(dagster, asset) for asset in assets]

    def states() -> list[dict[str, Any]]:
        query = "query($id: ID!){runOrError(runId: $id){... on Run{status endTime stepStats{startTime endTime}}}}"
        return [dagster.ask(query, id=run_id)["runOrError"] for run_id in runs]

    _until(lambda: all(run["endTime"] for run in states()), 180, lambda: str(states()))
    assert [run["status"] for run in states()] == ["SUCCESS", "SUCCESS", "FAILURE"]
    # Of the steps: a run's own end is written some time after.
    spans = sorted((step["startTime"], step["endTime"]) for run in states() for step in run["stepStats"])
    assert len(spans) >= len(runs)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), spans

    page.goto(f"{dagster.url}/runs/{runs[-1]}")
    page.get_by_text("Nothing was published: this run evaluated no check of").first.wait_for(timeout=60_000)
