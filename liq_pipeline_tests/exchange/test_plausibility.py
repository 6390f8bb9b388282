"""Numbers that contradict each other: each kind is found where it is planted, and nothing else is. On real days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange import plausibility as why
from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.exchange.judged import judge

pytestmark = pytest.mark.shared
PRICES = ("open", "high", "low", "close")
DAY = np.timedelta64(1, "D")
MIRRORS = [
    ("btc-15m-2026-03", "BTCUSDT", "15m"),
    *[("multi-5m-2026-01", symbol, bar) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT") for bar in ("5m", "15m")],
]


@dataclass(frozen=True)
class Feeds:
    """Both tables of a symbol; `plant` changes some rows of one column."""

    open_interest: pa.Table
    klines: pa.Table

    def plant(self, table: str, rows, **changes: float | Callable) -> Feeds:
        changed = getattr(self, table)
        for name, change in changes.items():
            values = np.array(changed[name].to_numpy(), dtype=float)
            values[rows] = change(values[rows]) if callable(change) else change
            at = changed.column_names.index(name)
            changed = changed.set_column(at, name, pa.array(values, from_pandas=True))
        return Feeds(**{**vars(self), table: changed})

    def found(self, table: str) -> dict[int, str]:
        """Return the bad rows of a table, and what is said of each."""
        reasons = getattr(judge(self.open_interest, self.klines), table)["bad_print"].to_pylist()
        return {row: reason.split(": ")[0] for row, reason in enumerate(reasons) if reason}

    def rows_of_day(self, table: str, which: int) -> np.ndarray:
        days = (getattr(self, table)["ts"].to_numpy() - np.timedelta64(1, "us")).astype("datetime64[D]")
        return np.flatnonzero(days == np.unique(days)[which])


@dataclass(frozen=True)
class times:  # reads as a verb where it is used; its name is part of the tests' names
    factor: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return values * self.factor


def feeds_of(archive: Path, mirror: str, symbol: str, bar: str) -> Feeds:
    base = archive / mirror / "data" / "futures" / "um" / "daily"
    return Feeds(
        read_open_interest(sorted((base / "metrics" / symbol).glob("*.zip")), symbol).table,
        read_klines(sorted((base / "klines" / symbol / bar).glob("*.zip")), symbol, bar).table,
    )


@pytest.fixture(scope="module", params=[MIRRORS[0], MIRRORS[1], MIRRORS[5]], ids="-".join)
def feeds(request: pytest.FixtureRequest, shared_archive: Path) -> Feeds:
    return feeds_of(shared_archive, *request.param)


@pytest.mark.parametrize("mirror", MIRRORS, ids="-".join)
def test_real_days_contradict_nothing(mirror, shared_archive: Path) -> None:
    feeds = feeds_of(shared_archive, *mirror)
    assert feeds.found("open_interest") == feeds.found("klines") == {}
    judged = judge(feeds.open_interest, feeds.klines)
    assert judged.open_interest.drop_columns("bad_print").equals(feeds.open_interest)
    assert judged.klines.drop_columns("bad_print").equals(feeds.klines)


def years(shared_archive: Path, name: str) -> Feeds:
    """Real bars of years, with an open interest that follows nothing but their closes."""
    import pyarrow.parquet as pq

    bars = pq.read_table(shared_archive.parent / "market" / f"{name}.parquet")
    opened = bars["open_time"].to_numpy().astype("datetime64[us]")
    instants = pa.timestamp("us", "UTC")
    closes = pa.array(opened + np.timedelta64(15 if "15m" in name else 5, "m")).cast(instants)
    typical = (bars["high"].to_numpy() + bars["low"].to_numpy() + bars["close"].to_numpy()) / 3
    nothing = pa.nulls(len(closes), pa.float64())
    klines = {
        "ts": closes, "open_time": pa.array(opened).cast(instants), **{n: bars[n] for n in (*PRICES, "volume")},
        "quote_volume": bars["volume"].to_numpy() * typical, "taker_buy_volume": nothing,
        "taker_buy_quote_volume": nothing,
    }  # fmt: skip
    open_interest = {
        "ts": closes, "open_interest": np.full(len(closes), 1e6),
        "open_interest_value_usd": bars["close"].to_numpy() * 1e6,
    }  # fmt: skip
    return Feeds(pa.table(open_interest), pa.table(klines))


@pytest.mark.parametrize("name", ["BTCUSDT-5m", "SOLUSDT-5m", "BTCUSDT-15m"])
def test_three_years_with_every_crash_contradict_nothing(name: str, shared_archive: Path) -> None:
    feeds = years(shared_archive, name)
    first, last = feeds.klines["ts"][0].as_py(), feeds.klines["ts"][-1].as_py()
    assert f"{first:%Y-%m-%d}" < "2025-10-10" < f"{last:%Y-%m-%d}"
    assert feeds.found("klines") == feeds.found("open_interest") == {}


class TestOneSnapshot:
    @pytest.mark.parametrize("factor", [10, 0.1, 2, 0.5, 1.5, 1e300, 1e-9])
    @pytest.mark.parametrize("with_value", [False, True], ids=["contracts", "both"])
    @pytest.mark.parametrize("where", ["first", "middle", "last"])
    def test_that_differs_by_a_factor_is_found(self, feeds: Feeds, factor: float, with_value: bool, where: str) -> None:
        count = feeds.open_interest.num_rows
        row = {"first": 0, "middle": count // 2 + 1, "last": count - 1}[where]
        changes = {"open_interest": times(factor)}
        if with_value:
            changes["open_interest_value_usd"] = times(min(factor, 1e280))
        planted = feeds.plant("open_interest", [row], **changes)
        assert list(planted.found("open_interest")) == [row]
        assert planted.found("klines") == {}
        judged = judge(planted.open_interest, planted.klines).open_interest
        assert judged["open_interest"][row].as_py() is judged["open_interest_value_usd"][row].as_py() is None

    @pytest.mark.parametrize("factor", [1.1, 0.9])
    def test_that_differs_by_a_tenth_is_found_between_its_neighbours(self, feeds: Feeds, factor: float) -> None:
        row = feeds.open_interest.num_rows // 2 + 1
        both = {"open_interest": times(factor), "open_interest_value_usd": times(factor)}
        assert feeds.plant("open_interest", [row], **both).found("open_interest") == {row: why.TRADED_LESS}

    def test_and_its_neighbour_are_found_together(self, feeds: Feeds) -> None:
        row = feeds.open_interest.num_rows // 2
        both = {"open_interest": times(10), "open_interest_value_usd": times(10)}
        assert list(feeds.plant("open_interest", [row, row + 1], **both).found("open_interest")) == [row, row + 1]

    def test_that_was_reported_is_said_with_the_reason(self, feeds: Feeds) -> None:
        planted = feeds.plant("open_interest", [7], open_interest=1234567890, open_interest_value_usd=5)
        said = judge(planted.open_interest, planted.klines).open_interest["bad_print"][7].as_py()
        assert said == f"{why.NOT_THE_PRICE}: 1,234,567,890 contracts, 5 USD"

    @pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
    def test_without_a_value_keeps_its_contracts(self, feeds: Feeds, value: float) -> None:
        planted = feeds.plant("open_interest", [7], open_interest_value_usd=value)
        assert planted.found("open_interest") == {7: why.NO_VALUE}
        judged = judge(planted.open_interest, planted.klines).open_interest
        assert judged["open_interest"].equals(feeds.open_interest["open_interest"])

    @pytest.mark.parametrize("factor", [10, 0.1, 1.5])
    def test_whose_value_alone_is_wrong_keeps_its_contracts(self, feeds: Feeds, factor: float) -> None:
        planted = feeds.plant("open_interest", [7], open_interest_value_usd=times(factor))
        assert planted.found("open_interest") == {7: why.VALUE_IS_OFF}
        judged = judge(planted.open_interest, planted.klines).open_interest
        assert judged["open_interest"].equals(feeds.open_interest["open_interest"])

    @pytest.mark.parametrize("contracts", [0, -5, np.inf])
    def test_that_cannot_be_becomes_null_and_nothing_else(self, feeds: Feeds, contracts: float) -> None:
        planted = feeds.plant("open_interest", [7], open_interest=contracts)
        judged = judge(planted.open_interest, planted.klines).open_interest
        assert np.flatnonzero(judged["open_interest"].is_null().to_numpy()).tolist() == [7]


class TestADayOfSnapshots:
    @pytest.mark.parametrize("which", [0, 1, -1], ids=["first", "middle", "last"])
    @pytest.mark.parametrize(
        ("contracts", "value"),
        [("value", "value"), ("value", "contracts"), (1e300, None), (1e-9, None), (10, 10), (0.1, 0.1), (1.5, 1.5)],
        ids=["usd-in-contracts", "swapped", "huge", "tiny", "both-x10", "both-/10", "both-x1.5"],
    )
    def test_is_found_whole_and_nothing_else(self, feeds: Feeds, which: int, contracts, value) -> None:
        rows = feeds.rows_of_day("open_interest", which)
        columns = {
            "contracts": feeds.open_interest["open_interest"].to_numpy()[rows],
            "value": feeds.open_interest["open_interest_value_usd"].to_numpy()[rows],
        }
        if isinstance(contracts, str):
            changes = {"open_interest": columns[contracts], "open_interest_value_usd": columns[value]}
        elif value is None:
            changes = {"open_interest": contracts}
        else:
            changes = {"open_interest": times(contracts), "open_interest_value_usd": times(value)}
        planted = feeds.plant("open_interest", rows, **changes)
        assert list(planted.found("open_interest")) == rows.tolist()
        assert planted.found("klines") == {}

    @pytest.mark.parametrize("value", ["value", "contracts"], ids=["usd-in-contracts", "swapped"])
    def test_and_every_other_day_too_leaves_no_contracts(self, feeds: Feeds, value: str) -> None:
        contracts = feeds.open_interest["open_interest"].to_numpy()
        usd = feeds.open_interest["open_interest_value_usd"].to_numpy()
        rows = np.arange(contracts.size)
        swapped = contracts if value == "contracts" else usd
        planted = feeds.plant("open_interest", rows, open_interest=usd, open_interest_value_usd=swapped)
        assert len(planted.found("open_interest")) == rows.size


class TestPrices:
    @pytest.mark.parametrize("factor", [10, 0.1, 2, 0.5, 1.3])
    @pytest.mark.parametrize("count", [1, 2, 12])
    @pytest.mark.parametrize("where", ["first", "middle", "last"])
    @pytest.mark.parametrize("columns", [PRICES, (*PRICES, "quote_volume")], ids=["prices", "and-quote"])
    def test_of_bars_that_leap_away_and_back_become_null(self, feeds, factor, count, where, columns) -> None:
        bars = feeds.klines.num_rows
        begin = {"first": 0, "middle": bars // 2, "last": bars - count}[where]
        rows = np.arange(begin, begin + count)
        planted = feeds.plant("klines", rows, **dict.fromkeys(columns, times(factor)))
        assert list(planted.found("klines")) == rows.tolist()
        assert planted.found("open_interest") == {}
        judged = judge(planted.open_interest, planted.klines).klines
        assert [judged[name].null_count for name in PRICES] == 4 * [count]

    @pytest.mark.parametrize(
        "changes",
        [
            {"low": 0.01}, {"low": 0.5}, {"high": 10}, {"high": 1.5},
            {"high": 10, "close": 10}, {"low": 0.1, "open": 0.1},
        ],
        ids=str,
    )  # fmt: skip
    def test_of_a_wick_that_nobody_traded_become_null(self, feeds: Feeds, changes: dict[str, float]) -> None:
        row = feeds.klines.num_rows // 2
        planted = feeds.plant("klines", [row], **{name: times(factor) for name, factor in changes.items()})
        assert planted.found("klines") == {row: why.UNTRADED_RANGE}

    @pytest.mark.parametrize(("factor", "is_blamed"), [(1 / 7, False), (1 / 9, True)])
    def test_of_a_fall_to_an_eighth_within_one_bar_become_null_however_much_was_traded(
        self, feeds: Feeds, factor: float, is_blamed: bool
    ) -> None:
        row = feeds.klines.num_rows // 2
        more = times(30)
        fallen = feeds.plant("klines", [row], low=times(factor), volume=more, quote_volume=more)
        assert fallen.found("klines") == ({row: why.UNTRADED_RANGE} if is_blamed else {})

    def test_of_a_deep_fall_that_was_traded_stay(self, feeds: Feeds) -> None:
        row = feeds.klines.num_rows // 2
        more = times(30)
        fallen = feeds.plant("klines", [row], low=times(0.6), volume=more, quote_volume=more)
        assert fallen.found("klines") == {}

    @pytest.mark.parametrize("which", [0, 1, -1], ids=["first", "middle", "last"])
    @pytest.mark.parametrize("factor", [10, 0.1, 2])
    @pytest.mark.parametrize("columns", [PRICES, (*PRICES, "quote_volume")], ids=["prices", "and-quote"])
    def test_of_a_whole_day_become_null(self, feeds: Feeds, which: int, factor: float, columns) -> None:
        rows = feeds.rows_of_day("klines", which)
        planted = feeds.plant("klines", rows, **dict.fromkeys(columns, times(factor)))
        assert planted.found("klines") == dict.fromkeys(rows.tolist(), why.PRICES_LEAP)
        assert planted.found("open_interest") == {}

    def test_of_all_bars_become_null_where_open_interest_and_volume_know_better(self, feeds: Feeds) -> None:
        rows = np.arange(feeds.klines.num_rows)
        planted = feeds.plant("klines", rows, **dict.fromkeys(PRICES, times(10)))
        assert planted.found("klines") == dict.fromkeys(rows.tolist(), why.OTHER_PRICES)
        assert planted.found("open_interest") == {}

    def test_of_all_bars_that_nothing_but_open_interest_speaks_against_are_said_of_every_snapshot(self, feeds) -> None:
        rows = np.arange(feeds.klines.num_rows)
        planted = feeds.plant("klines", rows, **dict.fromkeys((*PRICES, "quote_volume"), times(10)))
        found = planted.found("open_interest")
        assert set(found.values()) == {why.VALUE_IS_OFF}
        assert len(found) > 0.99 * feeds.open_interest.num_rows


class TestVolumes:
    @pytest.mark.parametrize(
        ("changes", "reason", "blank"),
        [
            ({"quote_volume": times(-1)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": 0}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": np.nan}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": times(1e6)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"quote_volume": times(1e-6)}, why.QUOTE_IS_OFF, "quote_volume"),
            ({"volume": 0}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(-1)}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": np.nan}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(1e6)}, why.VOLUME_IS_OFF, "volume"),
            ({"volume": times(1e-6)}, why.VOLUME_IS_OFF, "volume"),
            ({"taker_buy_volume": 1e15}, why.TAKERS_ARE_OFF, "taker_buy_volume"),
            ({"taker_buy_quote_volume": 1e15}, why.TAKERS_ARE_OFF, "taker_buy_quote_volume"),
        ],
        ids=str,
    )
    def test_that_contradict_each_other_become_null_and_the_prices_stay(self, feeds, changes, reason, blank) -> None:
        row = feeds.klines.num_rows // 2
        planted = feeds.plant("klines", [row], **changes)
        assert planted.found("klines") == {row: reason}
        judged = judge(planted.open_interest, planted.klines).klines
        assert np.flatnonzero(judged[blank].is_null().to_numpy()).tolist() == [row]
        assert judged.select(PRICES).equals(feeds.klines.select(PRICES))

    def test_of_which_neither_can_be_are_both_null(self, feeds: Feeds) -> None:
        planted = feeds.plant("klines", [9], volume=-1, quote_volume=-1)
        assert planted.found("klines") == {9: why.NO_VOLUME}

    def test_of_a_silent_bar_contradict_nothing(self, feeds: Feeds) -> None:
        close = feeds.klines["close"].to_numpy()[8]
        silent = feeds.plant("klines", [9], **dict.fromkeys(PRICES, close), volume=0, quote_volume=0)
        assert silent.found("klines") == {}

    def test_of_a_trade_whose_quote_volume_was_rounded_away_contradict_nothing(self, feeds: Feeds) -> None:
        cheap = dict.fromkeys(PRICES, times(1e-9))  # a coin of a hundredth of a cent
        every = {name: np.arange(getattr(feeds, name).num_rows) for name in vars(feeds)}
        feeds = feeds.plant("klines", every["klines"], **cheap, quote_volume=times(1e-9))
        feeds = feeds.plant("open_interest", every["open_interest"], open_interest_value_usd=times(1e-9))
        assert feeds.plant("klines", [9], volume=3, quote_volume=0).found("klines") == {}


class TestAContractThatTookTheTicker:
    @pytest.fixture
    def month(self, shared_archive: Path) -> Feeds:
        return feeds_of(shared_archive, *MIRRORS[0])

    @pytest.mark.parametrize(("price", "contracts"), [(0.01, 100), (100, 0.01), (0.5, 0.01), (1, 3)], ids=str)
    @pytest.mark.parametrize("silent_hours", [0, 32.5])
    def test_is_not_called_a_bad_print_when_it_lasts(self, month, price, contracts, silent_hours) -> None:
        since = month.klines["ts"].to_numpy()[month.klines.num_rows // 4]
        until = since + np.timedelta64(int(silent_hours * 60), "m")

        def told(table: pa.Table) -> pa.Table:
            ts = table["ts"].to_numpy()
            return table.filter(pa.array((ts <= since) | (ts > until)))

        quiet = Feeds(told(month.open_interest), told(month.klines))
        later = {name: np.flatnonzero(getattr(quiet, name)["ts"].to_numpy() > since) for name in vars(quiet)}
        renamed = quiet.plant(
            "open_interest", later["open_interest"],
            open_interest=times(contracts), open_interest_value_usd=times(contracts * price),
        ).plant("klines", later["klines"], **dict.fromkeys(PRICES, times(price)), volume=times(1 / price))  # fmt: skip
        for table, kept in (("open_interest", why.TRADED_LESS_AND_STAYS), ("klines", why.PRICES_STAY)):
            found = renamed.found(table)
            assert found in ({}, {later[table][0]: kept})
        judged = judge(renamed.open_interest, renamed.klines)
        assert judged.open_interest["open_interest"].equals(renamed.open_interest["open_interest"])
        assert judged.klines.select(PRICES).equals(renamed.klines.select(PRICES))

    def test_is_measured_against_its_own_rows_only(self, month: Feeds) -> None:
        """Two hours old, it would be too young to be believed; its boundary is known."""
        both = {"open_interest": times(100), "open_interest_value_usd": times(1)}
        since = month.klines["ts"].to_numpy()[-1] - np.timedelta64(2, "h")
        segments = {name: (getattr(month, name)["ts"].to_numpy() > since).astype(np.int64) for name in vars(month)}
        renamed = month.plant("open_interest", segments["open_interest"] == 1, **both).plant(
            "klines", segments["klines"] == 1, **dict.fromkeys(PRICES, times(0.01)), volume=times(100)
        )
        judged = judge(renamed.open_interest, renamed.klines, segments["open_interest"], segments["klines"])
        assert judged.open_interest["bad_print"].null_count == renamed.open_interest.num_rows
        assert judged.klines["bad_print"].null_count == renamed.klines.num_rows


def test_without_bars_open_interest_is_judged_by_nothing(feeds: Feeds) -> None:
    planted = feeds.plant("open_interest", [7], open_interest=times(10))
    judged = judge(planted.open_interest, planted.klines.slice(0, 0))
    assert judged.open_interest["bad_print"].null_count == judged.open_interest.num_rows


def test_without_open_interest_bars_are_judged_by_each_other(feeds: Feeds) -> None:
    planted = feeds.plant("klines", [50], **dict.fromkeys(PRICES, times(10)))
    judged = judge(planted.open_interest.slice(0, 0), planted.klines)
    assert np.flatnonzero(judged.klines["bad_print"].is_valid().to_numpy()).tolist() == [50]
