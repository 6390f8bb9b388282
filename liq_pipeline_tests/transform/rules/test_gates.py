"""Where the rules about the validation draw their lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liq_pipeline.published.if_reached import DATASET, SHOWN_FROM_DAYS
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.transform.rules.gates import brackets_agree, ranges_cover
from liq_pipeline.transform.rules.rule import WARN, Subject

FIT = {
    "source": "recorded", "horizon_hours": 4, "days_of_truth": SHOWN_FROM_DAYS, "cases": 900, "scored_from_day": 14.0,
    "coverage_80": 0.8, "range_ratio": 9.0, "crps_gain_over_distance": 0.1, "crps_gain_over_distance_low": 0.0,
    "crps_gain_over_distance_high": 0.2, "fitted_until": "2026-06-28T00:00:00Z",
    "parameters": dict.fromkeys(("a", "b", "c1", "c2", "beta", "z10", "z50", "z90"), 0.5),
}  # fmt: skip


def publish(subject: Subject, *fits: dict, **more: object) -> None:
    path = dataset_path(Path(subject.publisher.folder), DATASET, subject.symbol)
    manifest = manifest_path(path)
    for place in (path, manifest):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    manifest.write_text(
        json.dumps({"as_of": "2026-06-28T00:00:00Z", "sha256": "0" * 64, "fits": [FIT | fit for fit in fits]} | more),
        encoding="utf-8",
    )


class TestRanges:
    def test_without_reported_liquidations_there_is_none(self, small: Subject) -> None:
        outcome = ranges_cover(small)

        assert outcome.passed
        assert outcome.found == "no reported liquidations: no range"

    @pytest.mark.parametrize(
        ("coverage", "passes"), [(0.7199, False), (0.72, True), (0.8, True), (0.88, True), (0.8801, False)]
    )
    def test_of_ten_cases_seven_to_nine_lie_inside(self, coverage: float, passes: bool, small: Subject) -> None:
        publish(small, {"coverage_80": coverage}, {"horizon_hours": 24})

        outcome = ranges_cover(small)

        assert outcome.passed is passes
        assert outcome.severity is WARN
        of_one, of_other = f"recorded, 4 h: {coverage:.3f} of 900 past cases", "recorded, 24 h: 0.800 of 900 past cases"
        assert outcome.found.split("\n") == [
            of_one, of_other if passes else "expected 0.72 to 0.88 in the 80 % range",
        ]  # fmt: skip

    def test_a_range_that_is_not_shown_misleads_nobody(self, small: Subject) -> None:
        publish(small, {"coverage_80": 0.1, "days_of_truth": SHOWN_FROM_DAYS - 0.1})

        assert ranges_cover(small).passed

    def test_a_source_that_could_not_be_fitted_is_told(self, small: Subject) -> None:
        publish(small, {}, not_fitted={"x": "x: too few cases"})

        outcome = ranges_cover(small)

        assert not outcome.passed
        assert outcome.found == "not fitted: x: too few cases"


def test_without_forced_orders_no_bracket_is_doubted(small: Subject) -> None:
    outcome = brackets_agree(small)

    assert outcome.passed
    assert outcome.found == "no forced order is known: nothing to test with"
