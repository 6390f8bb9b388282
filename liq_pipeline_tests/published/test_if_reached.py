"""Ranges as they are made of fits and levels."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.if_reached import TARGETS_PCT, Range
from liq_pipeline.published.if_reached import (
    ReachedFit,
    fits_of,
    hidden_because,
    longest,
    mapped_until,
    plain,
    ranges,
    reached_at,
)
from liq_pipeline.published.schemas import IF_REACHED_SCHEMA, LEVELS_SCHEMA

AS_OF = datetime(2026, 6, 28, tzinfo=UTC)
PRICE = 100.0
NUMBERS = {"a": 6.5, "b": 1.1, "c1": 0.08, "c2": 0.1, "beta": 0.4, "z10": -0.9, "z50": 0.0, "z90": 0.9}


def fit(source="mine", hours=4, days=30.0, **numbers):
    return ReachedFit.model_validate(
        {
            "source": source, "horizon_hours": hours, "cases": 900, "days_of_truth": days, "coverage_80": 0.79,
            "scored_from_day": 14.0, "range_ratio": 6.0, "crps_gain_over_distance": None,
            "crps_gain_over_distance_low": None, "crps_gain_over_distance_high": None,
            "fitted_until": "2026-06-28T00:00:00Z", "parameters": NUMBERS | numbers,
        }
    )  # fmt: skip


def levels(*bins):
    """Rows of (side, leverage, price_low, usd); bins are 0.2 high."""
    return pa.Table.from_pylist(
        [
            {
                "exchange": "binance", "symbol": "BTCUSDT", "timeframe": "90d", "as_of": AS_OF, "side": side,
                "leverage": leverage, "price_low": low, "price_high": low + 0.2, "contracts": usd / low,
                "notional_usd": usd, "current_price": PRICE, "distance_pct": low - PRICE,
            }
            for side, leverage, low, usd in bins
        ],
        schema=LEVELS_SCHEMA,
    )  # fmt: skip


SOME = levels(("long", 100.0, 98.8, 5e6), ("long", 20.0, 96.8, 3e6), ("short", 50.0, 102.0, 4e6))


def rows_of(table, **wanted):
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in wanted.items())]


def test_every_shown_fit_has_both_sides_of_the_ladder_and_the_far_edges_of_zones():
    found = ranges(SOME, [fit(), fit(hours=1), fit("new", days=13.9)], "BTCUSDT", AS_OF, PRICE)
    assert found.schema == IF_REACHED_SCHEMA
    assert {(row["source"], row["horizon_hours"]) for row in found.to_pylist()} == {("mine", 1), ("mine", 4)}
    longs = rows_of(found, side="long", horizon_hours=4)
    assert [-row["distance_pct"] for row in longs if row["target"] == "ladder"] == list(TARGETS_PCT)
    assert [row["target_price"] for row in longs if row["target"] == "zone"] == pytest.approx([98.8, 96.8])
    (short,) = rows_of(found, side="short", horizon_hours=4, target="zone")
    assert (short["target_price"], short["mapped_usd"]) == pytest.approx((102.2, 4e6))


def test_what_lies_on_the_way_enters_by_its_class_of_leverage():
    found = ranges(SOME, [fit()], "BTCUSDT", AS_OF, PRICE)
    (row,) = rows_of(found, side="long", distance_pct=-4.0)
    expected = Range(**NUMBERS).usd([4.0], np.array([[3e6, 5e6]]))[0]
    assert [row["p10_usd"], row["p50_usd"], row["p90_usd"]] == pytest.approx(list(expected))
    (near,) = rows_of(found, side="long", distance_pct=-1.0)
    assert near["mapped_usd"] == 0


def test_any_price_within_the_ladder_has_a_range_and_no_other():
    same = ranges(SOME, [fit()], "BTCUSDT", AS_OF, PRICE)
    (row,) = rows_of(same, side="long", distance_pct=-4.0)
    found = reached_at(SOME, fit(), "long", 96.0)
    assert (found.price, found.hours) == (96.0, 4)
    assert (found.p10, found.p50, found.p90) == pytest.approx((row["p10_usd"], row["p50_usd"], row["p90_usd"]))
    assert reached_at(SOME, fit(), "long", 99.9) is None
    assert reached_at(SOME, fit(), "long", 90.0) is None


def test_each_number_of_a_row():
    """A fit whose quantiles are the same multiples of what is mapped would hide a swap: these are three numbers."""
    (row,) = rows_of(ranges(SOME, [fit()], "BTCUSDT", AS_OF, PRICE), side="short", distance_pct=4.0, horizon_hours=4)
    low, middle, high = Range(**NUMBERS).usd([4.0], np.array([[4e6, 0.0]]))[0]
    assert row == {
        "exchange": "binance", "symbol": "BTCUSDT", "as_of": AS_OF, "source": "mine", "horizon_hours": 4,
        "side": "short", "target": "ladder", "target_price": pytest.approx(104.0), "distance_pct": 4.0,
        "mapped_usd": 4e6, "p10_usd": pytest.approx(low), "p50_usd": pytest.approx(middle),
        "p90_usd": pytest.approx(high), "coverage_80": 0.79, "range_ratio": 6.0, "crps_gain_over_distance": None,
        "days_of_truth": 30.0,
    }  # fmt: skip
    assert low < middle < high


def test_bins_count_by_their_middle_and_leverages_above_60_apart():
    rows = levels(("long", 60.0, 98.9, 1.0), ("long", 60.5, 98.9, 10.0), ("short", 75.0, 100.9, 100.0),
                  ("long", 75.0, 96.9, 1000.0))  # fmt: skip
    found = mapped_until(rows, "long", PRICE, np.array([0.99, 1.01, 2.99, 3.01]))
    assert found.tolist() == [[0, 0], [1, 10], [1, 10], [1, 1010]]
    assert mapped_until(rows, "short", PRICE, np.array([0.99, 1.01])).tolist() == [[0, 0], [0, 100]]


def test_the_three_largest_zones_of_a_side_are_targets_where_their_far_edge_is_on_the_ladder():
    near, far = ("long", 10.0, 99.7, 9e6), ("long", 10.0, 92.9, 9e6)  # far edges at 0.3 and 7.1 %
    some = [("long", 10.0, 98.0, 8e6), ("long", 10.0, 97.0, 7e6), ("long", 10.0, 96.0, 6e6)]
    rows = ranges(levels(near, far, *some, ("short", 10.0, 100.1, 9e6)), [fit()], "B", AS_OF, PRICE)
    zone = rows_of(rows, target="zone", side="long")
    assert [row["distance_pct"] for row in zone] == pytest.approx([-0.3, -2.0, -3.0])
    assert [row["target_price"] for row in rows_of(rows, target="zone", side="short")] == pytest.approx([100.3])
    closer = ranges(levels(("long", 10.0, 99.76, 9e6)), [fit()], "B", AS_OF, PRICE)  # its far edge at 0.24 %
    assert not rows_of(closer, target="zone")


@pytest.mark.parametrize(
    ("price", "is_known"), [(99.75, True), (99.76, False), (93.0, True), (92.99, False), (100.25, True), (107.0, True)]
)
def test_a_price_has_a_range_up_to_both_ends_of_the_ladder(price: float, is_known: bool):
    assert (reached_at(SOME, fit(), "long", price) is not None) == is_known


def test_fourteen_days_of_truth_are_enough_to_be_shown():
    assert fit(days=14.0).is_shown
    assert not fit(days=13.99).is_shown
    assert longest([fit("a", days=20), fit("b", days=20)], 4).source == "b"
    assert longest([fit("a")], 4, "b") is None
    assert (plain(0.5), plain(float("nan")), plain(float("-inf"))) == (0.5, None, None)


def test_without_levels_the_ladder_is_left_and_without_fits_nothing():
    assert {row["target"] for row in ranges(levels(), [fit()], "X", AS_OF, PRICE).to_pylist()} == {"ladder"}
    assert ranges(SOME, [], "BTCUSDT", AS_OF, PRICE).num_rows == 0


def test_the_source_with_most_days_speaks_for_a_horizon_and_what_lacks_is_said():
    fits = [fit("a", days=20), fit("b", days=40), fit("c", hours=1, days=3.25)]
    assert longest(fits, 4).source == "b"
    assert longest(fits, 4, "a").source == "a"
    assert hidden_because(fits, longest(fits, 4)) == ""
    assert hidden_because(fits, longest(fits, 1)).startswith("3.2 of 14 days of reported liquidations. To do: liq rec")
    assert hidden_because(fits, longest(fits, 24)).startswith("nothing was scored at this horizon yet")
    assert hidden_because([], None).startswith("no reported liquidations")


def test_fits_go_through_a_manifest_unchanged_and_broken_ones_are_said():
    assert fits_of({"fits": [fit().model_dump()], "more": 1}) == [fit()]
    for broken in ({}, {"fits": 1}, {"fits": [{"source": "x"}]}, {"fits": [fit().model_dump() | {"coverage_80": "?"}]}):
        with pytest.raises(PublishedDamaged, match="the fits in the manifest of if_reached cannot be read"):
            fits_of(broken)
