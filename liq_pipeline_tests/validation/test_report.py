"""A report of made-up figures, compared whole; what its pictures draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from liq_pipeline.model.scale import Scale
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.validation import report
from liq_pipeline.validation.claims import claims, is_above
from liq_pipeline.validation.words import if_reached_row, markdown, table
from liq_pipeline_tests.validation.made_up import Figures, estimate, made_up

WHOLE = Path(__file__).with_name("made_up.txt")
FIGURE = estimate(0.5, 0.25, 0.625)


def test_the_whole_report() -> None:
    assert markdown(made_up()) == WHOLE.read_text(encoding="utf-8")


def test_what_was_not_scored_has_no_section() -> None:
    parts: dict[str, Any] = {"wide_bars": None, "boosted": None, "brackets": None, "price_levels": None}
    text = markdown(made_up(**parts, if_reached=[], scale=Scale(0.0, [], float("nan")), source="t.csv"))

    wanted = ["Gates", "Claims", "Flows: ln(1 + USD / 1000) per step and side, out of sample",
              "Levels: reached bins of 0.1 %", "If reached", "Scale", "Read from the files"]  # fmt: skip
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == wanted
    assert "Source of truth: t.csv. " in text
    assert "Too few targets were reached in what is known, or too few days are: nothing is scored." in text
    assert "Nothing was mapped or reported." in text
    assert "Ablation" not in text


@pytest.mark.parametrize(
    ("gain", "adds", "more"),
    [
        (estimate(0.5, 0.001, 0.9), "adds", "more"),
        (estimate(0.5, 0.0, 0.9), "adds nothing beyond chance:", "no more"),
        (estimate(-0.5, -0.9, 0.0), "adds nothing beyond chance:", "no more"),
        (estimate(-0.5, -0.9, -0.001), "takes away", "less"),
    ],
)
def test_words_are_chosen_by_the_side_of_0_on_which_the_whole_interval_lies(gain, adds, more) -> None:
    found = made_up()
    past = {3: found.boosted.past[7] | {"map - boosted": gain}}
    text = markdown(
        replace(
            found,
            boosted=replace(found.boosted, gain=gain, past=past),
            price_levels=replace(found.price_levels, gain=gain),
        )
    )
    assert f"the map {adds} R² {gain.value:+.3f} [" in text
    assert f"fell on mapped levels {more} often than" in text
    assert ("Trained on the past 3 days only, the map's" in text) == (adds == "adds")


def test_orders_that_speak_against_the_table_are_marked() -> None:
    test = made_up().brackets
    assert "**They speak against the table.**" in markdown(made_up(brackets=replace(test, table_pct=0.6)))


@pytest.mark.parametrize(
    ("figure", "holds"),
    [(estimate(0.001, 0.0005), True), (estimate(0.001, 0.0), False), (estimate(0.0, 0.001), False)],
)
def test_a_figure_is_above_0_with_its_whole_interval(figure: Estimate, holds: bool) -> None:
    assert is_above(figure) is holds


def test_each_claim_that_does_not_hold_is_told_among_what_may_not_be_claimed() -> None:
    """All at once: compared whole."""
    found, none = made_up(), estimate(0.1, 0.0, 0.2)
    row = replace(found.flows.rows["walk"], gain_over_move=none)
    flows = replace(found.flows, rows={"walk": row}, against={"walk - constant open interest": (none, none)})
    level = replace(found.levels[24], auc_gain=none, auc={"farthest first": estimate(0.7, 0), "map": estimate(0.5, 0)})
    even = replace(level, auc_gain=none, auc={"farthest first": estimate(0.5, 0), "map": estimate(0.5, 0)})
    found = replace(found, flows=flows, boosted=None, if_reached=[], levels={24: level, 72: even, 99: None})

    may, may_not, _ = claims(found).split("\n\n")

    assert may == "**What may be claimed.** Nothing on this set. Levels are *estimated*."
    assert may_not.startswith(
        "**What may not.** Not that the map tells more than how far price moves: R² +0.100 [+0.000, +0.200] added to "
        "it. Not that the map tells more than a flexible learner on price and volume: none was trained. Nothing about "
        "what gets liquidated if a price is reached: too little truth. Not that open interest adds anything over "
        "turnover: R² +0.100 [+0.000, +0.200] over constant open interest. Not that levels 24 h ahead beat another "
        "day's map: AUC +0.100 [+0.000, +0.200]. Mere distance ranks bins reached within 24 h better than the map "
        "(AUC +0.200). Not that levels 72 h ahead beat another day's map: AUC +0.100 [+0.000, +0.200]. Not where price"
    )


@pytest.mark.parametrize(
    ("coverage", "holds"), [(0.7499, False), (0.75, True), (0.85, True), (0.8501, False)]
)  # fmt: skip
def test_ranges_hold_where_eight_of_ten_cases_lie_in_them_give_or_take_a_twentieth(coverage, holds) -> None:
    may, may_not, _ = claims(made_up(if_reached=[Figures().reached(4, coverage)])).split("\n\n")
    assert ("Ranges of what gets liquidated" in may, "Not that ranges hold" in may_not) == (holds, not holds)


def test_a_table_has_a_line_per_row() -> None:
    assert table(("a", "b"), [(1, "x|y"), (2, "")]) == "| a | b |\n| --- | --- |\n| 1 | x/y |\n| 2 |  |"
    assert if_reached_row(Figures().reached(24, 0.5))[::7] == ("24 h", "×11")


def test_the_page_is_the_text_as_html() -> None:
    text = (
        "# T & <s>\n\nline **one**\nline *two* **FAIL**\n\n- a\n- b *c*\n\n"
        "## H\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |\n\n### A\nb\n"
    )
    head, body = report.page(text, {"p&q": b"\x01\x02"}).split("</style></head>")

    assert head.startswith(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>T &amp; &lt;s&gt;</title><style>body{'
    )
    assert body == (
        "<body><h1>T &amp; &lt;s&gt;</h1>"
        '<p>line <b>one</b> line <i>two</i> <b class="fail">FAIL</b></p>'
        "<ul><li>a</li><li>b <i>c</i></li></ul>"
        "<h2>H</h2><table><tr><th>x</th><th>y</th></tr><tr><td>1</td><td>2</td></tr><tr><td>3</td><td></td></tr></table>"
        "<h3>A</h3><p>b</p>"
        '<h3>p&amp;q</h3><img alt="p&amp;q" src="data:image/png;base64,AQI="></body></html>\n'
    )


def test_the_files_of_a_report_say_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(report, "PLOTS", {"a": report._scale, "b": report._models})
    found, folder = made_up(source="ü.csv"), tmp_path / "x" / "y"

    for _ in range(2):
        assert report.write_report(found, folder) == [
            folder / name for name in ("validation.json", "validation.md", "validation.html", "a.png", "b.png")
        ]

    assert (folder / "validation.md").read_text(encoding="utf-8") == (
        f"{markdown(found)}\n## Plots\n\n![a](a.png)\n\n![b](b.png)\n"
    )
    text = (folder / "validation.json").read_text(encoding="utf-8")
    assert text == json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    assert list(json.loads(text))[:4] == ["model", "passed", "symbol", "source"]
    assert json.loads(text)["passed"] is False
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def test_problems_are_kept_until_there_are_none(tmp_path: Path) -> None:
    for not_scored, odd in (({"ü": "why"}, []), ({}, ["ö"]), ({"a": "b"}, ["c"]), ({}, []), ({}, [])):
        report.write_problems(tmp_path, "XUSDT", not_scored, odd)
        place = tmp_path / "validation" / "XUSDT" / "problems.json"
        assert place.exists() == bool(not_scored or odd)
        assert report.problems_of(tmp_path, "XUSDT") == (not_scored, odd)
    report.write_problems(tmp_path, "XUSDT", {"ü": "why"}, [])
    assert place.read_text(encoding="utf-8") == '{\n  "not_scored": {\n    "ü": "why"\n  },\n  "odd": []\n}'


def test_reports_lie_by_symbol_and_source(tmp_path: Path) -> None:
    for source in ("b", "a", "c"):
        folder = report.report_folder(tmp_path, "XUSDT", source)
        assert folder == tmp_path / "validation" / "XUSDT" / source
        folder.mkdir(parents=True)
        if source != "c":
            (folder / "validation.json").touch()
    assert report.reports_of(tmp_path, "XUSDT") == [tmp_path / "validation" / "XUSDT" / name for name in "ab"]
    assert report.reports_of(tmp_path, "YUSDT") == []


def drawn(draw, found):
    axes = Figure().subplots()
    draw(found, axes)
    return axes


def test_each_picture_draws_the_figures_with_their_intervals() -> None:
    found = made_up()
    row, move = found.flows.rows["walk"], estimate(0.5, 0.25, 0.625)
    lone = replace(found.flows, move=move, path=estimate(0.5, 0.75, 0.375), rows={"walk": replace(row, alone=FIGURE)})

    axes = drawn(report._models, replace(found, flows=lone))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adverse move", "price + VWAP path", "walk"]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.5, 0.5]
    (lines,) = next(one.errorbar for one in axes.containers if hasattr(one, "errorbar")).lines[2]
    segments = [segment[:, 0].tolist() for segment in lines.get_segments()]
    assert segments == [[0.25, 0.625], [0.5, 0.5], [0.25, 0.625]]  # an end on the wrong side is not drawn

    axes = drawn(report._gains, found)
    assert [bar.get_width() for bar in axes.patches] == [0.105, 0.106, 0.111, 0.112]

    axes = drawn(report._reliability, found)
    assert [list(line.get_xdata()) for line in axes.lines] == [[1.5, 4.0], [2.5, 4.0]]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.5, 4.0], [3.25, 1.5]]

    axes = drawn(report._leverage, found)
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [0.02, 0.01, 0, -0.01], atol=1e-12)

    axes = drawn(report._scale, found)
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.5, 0.75], [0.25, 0.4]]
