"""Which forced orders are judged, by which bars and brackets, and how that is kept: a few orders by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import LiqError
from liq_pipeline.model.alignment import MarketData
from liq_pipeline.model.bracket_evidence import BracketTest
from liq_pipeline.model.margin import Brackets
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.validation import brackets
from liq_pipeline_tests.validation.test_truth_by_hand import MINUTE, at


class TestOrders:
    HISTORY = (
        Brackets(np.datetime64("2025-01-01"), np.array([0.0, 1000]), np.array([0.1, 0.2]), np.array([0.0, 100]),
                 np.array([9.0, 4])),
        Brackets(np.datetime64("2026-02-10"), np.array([0.0]), np.array([0.25]), np.array([0.0]), np.array([4.0])),
    )  # fmt: skip

    @pytest.fixture
    def judged(self, monkeypatch) -> list[Any]:
        """Each call's arguments; two tables, the second in force from 10 February 2026 on."""
        given: list[Any] = []

        def epochs(symbol: str, ts: np.ndarray) -> Any:
            return (ts >= np.datetime64("2026-02-10")).astype(int), self.HISTORY

        monkeypatch.setattr(brackets, "bracket_epochs", epochs)
        monkeypatch.setattr(brackets, "judge_brackets", lambda *columns: given.append(columns) or "judged")
        monkeypatch.setattr(brackets, "score_price_levels", lambda *columns: given.append(columns) or "scored")
        monkeypatch.setattr(brackets, "walk", lambda *_: "walked")
        return given

    @staticmethod
    def orders(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["ts", "side", "price", "quantity"])
        return frame.assign(ts=pd.to_datetime(frame["ts"], format="ISO8601"))

    def evidence(self, orders: pd.DataFrame, first: str, days: int, width: int = 24 * 60) -> Any:
        ts = np.datetime64(first, "us") + np.arange(1, days + 1) * np.timedelta64(1, "D")
        low = 10.0 + np.arange(days)
        return brackets.evidence_of(orders, "X", ts, low, 1000 + low, width * MINUTE)

    def test_orders_of_the_last_thirty_days_within_the_first_bracket_are_judged_by_their_bar(self, judged) -> None:
        orders = self.orders(
            ("2025-12-02 12:00", "SELL", 1.0, 1.0),  # a moment more than thirty days before the newest
            ("2025-12-02 12:01", "SELL", 500.0, 2.0),
            ("2025-12-20 00:00", "BUY", 500.0, 2.1),  # above the first bracket
            ("2025-12-25 00:00", "BUY", 400.0, 2.0),
            ("2026-01-01 12:01", "SELL", 300.0, 1.0),
            ("2026-01-20 00:00", "SELL", 300.0, 1.0),  # after the bars
        )
        assert self.evidence(orders, "2025-12-01", 32) == "judged"
        is_long, price, low, high, days, rate = judged[0]
        assert is_long.tolist() == [True, False, True]
        assert price.tolist() == [500, 400, 300]
        assert low.tolist() == [11, 34, 41]  # midnight begins a day
        assert high.tolist() == [1011, 1034, 1041]
        np.testing.assert_allclose(days, [0, 22 + (12 * 60 - 1) / 1440, 30])
        assert rate == 0.1

    def test_of_a_newer_table_only_orders_of_its_own_time_are_judged_whatever_their_size(self, judged) -> None:
        orders = self.orders(("2026-02-09 23:59", "SELL", 1.0, 1.0), ("2026-02-10", "BUY", 5000.0, 9.0),
                             ("2026-02-12", "SELL", 2.0, 1.0))  # fmt: skip
        self.evidence(orders, "2026-02-01", 20)
        assert (judged[0][1].tolist(), judged[0][5]) == ([5000.0, 2.0], 0.25)

    def test_orders_outside_the_bars_or_all_too_large_are_not_judged(self, judged) -> None:
        inside = ("2025-12-02 12:00", "SELL", 1000.0, 1.5)
        assert self.evidence(self.orders(inside), "2025-12-01", 10) is None
        assert self.evidence(self.orders(("2025-12-15", "SELL", 1.0, 1.0)), "2025-12-01", 10) is None
        # Bars of an hour until each midnight: in the hour, at its begin, and before it.
        for hour, known in (("23:30", True), ("23:00", True), ("22:59", False)):
            some = self.orders((f"2025-12-02 {hour}", "SELL", 1.0, 1.0), ("2025-12-05 12:00", "SELL", 1.0, 1.0))
            assert (self.evidence(some, "2025-12-01", 10, width=60) is not None) == known

    def test_triggers_are_the_prices_at_which_the_margin_was_used_up(self, judged) -> None:
        ts = np.datetime64("2026-02-08", "us") + np.arange(1, 4) * np.timedelta64(1, "D")
        ones = np.ones(3)
        data = MarketData(WalkInput(ts, ones, ones, ones, ones, ones, ones), ones, ones > 0, np.timedelta64(1, "D"))
        inputs: Any = type("Read", (), {"data": data})
        orders = self.orders(("2026-02-07 23:59", "SELL", 90.0, 1.0), ("2026-02-08", "SELL", 90.0, 1.0),
                             ("2026-02-09 01:00", "BUY", 110.0, 1.0), ("2026-02-10", "SELL", 90.0, 1.0),
                             ("2026-02-10 05:00", "BUY", 110.0, 1.0), ("2026-02-11", "SELL", 90.0, 1.0))  # fmt: skip
        assert brackets.price_levels_of(orders, inputs, "X", "parameters") == "scored"  # type: ignore[arg-type]
        walked, read, is_long, trigger, bar = judged[0]
        assert (walked, read) == ("walked", data)
        assert is_long.tolist() == [True, False, True, False]
        np.testing.assert_allclose(trigger, [90 / 0.9, 110 / 1.1, 90 / 0.75, 110 / 1.25])
        assert bar.tolist() == [0, 1, 2, 2]
        assert brackets.price_levels_of(orders.iloc[-1:], inputs, "X", "p") is None  # type: ignore[arg-type]

    def test_verdicts_are_kept_by_source_and_a_file_that_lacks_one_is_damaged(self, tmp_path: Path) -> None:
        test = BracketTest(9, 0.4, 0.5, Estimate(0.9, 0.85, 0.95), 0.75, [(0.4, 0.5)])
        brackets.write_tests(tmp_path, "X", {})
        brackets.write_tests(tmp_path, "X", {"a": test, "b": None})
        place = tmp_path / "validation" / "X" / "brackets.json"
        assert place.read_text().startswith(
            '{\n  "a": {\n    "said": "maintenance margin 0.4 %: the trigger of 50.0% of 9'
        )
        assert place.read_text().endswith("}\n")
        found = brackets.read_tests(tmp_path, "X")
        assert [one["agrees"] for one in found.values()] == [False, True]
        for lacking in ({"said": ""}, {"agrees": True}):
            place.write_text(json.dumps(found | {"c": lacking}))
            with pytest.raises(LiqError, match="it lacks what was said"):
                brackets.read_tests(tmp_path, "X")
        place.write_text(json.dumps({"c": {"said": "", "agrees": True}}))
        assert brackets.read_tests(tmp_path, "X") == {"c": {"said": "", "agrees": True}}

    def test_a_file_with_just_the_columns_that_are_needed_holds_orders(self, tmp_path: Path) -> None:
        table = pd.DataFrame({"ts": at(5, 1, 3, 4), "side": ["sell", "Buy", "SELL", "SELL"], "price": [1.0, 2, 3, 0],
                              "average_price": 9.0, "quantity": [4.0, 5, -1, 6]})  # fmt: skip
        table.to_csv(tmp_path / "o.csv", index=False)
        found = brackets.forced_orders_in(tmp_path / "o.csv", "BTCUSDT")
        assert found[["side", "price", "quantity"]].to_numpy().tolist() == [["BUY", 2, 5], ["SELL", 1, 4]]
        table.assign(symbol=["btcusdt", "ETHUSDT", "BTCUSDT", "BTCUSDT"]).to_csv(tmp_path / "o.csv", index=False)
        assert brackets.forced_orders_in(tmp_path / "o.csv", "BTCUSDT")["price"].tolist() == [1]
        assert brackets.forced_orders_in(tmp_path, "BTCUSDT") is None
