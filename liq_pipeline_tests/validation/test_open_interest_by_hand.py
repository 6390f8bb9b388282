"""Open interest in contracts or USD, stamped with either end of its step: every number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline_tests.validation.test_inputs_by_hand import COUNT, clock, interest, klines, minutes, read


class TestOpenInterest:
    @pytest.mark.parametrize("name", ["open_interest", "sum_open_interest", "sumOpenInterest"])
    def test_a_stamp_that_names_the_start_is_a_step_earlier(self, name: str, tmp_path: Path) -> None:
        contracts = interest(ts=clock(0, 10, 20, 30, 40)).rename(columns={"open_interest": name})
        found = read(tmp_path, klines(), contracts, open_interest_stamp="start")

        assert minutes(found) == list(range(10, 51, 5))
        assert found.data.walk_input.open_interest[::2].tolist() == [1000, 1100, 1050, 1300, 1200]
        assert "open interest in contracts, stamped with the start" in found.notes

    @pytest.mark.parametrize(("stamp", "early"), [("end", 0), ("start", 7)])
    def test_usd_are_divided_by_the_newest_close_of_their_instant(self, stamp: str, early: int, tmp_path: Path) -> None:
        """One before the bars, one in a hole, one inside a bar, and one on its end."""
        at = np.array([3, 10, 20, 28, 35, 38, 50, 59.99, 65])
        usd = pd.DataFrame({"ts": clock(*(at - early)), "open_interest_value": np.arange(1, 10) * 1e6})
        usd = pd.concat([usd, usd.assign(ts=usd["ts"].iloc[0] - pd.Timedelta("1D"), open_interest_value=7.0)])
        found = read(tmp_path, klines().drop(index=6), usd, open_interest_stamp=stamp)

        bars = found.data.walk_input
        own = dict(zip(minutes(found), np.where(found.data.known, bars.open_interest, 0), strict=True))
        wanted = {10: 2e6 / 103, 20: 3e6 / 107, 30: 4e6 / 113, 50: 7e6 / 139, 60: 8e6 / 149}
        assert {minute: value for minute, value in own.items() if value} == pytest.approx(wanted)

    def test_an_opening_and_a_closing_value_are_two_instants(self, tmp_path: Path) -> None:
        pair = pd.DataFrame({"ts": clock(10, 20, 30), "open_interest_value_open": [103.0, 3 * 107.0, 7 * 109.0],
                             "open_interest_value_close": [5 * 107.0, 11 * 109.0, 13 * 131.0]})  # fmt: skip
        for stamp in ("auto", "start"):
            found = read(tmp_path, klines(), pair, open_interest_stamp=stamp)
            assert minutes(found) == [10, 15, 20, 25, 30, 35, 40]
            assert found.data.walk_input.open_interest[::2].tolist() == [1, 3, 7, 13]  # opening values come first

    @pytest.mark.parametrize(("share", "reading"), [(-0.05, "instant"), (-0.06, "start of its step")])
    def test_usd_are_read_as_starts_where_they_move_a_tenth_less_with_the_price_so(self, share, reading, tmp_path):
        """The price rises and falls by 1 %, the value by a share of the same, so it moves less against the next bar."""
        turns = np.where(np.arange(COUNT) % 2, 0.01, -0.01)
        price = 100 * np.exp(np.cumsum(turns))
        bars = klines(open=price, high=price, low=price, close=price)
        value = 1e6 * np.exp(np.cumsum(share * turns))
        usd = pd.DataFrame({"ts": bars["ts"], "open_interest_value": value})

        found = read(tmp_path, bars, usd)

        assert found.notes[1] == (
            f"open interest in USD, stamped with the {reading} (value / price moves {100 * (1 - share):.1f} bp a step "
            f"read as instants, {100 * (1 + share):.1f} bp as starts)"
        )
        assert minutes(found)[0] == (5 if reading == "instant" else 10)

    def test_usd_of_another_time_and_files_without_any_are_refused(self, tmp_path: Path) -> None:
        usd = pd.DataFrame({"ts": clock(1000, 1010, 1020), "open_interest_value": 1e6})
        with pytest.raises(NoData, match=r"interest\.parquet has no time in common with the klines"):
            read(tmp_path, klines(), usd)
        with pytest.raises(LiqError, match=r"has no open interest, only ts, x\. Expected: open_interest \(contracts\)"):
            read(tmp_path, klines(), usd.rename(columns={"open_interest_value": "x"}))
        for name in ("open_interest_value_open", "open_interest_value_close"):
            with pytest.raises(LiqError, match="has no open interest, only ts"):
                read(tmp_path, klines(), usd.rename(columns={"open_interest_value": name}))
