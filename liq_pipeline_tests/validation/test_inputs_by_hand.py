"""A handful of bars, and every number that is read from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.quirks import LARGEST, SMALLEST
from liq_pipeline.validation import inputs
from liq_pipeline.validation.inputs import Inputs, read_inputs

DAY = pd.Timestamp("2026-03-01")
COUNT = 12


def clock(*minutes: float) -> pd.DatetimeIndex:
    return DAY + pd.to_timedelta(list(minutes), unit="min")


def klines(**columns: object) -> pd.DataFrame:
    """Twelve bars of five minutes, the first until 00:05."""
    close = np.array([100.0, 103, 101, 107, 113, 109, 127, 131, 137, 139, 149, 151])
    opened = np.array([100.0, 101, 104, 103, 107, 114, 110, 128, 131, 138, 140, 150])
    table = {
        "ts": clock(*(5 * np.arange(1, COUNT + 1))), "open": opened, "high": np.maximum(opened, close) + 3,
        "low": np.minimum(opened, close) - 7, "close": close, "volume": np.arange(1.0, COUNT + 1),
    }  # fmt: skip
    return pd.DataFrame(table | columns)


def interest(**columns: object) -> pd.DataFrame:
    """Contracts every ten minutes, from 00:10 to 00:50."""
    return pd.DataFrame({"ts": clock(10, 20, 30, 40, 50), "open_interest": [1000.0, 1100, 1050, 1300, 1200]} | columns)


def truth() -> pd.DataFrame:
    return pd.DataFrame({"end": clock(15, 30, 45, 60), "long_usd": [1.0, 2, 3, 4], "short_usd": [5.0, 6, 7, 8]})


def read(folder: Path, bars: pd.DataFrame, contracts: pd.DataFrame, bar: int = 5, **options) -> Inputs:
    """Read the tables; Parquet keeps every bit of a number."""
    paths = [folder / f"{name}.parquet" for name in ("klines", "interest", "truth")]
    for path, table in zip(paths, (bars, contracts, truth()), strict=True):
        table.to_parquet(path, index=False)
    return read_inputs(*paths, bar_minutes=bar, symbol="BTCUSDT", **options)


def minutes(found: Inputs) -> list[float]:
    since = (found.data.walk_input.ts - DAY.to_datetime64()) / np.timedelta64(1, "m")
    return since.tolist()


def test_what_was_read_and_assumed_is_told_whole(tmp_path: Path) -> None:
    found = read(tmp_path, klines().drop(index=6), interest())

    bars = found.data.walk_input
    assert minutes(found) == [10, 15, 20, 25, 30, 40, 45, 50]
    assert found.data.known.tolist() == [True, False, True, False, True, True, False, True]
    assert found.data.open.tolist() == [101, 104, 103, 107, 114, 128, 131, 138]
    assert bars.volume.tolist() == [2, 3, 4, 5, 6, 8, 9, 10]
    typical = (bars.low + bars.high + bars.close) / 3
    assert np.array_equal(bars.entry_price, typical)
    share = [1000, 1000 + 100 * 3 / 7, 1100, 1100 - 50 * 5 / 11, 1050, 1300, 1300 - 100 * 9 / 19, 1200]
    np.testing.assert_allclose(bars.open_interest, share)
    assert found.open_interest_step == np.timedelta64(10, "m")
    assert found.notes == [
        "kline stamps: column 'ts', the closing instant of a bar",
        "open interest in contracts, stamped with the instant",
        "truth stamps name the end of their 15 minutes (rank correlation of adverse move and liquidations: 0.000 read "
        "as start, 0.000 as end); THE DATA DO NOT TELL CLEARLY",
    ]
    assert found.facts == {
        "bars": 8, "bar_minutes": 5.0, "first_bar": "2026-03-01T00:10:00.000000Z",
        "last_bar": "2026-03-01T00:50:00.000000Z", "holes_in_bars": 1, "open_interest_step_minutes": 10.0,
        "bars_with_own_open_interest": 5, "coverage_is_unknown": False, "truth_step_minutes": 15.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "stamp", "shift", "said"),
    [
        ("ts", "auto", 0, "closing instant"),
        ("ts", "start", 5, "start"),
        ("ts", "end", 0, "closing instant"),
        ("open_time", "auto", 5, "start"),
        ("open_time", "start", 5, "start"),
        ("open_time", "end", 0, "closing instant"),
    ],
)
def test_a_kline_stamp_names_the_end_that_its_name_or_an_option_says(name, stamp, shift, said, tmp_path) -> None:
    contracts = interest(ts=clock(*(5 * np.arange(1, 6))), open_interest=[1.0, 2, 3, 4, 5])
    found = read(tmp_path, klines().rename(columns={"ts": name}), contracts, kline_stamp=stamp)

    assert minutes(found) == list(range(5 + shift, 30, 5))
    assert found.data.walk_input.close[0] == 100
    assert f"kline stamps: column {name!r}, the {said} of a bar" in found.notes


def test_a_closing_millisecond_is_the_instant_after_it_but_for_a_plain_stamp_it_is_off_the_grid(tmp_path) -> None:
    early = klines()["ts"] - pd.Timedelta("1ms")
    assert minutes(read(tmp_path, klines(close_time=early).drop(columns="ts"), interest())) == list(range(10, 51, 5))

    some = klines()["ts"].mask(klines().index == 4, early)
    found = read(tmp_path, klines(ts=some), interest())
    assert minutes(found) == [10, 15, 20, 30, 35, 40, 45, 50]
    assert "1 bars off the grid of 5 minutes were left out" in found.notes


ODD = [
    {"open": 90.0, "low": 91.0},  # the low is not the lowest, by a hundredth
    {"open": 120.0, "high": 119.0},
    {"low": 0.0},
    {"low": SMALLEST / 2},
    {"high": 2 * LARGEST},
    {"close": np.nan},
]
FINE = [
    {"open": 113.0, "low": 113.0, "high": 113.0, "close": 113.0},
    {"low": SMALLEST},
    {"high": LARGEST},
]


@pytest.mark.parametrize(("cells", "is_kept"), [*((one, False) for one in ODD), *((one, True) for one in FINE)])
def test_a_bar_whose_prices_cannot_be_is_left_out_and_counted(cells: dict, is_kept: bool, tmp_path: Path) -> None:
    bars = klines()
    for name, value in cells.items():
        bars.loc[4, name] = value
    found = read(tmp_path, bars, interest())

    assert (25 in minutes(found)) == is_kept
    assert ("1 bars without usable prices were left out" in found.notes) != is_kept


@pytest.mark.parametrize(
    ("volume", "counted", "is_absurd"),
    [(0.0, 0, False), (LARGEST, LARGEST, False), (-1.0, 0, True), (2 * LARGEST, 0, True), (np.nan, 0, True)],
)
def test_a_volume_that_cannot_be_counts_as_none(volume: float, counted: float, is_absurd: bool, tmp_path: Path) -> None:
    bars = klines()
    bars.loc[4, "volume"] = volume
    found = read(tmp_path, bars, interest())

    assert found.data.walk_input.volume[minutes(found).index(25)] == counted
    said = "1 bars without a usable volume: counted as if nothing traded in them"
    assert (said in found.notes) == is_absurd


def test_the_price_of_entry_is_what_was_paid_per_contract_where_that_can_be(tmp_path: Path) -> None:
    bars = klines()
    volume, low, high, close = (bars[name].to_numpy() for name in ("volume", "low", "high", "close"))
    bars["quote_volume"] = volume * (close - 0.5)
    bars.loc[2, "volume"] = 0
    bars.loc[3, "quote_volume"] = 0
    bars.loc[4, "quote_volume"] = 2 * LARGEST
    bars.loc[5, "quote_volume"] = 1.0  # a price below the low
    bars.loc[6, "quote_volume"] = 7 * 500.0
    bars.loc[7, "quote_volume"] = LARGEST
    typical = (low + high + close) / 3
    wanted = [close[1] - 0.5, *typical[2:5], low[5], high[6], high[7], *(close[8:10] - 0.5)]

    np.testing.assert_allclose(read(tmp_path, bars, interest()).data.walk_input.entry_price, wanted)
    without = read(tmp_path, bars.drop(columns="volume"), interest())
    np.testing.assert_allclose(without.data.walk_input.entry_price, typical[1:10])


def test_without_volume_one_and_a_half_times_the_first_open_interest_trades_each_day(tmp_path: Path) -> None:
    for bars in (klines().drop(columns="volume"), klines(volume=0.0)):
        found = read(tmp_path, bars, interest())
        np.testing.assert_allclose(found.data.walk_input.volume, np.full(9, 1.5 * 1000 / 288))
        assert "klines without volume: a constant turnover of 1.5 × open interest a day" in found.notes
    np.testing.assert_allclose(found.data.walk_input.open_interest[:3], [1000, 1050, 1100])


def test_the_last_of_equal_stamps_counts_and_rows_need_no_order_and_no_open(tmp_path: Path) -> None:
    twice = pd.concat([klines(close=klines()["close"] + 1), klines(), klines(ts=pd.NaT)]).drop(columns="open")
    found = read(tmp_path, twice.iloc[::-1].sort_values("close", kind="stable").sort_index(kind="stable"), interest())

    assert minutes(found) == list(range(10, 51, 5))
    assert "klines without an open: the close before stands in" in found.notes
    found = read(tmp_path, klines().drop(columns="open"), interest(ts=clock(5, 10, 15, 20, 25)))
    assert found.data.open.tolist() == [100, 100, 103, 101, 107]


def test_of_a_folder_the_files_of_the_symbol_and_the_width_are_read(tmp_path: Path, monkeypatch) -> None:
    found: list[Any] = []

    def reads(table: pd.DataFrame) -> Any:
        rows = SimpleNamespace(table=SimpleNamespace(to_pandas=lambda: table))
        return lambda files, *more: found.append(([file.name for file in files], *more)) or rows

    monkeypatch.setattr(inputs, "read_klines", reads(klines(open_time=klines()["ts"]).drop(columns="ts")))
    monkeypatch.setattr(inputs, "read_open_interest", reads(interest(ts=clock(15, 20, 25, 30, 35))))
    truth().to_csv(tmp_path / "truth.csv", index=False)
    folder = tmp_path / "x" / "y"
    folder.mkdir(parents=True)

    def tried() -> Inputs:
        return read_inputs(tmp_path, tmp_path, tmp_path / "truth.csv", bar_minutes=5, symbol="BTCUSDT")

    for name in ("ETHUSDT-5m-2026-03-01.zip", "BTCUSDT-15m-2026-03-01.zip", "BTCUSDT-5m-2026-03-01.csv"):
        (folder / name).touch()
    with pytest.raises(LiqError, match="holds no BTCUSDT klines of 5 minutes"):
        tried()
    for name in ("BTCUSDT-5m-2026-03-02.zip", "BTCUSDT-5m-2026-03-01.zip", "ETHUSDT-metrics-2026-03-01.zip"):
        (folder / name).touch()
    with pytest.raises(LiqError, match="holds no BTCUSDT metrics"):
        tried()
    (folder / "BTCUSDT-metrics-2026-03-01.zip").touch()
    found.clear()

    read_in = tried()

    assert found == [(["BTCUSDT-5m-2026-03-01.zip", "BTCUSDT-5m-2026-03-02.zip"], "BTCUSDT", "5m"),
                     (["BTCUSDT-metrics-2026-03-01.zip"], "BTCUSDT")]  # fmt: skip
    assert minutes(read_in) == [15, 20, 25, 30, 35]
    assert read_in.notes[0] == "2 kline files of the archive; open_time + 5 minutes is the closing instant"


@pytest.mark.parametrize(("lacking", "said"), [(["low"], "low"), (["open", "close"], "open, close")])
def test_every_column_that_is_lacking_is_named(lacking: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(LiqError, match=f"lacks the columns {said}. Expected"):
        read(tmp_path, klines().drop(columns=lacking), interest())


def test_two_bars_with_open_interest_are_enough_and_one_is_not(tmp_path: Path) -> None:
    contracts = interest(ts=clock(10, 15, 20, 25, 30))
    assert minutes(read(tmp_path, klines().iloc[1:3], contracts)) == [10, 15]
    with pytest.raises(NoData, match="has 1 usable bars"):
        read(tmp_path, klines().iloc[1:2], contracts)
    with pytest.raises(NoData, match="no time in common"):
        read(tmp_path, klines().iloc[:2], contracts)


@pytest.mark.parametrize(
    ("every", "bar", "width"), [(1, 5, 5), (1, 15, 15), (1, 10, 10), (2, 15, 10), (3, 5, 15)]
)  # fmt: skip
def test_bars_are_merged_to_a_multiple_of_their_width_and_else_used_as_they_are(every, bar, width, tmp_path) -> None:
    bars = klines().iloc[every - 1 :: every]
    found = read(tmp_path, bars, interest(ts=clock(30, 40, 45, 50, 60)), bar)

    assert found.data.width == np.timedelta64(width, "m")
    said = [note for note in found.notes if "cannot be cut" in note]
    as_is = f"klines are {5 * every} minutes wide and cannot be cut to {bar} minutes: used as is"
    assert said == ([as_is] if width != bar else [])
