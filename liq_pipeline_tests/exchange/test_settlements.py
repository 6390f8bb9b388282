"""One ticker, several contracts: each change is found where it is, ordinary pauses are none. On real days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liq_pipeline.exchange.contract_changes import Feeds as BothFeeds
from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA, read_klines, read_open_interest
from liq_pipeline.exchange.settlements import (
    contracts_of_bars,
    contracts_of_snapshots,
    find_settlements,
    is_between_contracts,
    listed_settlements,
)
from liq_pipeline_tests.exchange.reused_ticker import PRICES, SYMBOL, Feeds, real_days

AT = "2026-03-15T09:00"


@pytest.fixture(scope="module")
def real(shared_archive: Path) -> Feeds:
    return real_days(shared_archive)


def found(feeds: Feeds, symbol: str = SYMBOL) -> list[tuple[str, str]]:
    """Return when contracts ended and began, to the minute."""
    return [
        (f"{one.settled_at:%m-%d %H:%M}", f"{one.resumed_at:%m-%d %H:%M}")
        for one in find_settlements(symbol, feeds.open_interest, feeds.klines)
    ]


@pytest.mark.shared
class TestSuspectedFromTheRows:
    @pytest.mark.parametrize(
        ("hours", "price", "contracts"),
        [(32.5, 0.01, 100), (32.5, 0.5, 0.01), (32.5, 0.01, 1), (10, 1, 50), (3, 0.1, 10), (300, 0.01, 100)],
    )
    def test_silence_and_a_new_scale_of_price_or_open_interest(self, real, hours, price, contracts) -> None:
        paused = real.silent(AT, hours).scaled(_later(AT, hours), price, contracts)

        assert found(paused) == [("03-15 09:00", f"{datetime.fromisoformat(_later(AT, hours)):%m-%d %H:%M}")]

    def test_the_text_names_the_silence_and_both_ratios(self, real) -> None:
        feeds = real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.01, 100)
        (one,) = find_settlements(SYMBOL, feeds.open_interest, feeds.klines)

        assert one.found == "both feeds silent for 32.5 h, then price × 0.01035, open interest × 108.3"
        assert not one.is_listed

    @pytest.mark.parametrize("price", [1000, 0.1, 0.5, 2, 1.5])
    def test_a_redenomination_without_a_pause(self, real, price) -> None:
        assert found(real.scaled("2026-03-25T06:00", price, 1 / price)) == [("03-25 06:00", "03-25 06:00")]

    @pytest.mark.parametrize("hours", [0.25, 0.75])
    def test_a_redenomination_over_a_short_pause(self, real, hours) -> None:
        resumed = _later("2026-03-25T06:00", hours)
        paused = real.silent("2026-03-25T06:00", hours).scaled(resumed, 0.001, 1000)

        assert found(paused) == [("03-25 06:00", f"{datetime.fromisoformat(resumed):%m-%d %H:%M}")]

    def test_a_redenomination_in_the_middle_of_a_bar(self, real) -> None:
        scaled = real.scaled("2026-03-25T06:00", 1000, 0.001)
        mixed = int(np.flatnonzero(real.klines["open_time"].to_numpy() == np.datetime64("2026-03-25T06:00"))[0])
        for name in ("open", "low"):
            scaled = Feeds(scaled.open_interest, _with(scaled.klines, name, mixed, real.klines[name][mixed].as_py()))

        assert found(scaled) == [("03-25 06:00", "03-25 06:15")]

    def test_a_redenomination_while_bars_are_absent_and_open_interest_is_not(self, real) -> None:
        scaled = real.scaled("2026-03-25T14:30", 0.01, 100)
        bars = scaled.silent("2026-03-25T06:00", 8.5).klines

        assert found(Feeds(scaled.open_interest, bars)) == [("03-25 06:00", "03-25 14:30")]

    def test_of_a_coin_of_cents_of_which_less_than_one_is_traded_in_a_bar(self, real) -> None:
        cheap = real.scaled("2020-01-01", 1e-7, 1e-7).silent(AT, 32.5)
        assert max(cheap.klines["close"].to_pylist() + cheap.klines["volume"].to_pylist()) < 1

        assert found(cheap) == []
        assert found(cheap.scaled(_later(AT, 32.5), 0.01, 100)) == [("03-15 09:00", "03-16 17:30")]

    def test_a_redenomination_of_which_one_bar_falls_back_later(self, real) -> None:
        scaled = real.scaled("2026-03-25T06:00", 10, 0.1)
        for name in PRICES:
            scaled = Feeds(
                scaled.open_interest, _with(scaled.klines, name, 1240, scaled.klines[name][1240].as_py() / 10)
            )

        assert found(scaled) == [("03-25 06:00", "03-25 06:00")]

    def test_two_across_silences_within_three_days(self, real) -> None:
        feeds = real.silent("2026-03-25T06:00", 8).scaled("2026-03-25T14:00", 0.01, 100)
        feeds = feeds.silent("2026-03-27T00:00", 5).scaled("2026-03-27T05:00", 100, 0.01)

        assert [begin for begin, _ in found(feeds)] == ["03-25 06:00", "03-27 00:00"]

    def test_zeros_for_two_hours_and_a_new_scale_of_open_interest(self, real) -> None:
        feeds = real.zero("2026-03-20T00:00", 2).scaled("2026-03-20T02:00", 1, 0.01)

        assert found(feeds) == [("03-20 00:00", "03-20 02:00")]

    @pytest.mark.parametrize("hours", [4, 6, 24, 100])
    def test_open_interest_of_zero_for_long(self, real, hours) -> None:
        (one,) = found(real.zero("2026-03-20T00:00", hours))

        assert one[0] == "03-20 00:00"

    def test_two_in_one_history(self, real) -> None:
        feeds = real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.1, 10)
        feeds = feeds.silent("2026-04-01T00:00", 12).scaled("2026-04-01T12:00", 10, 0.1)

        assert [begin for begin, _ in found(feeds)] == ["03-15 09:00", "04-01 00:00"]

    def test_in_the_last_hours_with_one_bar_of_the_new_contract(self, real) -> None:
        feeds = real.silent("2026-04-11T00:00", 8).scaled("2026-04-11T08:00", 0.01, 100).until("2026-04-11T08:15")

        assert found(feeds) == [("04-11 00:00", "04-11 08:00")]


@pytest.mark.shared
class TestNotSuspected:
    def test_real_days(self, real) -> None:
        assert found(real) == []

    @pytest.mark.parametrize("hours", [2, 32.5, 300])
    def test_a_pause_with_the_same_scale_afterwards(self, real, hours) -> None:
        assert found(real.silent(AT, hours)) == []

    @pytest.mark.parametrize(("price", "contracts"), [(1.3, 1), (0.75, 0.8), (1, 1.8)])
    def test_a_pause_over_which_the_market_moved(self, real, price, contracts) -> None:
        assert found(real.silent(AT, 40).scaled(_later(AT, 40), price, contracts)) == []

    def test_open_interest_alone_is_silent_while_bars_go_on(self, real) -> None:
        paused = Feeds(real.silent(AT, 32.5).scaled(_later(AT, 32.5), 1, 1.5).open_interest, real.klines)

        assert found(paused) == []

    @pytest.mark.parametrize("bars", [1, 4, 12, 40])
    @pytest.mark.parametrize("tables", ["both", "klines"])
    def test_a_pause_after_which_some_bars_are_absurd(self, real, bars, tables) -> None:
        paused = real.silent(AT, 8)
        back = _later("2026-03-15T17:00", bars / 4)
        absurd = paused.scaled("2026-03-15T17:00", 0.01, 100).scaled(back, 100, 0.01)

        assert found(absurd if tables == "both" else Feeds(paused.open_interest, absurd.klines)) == []

    @pytest.mark.parametrize("file", ["BTCUSDT-5m", "SOLUSDT-5m", "BTCUSDT-15m"])
    def test_years_of_real_bars_with_their_crashes(self, file, shared_archive: Path) -> None:
        bars = pq.read_table(shared_archive.parent / "market" / f"{file}.parquet")
        opened, close = bars["open_time"].to_numpy().astype("datetime64[us]"), bars["close"].to_numpy()
        ts = opened + np.diff(opened).min()
        open_interest = {"ts": ts, "open_interest": np.full(ts.size, 1000.0), "open_interest_value_usd": 1000 * close}

        bars = bars.set_column(0, "open_time", pa.array(opened)).append_column("ts", pa.array(ts))
        assert found(Feeds(pa.table(open_interest), bars)) == []

    @pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
    def test_real_holes(self, symbol, shared_archive: Path) -> None:
        days = shared_archive / "multi-5m-2026-01" / "data" / "futures" / "um" / "daily"
        holed = Feeds(
            read_open_interest(sorted((days / "metrics" / symbol).glob("*.zip")), symbol).table,
            read_klines(sorted((days / "klines" / symbol / "5m").glob("*.zip")), symbol, "5m").table,
        )

        assert found(holed, symbol) == []

    @pytest.mark.parametrize("hours", [0.25, 1, 2])
    def test_zeros_for_a_short_while(self, real, hours) -> None:
        assert found(real.zero("2026-03-20T00:00", hours)) == []

    def test_a_day_of_open_interest_that_cannot_be(self, real) -> None:
        assert found(real.absurd("2026-03-30")) == []

    def test_a_leap_that_comes_back(self, real) -> None:
        there = real.scaled("2026-03-25T06:00", 10, 0.1).scaled("2026-03-25T18:00", 0.1, 10)

        assert found(there) == []

    def test_prices_that_leap_while_open_interest_is_valued_as_before(self, real) -> None:
        assert found(Feeds(real.open_interest, real.scaled("2026-04-10T06:00", 10).klines)) == []

    def test_one_feed_is_empty(self, real) -> None:
        assert found(Feeds(real.open_interest.slice(0, 0), real.klines)) == []
        assert found(Feeds(real.open_interest, real.klines.slice(0, 0))) == []


@pytest.mark.parametrize(
    ("of_bar", "is_traded"),
    [
        pytest.param({"volume": 0.5}, True, id="flat, with less than a contract"),
        pytest.param({"volume": 0.0}, False, id="flat, without volume"),
        pytest.param({"volume": None}, False, id="flat, of unknown volume"),
        pytest.param({"volume": 0.0, "high": 0.6}, True, id="without volume, and the price moved"),
        pytest.param({"volume": 0.5, "open": None}, False, id="without a first price"),
        pytest.param({"volume": 0.5, "open": 0.0}, False, id="with a first price of zero"),
        pytest.param({"volume": 0.5, "close": 0.0}, False, id="with a last price of zero"),
    ],
)
def test_a_bar_counts_as_traded_by_its_volume_or_its_move(of_bar: dict[str, float], is_traded: bool) -> None:
    end = datetime(2026, 3, 15, 9, tzinfo=UTC)
    bar = dict.fromkeys(PRICES, 0.5) | {"open_time": end - timedelta(minutes=5), "ts": end} | of_bar
    bars = pa.Table.from_pylist([bar], KLINES_SCHEMA)

    assert BothFeeds.of(OPEN_INTEREST_SCHEMA.empty_table(), bars).traded.tolist() == [is_traded]


@pytest.mark.shared
def test_a_snapshot_at_the_seam_belongs_to_the_old_contract_only_without_a_pause(real) -> None:
    feeds = real.scaled("2026-03-25T06:00", 10, 0.1)
    settlements = find_settlements(SYMBOL, feeds.open_interest, feeds.klines)
    of_snapshots = contracts_of_snapshots(settlements, feeds.open_interest)
    snapshots = dict(zip(feeds.open_interest["ts"].to_pylist(), of_snapshots, strict=True))
    bars = dict(zip(feeds.klines["ts"].to_pylist(), contracts_of_bars(settlements, feeds.klines), strict=True))
    seam = datetime(2026, 3, 25, 6, tzinfo=UTC)

    assert (snapshots[seam], snapshots[seam.replace(minute=5)]) == (1, 2)
    assert (bars[seam], bars[seam.replace(minute=15)]) == (1, 2)


class TestTheDatedFile:
    def test_every_row_has_a_source_and_is_in_order(self) -> None:
        assert listed_settlements()["LITUSDT"][0].settled_at == datetime(2025, 1, 31, 9, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("row", "wrong"),
        [
            ("XUSDT,2025-02-01T00:00:00Z,2025-01-01T00:00:00Z,settlement,s", "before it resumed"),
            ("XUSDT,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,settlement,", "with its source"),
            ("XUSDT,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,merger,s", "expected a settlement or redenomination"),
        ],
    )
    def test_a_bad_row_is_refused(self, row: str, wrong: str, tmp_path: Path) -> None:
        file = tmp_path / "settlements.csv"
        file.write_text(f"symbol,settled_at,resumed_at,kind,source\n{row}\n")

        with pytest.raises(ValueError, match=wrong):
            listed_settlements(file)

    def test_whole_days_between_two_listed_contracts_are_known(self) -> None:
        days = [date(2025, 1, 31), date(2025, 2, 1), date(2025, 12, 22), date(2025, 12, 23)]

        assert [is_between_contracts("LITUSDT", day) for day in days] == [False, True, True, False]
        assert not is_between_contracts("BTCUSDT", date(2025, 2, 1))

    @pytest.mark.shared
    def test_what_is_listed_ends_a_contract_whatever_its_scale(self, real, monkeypatch) -> None:
        listed = listed_settlements()
        known = listed["LITUSDT"][0]
        moved = type(known)(
            datetime(2026, 3, 15, 9, tzinfo=UTC), datetime(2026, 3, 16, 17, 30, tzinfo=UTC), True, known.found
        )
        monkeypatch.setitem(listed, "LITUSDT", (moved,))

        assert found(real.silent(AT, 32.5), "LITUSDT") == [("03-15 09:00", "03-16 17:30")]
        assert found(real.silent(AT, 32.5).scaled(_later(AT, 32.5), 0.01, 100), "LITUSDT") == [
            ("03-15 09:00", "03-16 17:30")
        ]


def _with(table: pa.Table, name: str, row: int, value: float) -> pa.Table:
    values = table[name].to_numpy().copy()
    values[row] = value
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def _later(instant: str, hours: float) -> str:
    return f"{datetime.fromisoformat(instant) + timedelta(hours=hours):%Y-%m-%dT%H:%M}"
