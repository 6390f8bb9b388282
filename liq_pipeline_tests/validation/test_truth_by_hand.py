"""Tables of truth, stamps and forced orders: a few rows, each number and each limit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import FormatError, LiqError, NoData, SettingsError
from liq_pipeline.exchange.quirks import LARGEST
from liq_pipeline.exchange.recorded import Batch, Connected, RecordingFolder, Reject
from liq_pipeline.model.alignment import MarketData, StampVerdict
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.validation import command, files, packed, recorded, truth
from liq_pipeline.validation.files import bar_width, instants_of, positive_series, read_frame
from liq_pipeline.validation.truth import TruthRows, truth_of, truth_rows, with_sides

DAY = np.datetime64("2026-03-01", "us")
MINUTE = np.timedelta64(1, "m")


def at(*minutes: float) -> np.ndarray:
    return DAY + (np.array(minutes) * 60_000_000).astype("timedelta64[us]")


def market(count: int = 6, minutes: int = 5) -> MarketData:
    """Bars until 00:05, 00:10, ..."""
    ones = np.ones(count)
    ts = at(*(minutes * (1 + np.arange(count))))
    return MarketData(WalkInput(ts, ones, ones, ones, ones, ones, ones), ones, ones > 0, minutes * MINUTE)


def rows_in(folder: Path, table: dict[str, Any], name: str = "t.parquet") -> TruthRows:
    pd.DataFrame(table).to_parquet(folder / name, index=False)
    return truth_rows(folder / name, "BTCUSDT")


class TestStamps:
    @pytest.mark.parametrize(
        ("text", "minutes"),
        [("5m", 5), ("1h", 60), (" 12H ", 720), ("0m", None), ("0h", None), ("5", None), ("5s", None)],
    )  # fmt: skip
    def test_a_width_is_minutes_or_hours(self, text: str, minutes: int | None) -> None:
        if minutes is None:
            with pytest.raises(LiqError, match="is not the width of a bar"):
                bar_width(text)
        else:
            assert bar_width(text) == minutes

    @pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
    def test_numbers_are_read_by_their_size(self, unit: str, per_second: int) -> None:
        seconds = np.array([1_230_768_000, 1_772_323_200, 4_102_444_799])  # from 2009 until just before 2100
        frame = pd.DataFrame({"ts": seconds * per_second})
        found, name = instants_of(frame, Path("x"))
        assert name == "ts"
        assert found.tolist() == [pd.Timestamp(one, unit="s") for one in seconds.tolist()]

    def test_no_stamp_is_older_than_2009_or_of_2200(self) -> None:
        texts = ["2008-12-31T23:59:59.999999Z", "2009-01-01", "2199-12-31T23:59:59.999999", "2200-01-01", "x"]
        found, _ = instants_of(pd.DataFrame({"end": texts}), Path("x"))
        assert found.isna().tolist() == [True, False, False, True, True]
        zoned = pd.Series(pd.to_datetime(["2026-03-01T02:00+02:00"] * 2))
        assert instants_of(pd.DataFrame({"date": zoned}), Path("x"))[0].tolist() == [pd.Timestamp("2026-03-01")] * 2
        found, _ = instants_of(pd.DataFrame({"time": [1e308, 1.7e9, 1.7e9]}), Path("x"))
        assert found.isna().tolist() == [True, False, False]

    def test_three_values_make_a_series_and_two_do_not(self) -> None:
        stamps = pd.Series(pd.to_datetime(["2026-03-03", "2026-03-01", "2026-03-02", "2026-03-01", None]))
        found = positive_series(stamps, pd.Series([3, 1, 2, 5, 9]))
        assert found.tolist() == [5, 2, 3]  # by time, the last of equal stamps
        with pytest.raises(NoData, match="2 usable values"):
            positive_series(stamps[:2], pd.Series([3, 1]))

    def test_a_table_is_taken_up_to_its_largest_size(self, tmp_path: Path, monkeypatch) -> None:
        for name in ("t.PQ", "t.Parquet"):
            table = pd.DataFrame({"A ": [10, 20, 30], "b": [4, 5, 6], "c": [7, 8, 9]})
            table.set_index("A ").to_parquet(tmp_path / name)  # even distances: pandas keeps no column of them
            monkeypatch.setattr(files, "MOST_CELLS", 6)
            monkeypatch.setattr(files, "MOST_COLUMNS", 2)
            assert read_frame(tmp_path / name).to_dict("list") == table.rename(columns={"A ": "a"}).to_dict("list")
            monkeypatch.setattr(files, "MOST_CELLS", 5)
            with pytest.raises(FormatError, match="holds 6 cells"):
                read_frame(tmp_path / name)
            monkeypatch.setattr(files, "MOST_CELLS", 6)
            monkeypatch.setattr(files, "MOST_COLUMNS", 1)
            with pytest.raises(FormatError, match="it has 2 columns, more than 1"):
                read_frame(tmp_path / name)

    @pytest.mark.parametrize("kind", ["gz", "zip", "tar"])
    def test_what_inflates_to_just_the_limit_is_read(self, kind: str, tmp_path: Path) -> None:
        from liq_pipeline_tests.validation.test_files import CSV, PACK

        path = tmp_path / f"a.csv.{kind}"
        path.write_bytes(PACK[kind](CSV))
        assert packed.inflate(path, len(CSV)) == CSV
        with pytest.raises(FormatError, match="inflates to more than"):
            packed.inflate(path, len(CSV) - 1)


class TestRows:
    def test_sums_are_read_by_time_and_what_cannot_be_is_unknown(self, tmp_path: Path) -> None:
        found = rows_in(tmp_path, {
            "close_time": at(30, 15, 45, 45, 60, 75), "long_usd": [2, 1, 7, 3, -1, 2 * LARGEST],
            "short_usd": [0, LARGEST, 8, None, None, 9],
        })  # fmt: skip
        np.testing.assert_array_equal(found.at, at(15, 30, 45, 75))
        np.testing.assert_array_equal(found.usd, [[1, LARGEST], [2, 0], [3, np.nan], [np.nan, 9]])
        assert (found.column, found.step, found.is_events) == ("close_time", 15 * MINUTE, False)
        assert (found.is_recorded, found.covered) == (False, None)

    @pytest.mark.parametrize(
        ("minutes", "is_events"),
        [([0, 5, 10, 17, 23], False),  # two of four distances are the usual one
         ([0, 5, 10, 17, 23, 24], True), ([0, 0, 0, 5], True), ([0, 5, 10], False)],
    )  # fmt: skip
    def test_stamps_that_do_not_follow_each_other_are_events(self, minutes, is_events: bool, tmp_path: Path) -> None:
        usd = np.arange(1.0, len(minutes) + 1)
        usd[-1] = np.nan
        found = rows_in(tmp_path, {"ts": at(*minutes), "long_usd": usd, "short_usd": 1.0})
        assert found.is_events is is_events
        assert found.at.size == (len(minutes) if is_events else len(set(minutes)))
        assert (found.usd[-1, 0] == 0) == is_events

    def test_three_rows_are_enough_and_each_side_is_needed(self, tmp_path: Path) -> None:
        table = {"ts": at(0, 5, 10), "long_usd": [1.0, 2, 3], "short_usd": [1.0, 2, None]}
        assert rows_in(tmp_path, table).at.size == 3
        with pytest.raises(NoData, match="has 2 usable rows"):
            rows_in(tmp_path, {name: column[:2] for name, column in table.items()})
        for name in ("long_usd", "short_usd"):
            with pytest.raises(LiqError, match="lacks long_usd or short_usd"):
                rows_in(tmp_path, {other: column for other, column in table.items() if other != name})

    def test_a_folder_of_parquet_files_is_one_table(self, tmp_path: Path) -> None:
        for number in (2, 1):
            rows = {"ts": at(10 * number, 10 * number + 5), "long_usd": [number, 5.0], "short_usd": 0.0}
            (tmp_path / f"x{number}").mkdir()
            pd.DataFrame(rows).to_parquet(tmp_path / f"x{number}" / "a.parquet", index=False)
        found = truth_rows(tmp_path, "BTCUSDT")
        assert found.usd[:, 0].tolist() == [1, 5, 2, 5]

    @pytest.mark.parametrize(
        ("columns", "longs", "shorts"),
        [
            ({"average_price": [2.0, 3], "price": [9.0, 9], "filled_quantity": [5.0, 7], "quantity": [9.0, 9]},
             [10, 0], [0, 21]),
            ({"price": [2.0, 3], "accumulated_fill_quantity": ["5", "7"], "quantity": [9.0, 9]}, [10, 0], [0, 21]),
            ({"price": [2.0, 3], "quantity": [5.0, 7]}, [10, 0], [0, 21]),
            ({"price": [2.0, 3]}, None, None),
            ({"quantity": [2.0, 3]}, None, None),
            ({"price": [2.0, 3], "quantity": [5.0, 7], "long_usd": [1.0, 1]}, None, None),
        ],
    )  # fmt: skip
    def test_orders_are_worth_their_price_times_what_was_filled(self, columns, longs, shorts) -> None:
        frame = pd.DataFrame({"side": ["sell", "BUY"]} | columns)
        found = with_sides(frame)
        if longs is None:
            assert found is frame
        else:
            assert (found["long_usd"].tolist(), found["short_usd"].tolist()) == (longs, shorts)
        assert with_sides(frame.drop(columns="side")) is not None
        assert "short_usd" not in with_sides(frame.drop(columns="side"))


class TestEnds:
    ROWS = TruthRows(at(10, 20, 30), np.array([[1.0, 2], [3, 4], [5, 6]]), "ts", 10 * MINUTE, False, False, None)

    def verdict(self, monkeypatch, *fits: tuple[float, float]) -> list[Any]:
        """Let `which_end` find these fits (start, end), one call after another; return what it is asked."""
        asked, left = [], iter(fits)

        def which(data: MarketData, found: Any) -> StampVerdict:
            asked.append((data, found))
            start, end = next(left)
            return StampVerdict(start >= end, start, end)

        monkeypatch.setattr(truth, "which_end", which)
        return asked

    @pytest.mark.parametrize(
        ("now", "later", "is_opening"),
        [((0.1, 0.3), (0.351, 0.2), True), ((0.3, 0.1), (0.1, 0.351), True), ((0.25, 0.1), (0.3, 0.1), False),
         ((0.1, 0.3), (0.34, 0.2), False), ((0.9, 0.1), (0.2, 0.8), False)],
    )  # fmt: skip
    def test_bars_a_bar_later_must_fit_clearly_better(self, now, later, is_opening, monkeypatch) -> None:
        asked = self.verdict(monkeypatch, now, later)
        assert truth.names_opening(market(), self.ROWS) is is_opening
        first, second = (data.walk_input.ts for data, _ in asked)
        assert np.array_equal(second, first + 5 * MINUTE)
        assert asked[0][1].long_usd.tolist() == [1, 3, 5]
        assert asked[0][1].short_usd.tolist() == [2, 4, 6]

    @pytest.mark.parametrize(
        ("column", "stamp", "fits", "named"),
        [("ts", "auto", (0.3, 0.1), "start"), ("ts", "auto", (0.1, 0.3), "end"), ("ts", "start", (0.1, 0.3), "start"),
         ("ts", "end", (0.3, 0.1), "end"), ("close_time", "auto", (0.3, 0.1), "end"),
         ("end", "auto", (0.3, 0.1), "end"), ("end_time", "auto", (0.3, 0.1), "end"),
         ("open_time", "auto", (0.1, 0.3), "start"),
         ("start", "auto", (0.1, 0.3), "start"), ("start_time", "auto", (0.1, 0.3), "start")],
    )  # fmt: skip
    def test_an_end_is_named_by_an_option_else_the_column_else_the_data(self, column, stamp, fits, named, monkeypatch):
        self.verdict(monkeypatch, fits)
        notes: list[str] = []
        rows = TruthRows(self.ROWS.at, self.ROWS.usd, column, self.ROWS.step, False, False, None)
        found = truth_of(rows, market(), stamp, notes)
        assert np.array_equal(found.end, at(10, 20, 30) + (10 * MINUTE if named == "start" else 0 * MINUTE))
        assert notes == [
            f"truth stamps name the {named} of their 10 minutes (rank correlation of adverse move and liquidations: "
            f"{fits[0]:.3f} read as start, {fits[1]:.3f} as end)"
        ]


class TestRecording:
    BEGUN = datetime(2026, 3, 1, tzinfo=UTC)

    def covered(self, folder: Path, stretches: list[tuple[float, float]], rejects: tuple[float, ...] = ()) -> Any:
        from liq_pipeline.exchange.forced_orders import parse_message

        def when(minute: float) -> datetime:
            return self.BEGUN + timedelta(minutes=minute)

        event = when(7)
        millis = int(event.timestamp() * 1000)
        order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2", "p": "100", "ap": "101",
                 "X": "FILLED", "l": "2", "z": "2", "T": millis}  # fmt: skip
        message = json.dumps({"e": "forceOrder", "E": millis, "o": order})
        with RecordingFolder(folder) as kept:
            kept.write(Batch([parse_message(message, ("BTCUSDT",), event)],
                             [Connected(when(since), when(until), ("BTCUSDT",)) for since, until in stretches],
                             rejects=[Reject(when(one), "not JSON", "") for one in rejects]))  # fmt: skip
        return recorded.read_recording(folder, "BTCUSDT")

    def test_a_message_that_was_not_understood_cuts_a_stretch_inside_but_not_at_its_ends(self, tmp_path: Path) -> None:
        _, (since, until) = self.covered(tmp_path, [(0, 20), (30, 50)], (0, 5, 5, 20, 25, 30, 45, 50, 60))
        np.testing.assert_array_equal(since, at(0, 5, 30, 45))
        np.testing.assert_array_equal(until, at(5, 20, 45, 50))

    @pytest.mark.parametrize(("until", "ends"), [(15 + 2 / 60, [5, 10, 15]), (15 + 1.9 / 60, [5, 10])])
    def test_the_last_two_seconds_of_a_stretch_are_not_known_yet(self, until, ends, tmp_path: Path) -> None:
        frame, covered = self.covered(tmp_path, [(0, until)])
        usd = with_sides(frame)[["long_usd", "short_usd"]].to_numpy(float)
        notes: list[str] = []
        found = recorded.truth_of_recording(at(7), usd, covered, market(), notes)
        np.testing.assert_array_equal(found.end, at(*ends))
        assert found.long_usd.tolist() == [0, 202, 0][: len(ends)]
        assert notes[1].startswith("truth: 1 recorded orders; covered for 0.3 hours in 1 stretches (a pause ends one, ")
        assert notes[1].endswith(f"the {6 - len(ends)} of 6 bars not covered whole are unknown and left out")
        assert len(notes) == 2


def test_each_source_is_scored_once_and_one_that_fails_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    def run(klines: Path, interest: Path, file: Path, bar: str, symbol: str, *, out: Path) -> Any:
        if file.stem in ("bad", "worse"):
            raise LiqError("no good") if file.stem == "bad" else ZeroDivisionError("by zero")
        return out

    monkeypatch.setattr(command, "run_validation", run)
    said: list[str] = []
    names = [Path(name) for name in ("a.csv", "bad.csv", "a.parquet", "worse.csv", "b.csv")]
    found, failures = command.score_sources(Path("k"), Path("o"), names, "5m", "X", tmp_path, said.append)

    assert found == {name: tmp_path / "validation" / "X" / name[0] for name in ("a.csv", "b.csv")}
    assert said == [f"X: scoring against {name}, {number} of 5" for number, name in enumerate(map(str, names), 1)]
    assert failures["a"].startswith("a.parquet: not scored: a.parquet has the name of another source")
    assert failures["bad"].startswith("bad.csv: not scored: no good")
    assert failures["worse"] == "worse.csv: not scored: ZeroDivisionError: by zero"


@pytest.mark.parametrize("option", ["kline_stamp", "truth_stamp", "open_interest_stamp"])
def test_each_stamp_must_be_one_of_three(option: str) -> None:
    with pytest.raises(
        SettingsError, match=f"--{option.replace('_', '-')} 'middle' is not usable. Expected: one of auto, "
    ):
        command.run_validation(Path("k"), Path("o"), Path("l"), "5m", "X", **{option: "middle"})  # type: ignore[arg-type]
