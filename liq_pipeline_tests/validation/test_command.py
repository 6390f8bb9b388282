"""`liq validate`: every figure with its interval, a report that says what may be claimed."""

import json

import pytest
from typer.testing import CliRunner

from liq_pipeline.cli.main import app
from liq_pipeline.errors import NoData, SettingsError
from liq_pipeline.validation.command import run_validation
from liq_pipeline_tests.validation.conftest import frames, write

pytestmark = pytest.mark.whole_run


@pytest.fixture(scope="module")
def files(tmp_path_factory, scene):
    return write(tmp_path_factory.mktemp("validate"), frames(scene))


def figures_of(node):
    if isinstance(node, dict):
        if set(node) == {"value", "low", "high"}:
            yield node
        else:
            for item in node.values():
                yield from figures_of(item)
    elif isinstance(node, list):
        for item in node:
            yield from figures_of(item)


def test_json_has_every_figure_with_its_interval(files):
    result = CliRunner().invoke(app, ["validate", *files.options(), "--bar", "15m", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    names = {"walk", "constant open interest", "shuffled open interest", "classic ladder", "legacy system", "1/L bands"}
    assert names <= set(found["flows"]["rows"])
    assert "walk on 60-minute bars" in found["wide_bars"]["rows"]
    assert [gate["number"] for gate in found["gates"]] == [1, 2, 3, 4, 5, 6, 7, 9]
    known = [figure for figure in figures_of(found) if figure["low"] is not None]
    assert len(known) > 80
    assert all(figure["low"] <= figure["high"] for figure in known)


def test_the_report_is_written_whole(files, tmp_path):
    result = CliRunner().invoke(app, ["validate", *files.options(), "--bar", "15m", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "validation.html").read_text(encoding="utf-8")
    assert "What may not." in page
    assert "data:image/png;base64" in page
    assert "estimated" in page
    assert {path.name for path in tmp_path.iterdir()} >= {"validation.json", "validation.md", "models.png", "scale.png"}
    assert json.loads((tmp_path / "validation.json").read_text())["symbol"] == "BTCUSDT"


def test_too_little_data_is_said(tmp_path, scene):
    klines, interest, truth = frames(scene)
    few = write(tmp_path, (klines.iloc[:300], interest, truth))
    with pytest.raises(NoData, match="steps over"):
        run_validation(few.klines, few.open_interest, few.liquidations, "15m", "BTCUSDT")


def test_a_wrong_option_is_named(files):
    with pytest.raises(SettingsError, match="--truth-stamp"):
        run_validation(
            files.klines, files.open_interest, files.liquidations, "15m", "BTCUSDT", truth_stamp="middle"
        )  # fmt: skip
