"""What gets liquidated on the way to a price: the dataset as it is published; hidden where truth lacks."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.if_reached import TARGETS_PCT, Range
from liq_pipeline.published.if_reached import DATASET, ReachedFit, ranges
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.server.reached import IfReached
from liq_pipeline.settings import Settings
from liq_pipeline_tests.server.conftest import Service

PLACE = "/liquidations/if-reached?symbol=BTCUSDT"
NUMBERS = {"a": 6.5, "b": 1.1, "c1": 0.08, "c2": 0.1, "beta": 0.4, "z10": -0.9, "z50": 0.0, "z90": 0.9}


def fits(source: str = "mine", days: float = 30.0, **numbers: Any) -> list[dict[str, Any]]:
    return [
        {
            "source": source, "horizon_hours": hours, "cases": 900, "days_of_truth": days, "coverage_80": 0.79,
            "scored_from_day": 14.0, "range_ratio": 6.0, "crps_gain_over_distance": 0.1,
            "crps_gain_over_distance_low": 0.05, "crps_gain_over_distance_high": 0.15,
            "fitted_until": "2026-06-28T00:00:00Z", "parameters": NUMBERS | numbers,
        }
        for hours in (1, 4)
    ]  # fmt: skip


@pytest.fixture
def folder(good_run: Settings, tmp_path: Path) -> Path:
    return shutil.copytree(good_run.published_dir, tmp_path / "published")


def publish(folder: Path, found: list[dict[str, Any]], instant: str = "") -> None:
    """Publish the dataset with these fits; as of an instant, if one is given."""
    levels = pq.read_table(dataset_path(folder, "liquidation_levels", "BTCUSDT", "90d"), partitioning=None)
    path = dataset_path(folder, DATASET, "BTCUSDT")
    before = json.loads(manifest_path(path).read_text())
    as_of, price = datetime.fromisoformat(before["as_of"]), before["current_price"]
    rows = ranges(levels, [ReachedFit.model_validate(one) for one in found], "BTCUSDT", as_of, price)
    facts = {"as_of": instant or before["as_of"], "current_price": price, "fits": found}
    Publisher(folder=str(folder)).publish([PublishedDataset(DATASET, "BTCUSDT", rows, facts)])


@pytest.fixture
def asked(folder: Path, good_run: Settings):
    """Publish fits, and ask."""
    running: list[Service] = []

    def ask(query: str = "", found: list[dict[str, Any]] | None = None):
        if found is not None:
            publish(folder, found)
        if not running:
            running.append(Service(folder, good_run.now))
        return running[0].get(PLACE + query)

    yield ask
    for one in running:
        one.stop()


def test_each_target_has_the_range_of_the_formula_over_what_is_mapped_on_the_way(asked, folder: Path) -> None:
    found = asked(found=fits()).json()

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


@pytest.mark.parametrize(
    ("found", "days", "source"), [([], 0, ""), (fits(days=3.5), 3.5, "mine"), (fits(), 30, "mine")]
)
def test_how_much_truth_there_is_is_said_from_none_on(found, days: float, source: str, asked) -> None:
    said = asked(found=found).json()
    assert (said["days_of_truth"], said["source"]) == (days, source)


def test_the_largest_zones_have_ranges_to_their_far_edges(asked, folder: Path) -> None:
    found = asked(found=fits()).json()

    ladder = {row["price"] for side in ("long", "short") for row in found[f"if_reached_{side}"]}
    for side, sign in (("long", -1), ("short", 1)):
        rows = found[f"zones_{side}"]
        assert 1 <= len(rows) <= 3
        for row in rows:
            assert row["price"] not in ladder
            assert TARGETS_PCT[0] <= sign * row["distance_pct"] <= TARGETS_PCT[-1]
            assert 0 <= row["p10_usd"] < row["p50_usd"] < row["p90_usd"]


def test_without_truth_it_says_how_to_get_some(asked) -> None:
    found = asked().json()

    IfReached.model_validate(found, strict=True)
    assert found["if_reached_long"] == found["if_reached_short"] == found["zones_long"] == []
    assert found["hidden_because"].startswith("no reported liquidations. To do: liq record, or name")
    assert found["past_coverage_80"] is None


def test_with_less_than_fourteen_days_it_is_hidden_and_says_so(asked, folder: Path) -> None:
    found = asked(found=fits(days=13.9)).json()

    assert found["if_reached_long"] == []
    assert found["hidden_because"].startswith("13.9 of 14 days of reported liquidations")
    assert pq.read_metadata(dataset_path(folder, DATASET, "BTCUSDT")).num_rows == 0


def test_a_horizon_that_was_not_scored_is_said(asked) -> None:
    assert asked("&horizon=24", fits()).json()["hidden_because"].startswith("nothing was scored at this horizon")


def test_of_several_sources_the_longest_speaks_unless_one_is_named(asked) -> None:
    both = [*fits("short", days=20, a=1.0), *fits("long", days=40)]

    assert asked(found=both).json()["source"] == "long"
    assert asked("&source=short").json()["source"] == "short"
    none = asked("&source=none")
    assert none.status_code == 404
    assert "there is no source 'none' of BTCUSDT" in none.json()["detail"]
    assert "take one of: long, short" in none.json()["detail"]


def test_a_new_fit_changes_the_tag(asked) -> None:
    one, two = asked(found=fits()).headers["etag"], asked(found=fits(a=6.6)).headers["etag"]

    assert one != two


@pytest.mark.parametrize("broken", [None, "x", [{}], fits(beta=-1), fits(a=1e300)])
def test_damaged_fits_are_said_to_be(asked, folder: Path, broken: Any) -> None:
    place = manifest_path(dataset_path(folder, DATASET, "BTCUSDT"))
    place.write_text(json.dumps(json.loads(place.read_text()) | {"fits": broken}))
    found = asked()

    assert found.status_code == 503
    assert "the fits in the manifest of if_reached cannot be read" in found.json()["detail"]


def test_a_folder_of_before_the_dataset_says_that_it_is_not_published(asked, folder: Path) -> None:
    path = dataset_path(folder, DATASET, "BTCUSDT")
    for place in (path, manifest_path(path)):
        place.unlink()

    assert asked().status_code == 404
    assert "if_reached of BTCUSDT 90d is not published" in asked().json()["detail"]


@pytest.mark.parametrize(("query", "status"), [("&horizon=2", 422), ("&horizon=x", 422), (f"&source={'x' * 101}", 422)])
def test_what_cannot_be_asked_is_refused(asked, query: str, status: int) -> None:
    assert asked(query).status_code == status
