"""Ranges as they are made of fits and levels."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.if_reached import TARGETS_PCT, Range
from liq_pipeline.published.if_reached import ReachedFit, fits_of, hidden_because, longest, ranges, reached_at
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
