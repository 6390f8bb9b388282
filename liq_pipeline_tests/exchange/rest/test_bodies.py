"""Bodies of REST, field by field: what is read of a row, which shapes are refused, and how far a number may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liq_pipeline.exchange.formats import RATIOS
from liq_pipeline.exchange.rest_rows import (
    SymbolFacts,
    WrongShape,
    kline_rows,
    open_interest_rows,
    symbol_facts,
    windows,
)

STAMP = 1782432000000  # 2026-06-26 00:00 UTC, in milliseconds
BEGIN = datetime(2026, 6, 26, tzinfo=UTC)
NOON = BEGIN + timedelta(hours=12)


def snapshot(minutes: float = 0, contracts: Any = "3.5", value: Any = "350", **more: Any) -> dict[str, Any]:
    row = {"symbol": "XUSDT", "sumOpenInterest": contracts, "sumOpenInterestValue": value}
    return row | {"timestamp": STAMP + round(60_000 * minutes)} | more


def bar(minutes: int = 0, *, width: int = 15) -> list[Any]:
    begin = STAMP + 60_000 * minutes
    return [begin, "5", "11", "3", "7", "13", begin + width * 60_000 - 1, "91", 17, "2", "14", "0"]


class TestOpenInterest:
    def test_is_read_with_its_stamps_on_the_grid_and_as_they_were(self) -> None:
        body = [
            snapshot(5, "4", 0.5),
            snapshot(-0.5, "0", "7", more="ignored"),
            snapshot(10, -1, 9),
            snapshot(15, 2, 0),
        ]
        table, notes = open_interest_rows(body, "XUSDT")
        assert notes == {"reordered_rows": 1, "bad_prints": 2}
        assert [
            [row[name] for name in ("ts", "create_time", "open_interest", "open_interest_value_usd")]
            for row in table.to_pylist()
        ] == [
            [BEGIN, BEGIN - timedelta(seconds=30), None, 0],
            [BEGIN + timedelta(minutes=5)] * 2 + [4, 0.5],
            [BEGIN + timedelta(minutes=10)] * 2 + [None, 9],
            [BEGIN + timedelta(minutes=15)] * 2 + [2, None],
        ]
        first = table.to_pylist()[0]
        assert {first[name] for name in (*RATIOS, "file_date")} == {None}
        assert (first["symbol"], first["source"]) == ("XUSDT", "rest")

    def test_of_one_stamp_is_read_once_if_it_says_the_same(self) -> None:
        table, notes = open_interest_rows([snapshot(), snapshot()], "XUSDT")
        assert (table.num_rows, notes) == (1, {"duplicate_rows": 1})

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (7, "row 1 is 7, not an object with symbol, sumOpenInterest, sumOpenInterestValue, timestamp"),
            (
                list(snapshot()),
                "row 1 is ['symbol', 'sumOpenInterest', 'sumOpenInterestValue', 'timestamp'], not an object with "
                "symbol, sumOpenInterest, sumOpenInterestValue, timestamp",
            ),
            (
                {name: value for name, value in snapshot().items() if name != "timestamp"},
                "row 1 is {'symbol': 'XUSDT', 'sumOpenInterest': '3.5', 'sumOpenInterestValue': '350'}, not an object "
                "with symbol, sumOpenInterest, sumOpenInterestValue, timestamp",
            ),
            (snapshot(symbol="YUSDT"), "row 1 is of 'YUSDT', not XUSDT"),
            (snapshot(symbol=["Y" * 79]), "row 1 is of ['" + "Y" * 75 + "..., not XUSDT"),
            (snapshot(symbol="Y" * 78), "row 1 is of '" + "Y" * 78 + "', not XUSDT"),
            (snapshot(symbol="Y" * 79), "row 1 is of '" + "Y" * 76 + "..., not XUSDT"),
            (snapshot(minutes=61 / 60), "row 1 is not within 60 s of the 5-minute grid"),
            (snapshot(contracts="inf"), "row 1 has no finite sumOpenInterest"),
            (snapshot(value="1_0"), "row 1 has '1_0' as sumOpenInterestValue, not a number"),
            (snapshot(value=True), "row 1 has True as sumOpenInterestValue, not a number"),
            (snapshot(value=None), "row 1 has None as sumOpenInterestValue, not a number"),
            (snapshot(value=["_"]), "row 1 has ['_'] as sumOpenInterestValue, not a number"),
            (snapshot(value=10**400), "row 1 has 1000000"),
            (snapshot(contracts="4"), "two rows of one stamp have different values"),
        ],
    )  # fmt: skip
    def test_of_another_shape_is_refused_with_what_was_read(self, row: Any, said: str) -> None:
        with pytest.raises(WrongShape) as refused:
            open_interest_rows([snapshot(), row], "XUSDT")
        assert str(refused.value).startswith(said)
        assert str(refused.value) == said or said.endswith("00")

    @pytest.mark.parametrize("body", [{}, None, "rows", {"rows": []}], ids=str)
    def test_that_is_no_list_is_refused(self, body: Any) -> None:
        with pytest.raises(WrongShape, match="not a list of rows"):
            open_interest_rows(body, "XUSDT")

    @pytest.mark.parametrize(
        ("stamp", "is_read"),
        [
            (10**11 - 1, False), (10**11 + 200_000, True), (10**14 - 100_000, True), (10**14 + 200_000, False),
            (str(STAMP), True), (f"{STAMP:020d}", True), (f"{STAMP:021d}", False), (f" {STAMP}", False),
            (float(STAMP), False), (True, False), (None, False), ("", False), (f"-{STAMP}", False), ([STAMP], False),
        ],
        ids=repr,
    )  # fmt: skip
    def test_has_a_stamp_in_milliseconds_as_a_number_or_its_digits(self, stamp: Any, is_read: bool) -> None:
        if is_read:
            assert open_interest_rows([snapshot(timestamp=stamp)], "XUSDT")[0].num_rows == 1
        else:
            with pytest.raises(WrongShape, match="not milliseconds since 1970"):
                open_interest_rows([snapshot(timestamp=stamp)], "XUSDT")

    @pytest.mark.parametrize("stamp", [10**11, 10**14], ids=["1973", "5138"])
    def test_at_either_end_of_milliseconds_is_none_of_another_unit(self, stamp: int) -> None:
        with pytest.raises(WrongShape, match="5-minute grid"):
            open_interest_rows([snapshot(timestamp=stamp)], "XUSDT")


class TestBars:
    def test_are_read_by_the_instant_at_which_they_close(self) -> None:
        table, notes = kline_rows([bar(), bar(15), bar(30)[:11]], "XUSDT", "15m", BEGIN + timedelta(minutes=45))
        assert notes == {}
        assert table["ts"].to_pylist() == [BEGIN + timedelta(minutes=15 * (1 + n)) for n in range(3)]
        assert table.to_pylist()[1] == {
            "symbol": "XUSDT", "ts": BEGIN + timedelta(minutes=30), "open_time": BEGIN + timedelta(minutes=15),
            "open": 5, "high": 11, "low": 3, "close": 7, "volume": 13, "quote_volume": 91, "trade_count": 17,
            "taker_buy_volume": 2, "taker_buy_quote_volume": 14, "source": "rest",
        } | {name: None for name in table.column_names if name == "file_date"}  # fmt: skip

    @pytest.mark.parametrize(
        ("after", "closed"), [(timedelta(microseconds=-1), 1), (timedelta(), 2), (timedelta(seconds=1), 2)]
    )
    def test_that_close_later_are_still_open(self, after: timedelta, closed: int) -> None:
        table, notes = kline_rows([bar(), bar(15)], "XUSDT", "15m", BEGIN + timedelta(minutes=30) + after)
        assert table.num_rows == closed
        assert notes == ({"open_bars_dropped": 1} if closed == 1 else {})

    @pytest.mark.parametrize("row", [{}, "x" * 12, bar()[:10], None], ids=["object", "text", "ten cells", "null"])
    def test_of_another_shape_are_refused(self, row: Any) -> None:
        with pytest.raises(WrongShape, match=r"^row 1 is .*, not a list of 12$"):
            kline_rows([bar(), row], "XUSDT", "15m", NOON)

    @pytest.mark.parametrize("odd", [bar(20), bar(15, width=5)], ids=["off the grid", "narrow"])
    def test_one_that_is_off_is_enough_to_refuse_all(self, odd: list[Any]) -> None:
        with pytest.raises(WrongShape, match="a bar is not one of 15m on its grid"):
            kline_rows([bar(), odd], "XUSDT", "15m", NOON)


def listed(**limit: Any) -> dict[str, Any]:
    of_weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "limit": 2400, "intervalNum": 1} | limit
    facts = {"symbol": "XUSDT", "status": "TRADING", "contractType": "PERPETUAL", "onboardDate": STAMP + 1}
    return {"rateLimits": [of_weight], "symbols": [facts]}


class TestSymbols:
    def test_come_with_when_they_were_listed(self) -> None:
        onboarded = datetime(2026, 6, 26, 0, 0, 0, 1000, tzinfo=UTC)
        assert symbol_facts(listed())[0] == {"XUSDT": SymbolFacts("TRADING", "PERPETUAL", onboarded)}

    @pytest.mark.parametrize(
        ("limit", "weight"),
        [
            ({}, 2400), ({"intervalNum": 5}, 480), ({"limit": "7", "intervalNum": "2"}, 3), ({"limit": 1}, 1),
            ({"limit": 10**9 - 1}, 10**9 - 1), ({"interval": "DAY"}, None), ({"rateLimitType": "ORDERS"}, None),
        ],
        ids=str,
    )  # fmt: skip
    def test_and_the_limit_of_weight_per_minute(self, limit: dict, weight: int | None) -> None:
        assert symbol_facts(listed(**limit))[1] == weight

    @pytest.mark.parametrize("limit", [{"limit": 0}, {"limit": 10**9}, {"limit": -1}, {"intervalNum": 0}], ids=str)
    def test_a_limit_that_cannot_be_is_refused(self, limit: dict) -> None:
        with pytest.raises(WrongShape, match="symbols and limits that cannot be read"):
            symbol_facts(listed(**limit))

    @pytest.mark.parametrize("name", ["symbol", "status", "contractType"])
    def test_names_that_are_no_text_are_refused(self, name: str) -> None:
        body = listed()
        body["symbols"][0][name] = 5
        with pytest.raises(WrongShape, match=r"TypeError: 5 is no text"):
            symbol_facts(body)


def test_windows_are_of_a_width_and_the_last_one_of_what_is_left() -> None:
    days = [datetime(2026, 6, day, tzinfo=UTC) for day in range(1, 9)]
    of_three = timedelta(days=3)
    assert windows(days[0], days[7], of_three) == [(days[0], days[3]), (days[3], days[6]), (days[6], days[7])]
    assert windows(days[0], days[6], of_three) == [(days[0], days[3]), (days[3], days[6])]
    assert windows(days[0], days[0], of_three) == windows(days[1], days[0], of_three) == []
