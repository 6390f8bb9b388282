"""`model_validation` in the chain: it runs where a truth file is given, and says so where none is."""

import json
import shutil
from datetime import UTC, date, datetime

import pytest

from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.transform.rules.gates import gates_hold
from liq_pipeline.validation.named import NamedTruth
from liq_pipeline.validation.report import report_folder, reports_of
from liq_pipeline_tests.validation.conftest import frames, scene_of

pytestmark = pytest.mark.whole_run

FIRST = date(2026, 4, 1)
DAYS = 14


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    market = simulate(MarketConfig(first_day=FIRST, days=DAYS))
    publish(market, folder / "exchange", intervals=("5m",), defects=())
    _, _, truth = frames(scene_of(market))
    (folder / "truth").mkdir()
    truth.to_csv(folder / "truth" / "btcusdt_simulated.csv", index=False)

    def run(**more):
        settings = Settings(
            symbols="BTCUSDT", archive=str(folder / "exchange"), data_dir=folder / "data", since=FIRST,
            now=datetime(2026, 4, 15, 6, tzinfo=UTC), pictures=False, **more,
        )  # fmt: skip
        return settings, next(iter(refresh(settings)))

    return folder, run


def test_without_truth_nothing_is_measured_and_all_is_published(chain):
    _, run = chain
    settings, result = run()
    assert result.published, result.errors
    assert not result.errors
    assert not reports_of(settings.published_dir, "BTCUSDT")


def test_with_truth_the_report_is_published_and_the_gates_are_checked(chain):
    folder, run = chain
    settings, result = run(truth=str(folder / "truth" / "btcusdt_simulated.csv"))
    assert result.published, result.errors
    place = report_folder(settings.published_dir, "BTCUSDT", "btcusdt_simulated")
    content = json.loads((place / "validation.json").read_text())
    assert content["flows"]["rows"]["walk"]["alone"]["value"] > content["flows"]["move"]["value"]
    failing = [gate for gate in content["gates"] if not gate["passed"]]
    assert bool(failing) == any(finding.check == "model_passes_its_gates" for finding in result.findings)
    assert all(finding.severity == "WARN" for finding in result.findings if finding.check == "model_passes_its_gates")


def test_a_truth_file_that_cannot_be_used_does_not_stop_the_chain(chain):
    folder, run = chain
    _, result = run(truth=f"BTCUSDT={folder / 'nothing.csv'}")
    assert result.published
    assert not result.errors


def test_a_failed_gate_is_a_warning(tmp_path):
    place = report_folder(tmp_path, "BTCUSDT", "x")
    place.mkdir(parents=True)
    gate = {"number": 1, "statement": "s", "passed": False, "found": "f"}
    (place / "validation.json").write_text(json.dumps({"source": "x", "gates": [gate]}))

    class Fake:
        symbol = "BTCUSDT"
        publisher = type("P", (), {"folder": str(tmp_path)})

    outcome = gates_hold(Fake())
    assert not outcome.passed
    assert outcome.severity == "WARN"
    assert "gate 1" in outcome.found


def test_the_check_says_how_many_gates_hold_and_which_do_not(tmp_path):
    for source, passed in (("x", (True, True)), ("y", (True, False))):
        place = report_folder(tmp_path, "BTCUSDT", source)
        place.mkdir(parents=True)
        gates = [{"number": n, "statement": f"s{n}", "passed": good, "found": f"f{n}"} for n, good in enumerate(passed)]
        (place / "validation.json").write_text(json.dumps({"source": source, "gates": gates}))

    class Fake:
        symbol = "BTCUSDT"
        publisher = type("P", (), {"folder": str(tmp_path)})

    outcome = gates_hold(Fake())
    assert (outcome.passed, outcome.found) == (False, "y: gate 1 (s1): f1")
    assert outcome.facts == {"gates_passed": 3, "gates_failed": 1, "sources_not_scored": 0}

    shutil.rmtree(report_folder(tmp_path, "BTCUSDT", "y"))
    outcome = gates_hold(Fake())
    assert (outcome.passed, outcome.found) == (True, "2 gates of 1 reports hold")


def test_truth_is_named_by_symbol_or_by_file_name():
    settings = Settings(truth="ETHUSDT=/x/a.csv, /y/btcusdt_30m.csv,")
    assert [str(path) for path in NamedTruth(settings.truth, settings.symbols).files_of("ETHUSDT")] == ["/x/a.csv"]
    assert [str(path) for path in NamedTruth(settings.truth, settings.symbols).files_of("BTCUSDT")] == [
        "/y/btcusdt_30m.csv"
    ]
