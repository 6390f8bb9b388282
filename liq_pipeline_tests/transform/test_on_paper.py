"""Small pieces of the transform against numbers that were worked out on paper."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.heatmap import BURN_IN
from liq_pipeline.transform.datasets import column_facts
from liq_pipeline.transform.levels import largest_levels, level_facts
from liq_pipeline.transform.positions import minutes_after
from liq_pipeline_tests.warehouse.by_hand import at


def test_how_long_a_cell_lived_is_told_in_minutes_and_null_while_it_lives() -> None:
    opened_at = np.array(["2026-06-01T00:05", "2026-06-01T00:20"], "datetime64[us]")
    ended = np.array(
        [["NaT", "2026-06-01T00:10", "2026-06-02T00:05"], ["2026-06-01T00:55", "NaT", "2026-06-01T00:25"]],
        "datetime64[us]",
    )

    assert minutes_after(opened_at, ended).to_pylist() == [[None, 5, 1440], [35, None, 5]]


def levels(*rows: tuple[str, float, float, float, float, float]) -> pa.Table:
    names = ("side", "price_low", "price_high", "contracts", "notional_usd", "distance_pct")
    kinds = [pa.string(), *[pa.float64()] * 5]
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows], pa.schema(list(zip(names, kinds, strict=True)))
    )


def test_totals_are_those_of_each_side_and_zero_where_a_side_is_empty() -> None:
    rows = levels(("long", 90, 91, 2, 181, 1), ("short", 120, 121, 5, 602, 1), ("long", 80, 81, 3, 242, 1))

    assert level_facts(rows, 37.5) == {
        "long_contracts": 5, "long_notional_usd": 423, "short_contracts": 5, "short_notional_usd": 602,
        "coverage_pct": 37.5,
    }  # fmt: skip
    assert level_facts(rows.slice(1, 1), 0) | {"short_contracts": 0, "short_notional_usd": 0} == dict.fromkeys(
        level_facts(rows, 0), 0
    )


def test_the_largest_bins_add_up_all_leverages_and_come_largest_first() -> None:
    rows = levels(
        ("long", 90, 91.5, 1, 700, 17.126), ("short", 1200, 1201, 1, 1500.4, 3.004), ("long", 90, 91.5, 1, 900, 17.5),
        ("long", 80, 81, 1, 300, 9), ("long", 70, 71, 1, 300, 10), ("short", 130, 131, 1, 250, 11),
        ("short", 140, 141, 1, 200, 12),
    )  # fmt: skip

    found = largest_levels(rows)

    assert found.to_pylist() == [
        {"side": "long", "price_usd": "90 – 91.5", "distance_pct": 17.13, "notional_usd": "1,600"},
        {"side": "short", "price_usd": "1,200 – 1,201", "distance_pct": 3.0, "notional_usd": "1,500"},
        {"side": "long", "price_usd": "70 – 71", "distance_pct": 10, "notional_usd": "300"},
        {"side": "long", "price_usd": "80 – 81", "distance_pct": 9, "notional_usd": "300"},
        {"side": "short", "price_usd": "130 – 131", "distance_pct": 11, "notional_usd": "250"},
    ]
    assert largest_levels(rows, 1).num_rows == 1


class TestColumns:
    WIDTH = np.timedelta64(3600, "s")

    def _facts(self, folder: Path, instants: list[str], first_ts: datetime) -> dict[str, object]:
        path = folder / "cells.parquet"
        pq.write_table(pa.table({"price_low": [100.1, 7.0], "price_high": [100.3, 9.0]}), path)
        return column_facts(path, np.array(instants, "datetime64[us]"), first_ts, self.WIDTH)

    def test_their_width_is_that_of_the_narrowest_and_the_bin_that_of_the_first_row(self, tmp_path: Path) -> None:
        instants = ["2026-06-07T12:00", "2026-06-07T12:10", "2026-06-07T12:15", "2026-06-07T12:35"]

        assert self._facts(tmp_path, instants, at(0)) == {
            "columns": 4, "column_seconds": 300, "first_column": "2026-06-07T12:00:00Z", "bin_width": 0.2,
            "burn_in_days": 6.5, "is_burned_in": False,
        }  # fmt: skip

    def test_one_column_is_as_wide_as_the_timeframe_says_and_two_as_they_lie_apart(self, tmp_path: Path) -> None:
        assert self._facts(tmp_path, ["2026-06-07"], at(0))["column_seconds"] == 3600
        assert self._facts(tmp_path, ["2026-06-07", "2026-06-08"], at(0))["column_seconds"] == 86_400

    @pytest.mark.parametrize(("minutes", "is_burned_in"), [(0, True), (1, False), (-1, True)])
    def test_a_picture_is_burned_in_once_enough_history_lies_before_it(
        self, minutes: int, is_burned_in: bool, tmp_path: Path
    ) -> None:
        begin = np.datetime64("2026-06-01T00:00", "us") + BURN_IN

        assert self._facts(tmp_path, [str(begin)], at(minutes))["is_burned_in"] is is_burned_in
