"""What gets liquidated on the way to a price: from the report's numbers and the levels; hidden where truth lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.if_reached import TARGETS_PCT, Range
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.server.reached import IfReached
from liq_pipeline.settings import Settings
from liq_pipeline_tests.server.conftest import Service

PLACE = "/liquidations/if-reached?symbol=BTCUSDT"
NUMBERS = {"a": 6.5, "b": 1.1, "c1": 0.08, "c2": 0.1, "beta": 0.4, "z10": -0.9, "z50": 0.0, "z90": 0.9}


def report(days: float = 30.0, **numbers: Any) -> str:
    horizons = [
        {"horizon_hours": hours, "cases": 900, "days": days, "coverage_80": 0.79, "parameters": NUMBERS | numbers}
        for hours in (1, 4)
    ]
    return json.dumps({"symbol": "BTCUSDT", "source": "x", "if_reached": horizons, "flows": {"any": None}})


@pytest.fixture
def folder(good_run: Settings, tmp_path: Path) -> Path:
    return shutil.copytree(good_run.published_dir, tmp_path / "published")


@pytest.fixture
def asked(folder: Path, good_run: Settings):
    """Publish reports by source, and ask."""
    running: list[Service] = []

    def ask(query: str = "", **reports: str):
        for source, content in reports.items():
            place = folder / "validation" / "BTCUSDT" / source
            place.mkdir(parents=True, exist_ok=True)
            (place / "validation.json").write_text(content)
        if not running:
            running.append(Service(folder, good_run.now))
        return running[0].get(PLACE + query)

    yield ask
    for one in running:
        one.stop()


def test_each_target_has_the_range_of_the_formula_over_what_is_mapped_on_the_way(asked, folder: Path) -> None:
    found = asked(mine=report()).json()

    IfReached.model_validate(found, strict=True)
    assert (found["source"], found["horizon_hours"], found["hidden_because"]) == ("mine", 4, "")
    assert found["past_coverage_80"] == 0.79
    levels = pq.read_table(dataset_path(folder, "liquidation_levels", "BTCUSDT", "90d"), partitioning=None).to_pandas()
    price = found["current_price"]
    for side, sign in (("long", -1), ("short", 1)):
        rows = found[f"if_reached_{side}"]
        assert [abs(row["distance_pct"]) for row in rows] == list(TARGETS_PCT)
        own = levels[levels["side"] == side]
        away = 100 * abs((own["price_low"] + own["price_high"]) / 2 / price - 1)
        for row in rows:
            near = own[away <= abs(row["distance_pct"])]
            parts = [
                near[near["leverage"] <= 60]["notional_usd"].sum(),
                near[near["leverage"] > 60]["notional_usd"].sum(),
            ]
            assert row["price"] == pytest.approx(price * (1 + row["distance_pct"] / 100))
            assert np.sign(row["distance_pct"]) == sign
            assert row["mapped_usd"] == pytest.approx(sum(parts))
            expected = Range(**NUMBERS).usd([abs(row["distance_pct"])], np.array([parts]))[0]
            assert [row["p10_usd"], row["p50_usd"], row["p90_usd"]] == pytest.approx(list(expected))
            assert row["p10_usd"] < row["p50_usd"] < row["p90_usd"]


def test_without_truth_it_says_how_to_get_some(asked) -> None:
    found = asked().json()

    IfReached.model_validate(found, strict=True)
    assert found["if_reached_long"] == found["if_reached_short"] == []
    assert found["hidden_because"].startswith("no reported liquidations. To do: liq record, or name")
    assert found["past_coverage_80"] is None


def test_with_less_than_fourteen_days_it_is_hidden_and_says_so(asked) -> None:
    found = asked(mine=report(days=13.9)).json()

    assert found["if_reached_long"] == []
    assert found["hidden_because"].startswith("13.9 of 14 days of reported liquidations")


def test_a_horizon_that_was_not_scored_is_said(asked) -> None:
    assert asked("&horizon=24", mine=report()).json()["hidden_because"].startswith("nothing was scored at this horizon")


def test_of_several_sources_the_longest_speaks_unless_one_is_named(asked) -> None:
    both = {"short": report(days=20, a=1.0), "long": report(days=40)}

    assert asked(**both).json()["source"] == "long"
    assert asked("&source=short").json()["source"] == "short"
    none = asked("&source=none")
    assert none.status_code == 404
    assert "there is no source 'none' of BTCUSDT" in none.json()["detail"]
    assert "take one of: long, short" in none.json()["detail"]


def test_a_new_report_changes_the_tag(asked) -> None:
    one, two = asked(mine=report()).headers["etag"], asked(mine=report(a=6.6)).headers["etag"]

    assert one != two


@pytest.mark.parametrize("content", ["", "[]", "{", report(a=float("inf")), report(a=1e300), report(beta=-1)])
def test_a_damaged_report_is_said_to_be(asked, content: str) -> None:
    found = asked(mine=content)

    assert found.status_code == 503
    assert "the report of mine cannot be read" in found.json()["detail"]


@pytest.mark.parametrize(("query", "status"), [("&horizon=2", 422), ("&horizon=x", 422), (f"&source={'x' * 101}", 422)])
def test_what_cannot_be_asked_is_refused(asked, query: str, status: int) -> None:
    assert asked(query).status_code == status
