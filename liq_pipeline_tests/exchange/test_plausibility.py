"""Numbers that contradict each other: each kind is found where it is planted, and nothing else is. On real days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange import plausibility as why
from liq_pipeline.exchange.judged import judge
from liq_pipeline_tests.exchange.feeds import MIRRORS, PRICES, Feeds, feeds_of, times, years

pytestmark = pytest.mark.shared
DAY = np.timedelta64(1, "D")


@pytest.mark.parametrize("mirror", MIRRORS, ids="-".join)
def test_real_days_contradict_nothing(mirror, shared_archive: Path) -> None:
    feeds = feeds_of(shared_archive, *mirror)
    assert feeds.found("open_interest") == feeds.found("klines") == {}
    judged = judge(feeds.open_interest, feeds.klines)
    assert judged.open_interest.drop_columns("bad_print").equals(feeds.open_interest)
    assert judged.klines.drop_columns("bad_print").equals(feeds.klines)


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


class TestOfAThousandContractsInAQuietMarket:
    """A day of bars of five minutes at 100 USD; between two snapshots count three: one to spare on either side."""

    def quiet(self, traded: float) -> Feeds:
        end = np.datetime64("2026-06-20T00:05", "us") + np.arange(288) * np.timedelta64(5, "m")
        ones = np.ones(end.size)
        bars = {"ts": end, "open_time": end - np.timedelta64(5, "m"), **dict.fromkeys(PRICES, 100 * ones)}
        bars |= {"volume": traded * ones, "quote_volume": 100 * traded * ones}
        bars |= {"taker_buy_volume": 0 * ones, "taker_buy_quote_volume": 0 * ones}
        snapshots = {"ts": end, "open_interest": 1e3 * ones, "open_interest_value_usd": 1e5 * ones}
        return Feeds(pa.table(snapshots), pa.table(bars))

    @pytest.mark.parametrize(
        ("traded", "change", "is_found"),
        [
            pytest.param(1, 50, False, id="a twentieth more"),
            pytest.param(1, 51, True, id="more than that"),
            pytest.param(1, -47, False, id="a twentieth of what is left"),
            pytest.param(1, -48, True, id="less than that"),
            pytest.param(20, 120, False, id="twice what three bars traded"),
            pytest.param(20, 121, True, id="more than was traded"),
            pytest.param(20, -120, False, id="all of it closed"),
            pytest.param(20, -121, True, id="more than could close"),
        ],
    )
    def test_one_may_change_by_a_twentieth_or_by_twice_what_was_traded(self, traded, change, is_found) -> None:
        contracts = 1000 + change
        planted = self.quiet(traded).plant(
            "open_interest", [100], open_interest=contracts, open_interest_value_usd=100 * contracts
        )
        assert planted.found("open_interest") == ({100: why.TRADED_LESS} if is_found else {})

    @pytest.mark.parametrize(
        ("off", "is_found"), [(1.249, False), (1.251, True), (1 / 1.249, False), (1 / 1.251, True)]
    )
    def test_a_value_may_be_a_quarter_off(self, off: float, is_found: bool) -> None:
        planted = self.quiet(1).plant("open_interest", [100], open_interest_value_usd=times(off))
        assert planted.found("open_interest") == ({100: why.VALUE_IS_OFF} if is_found else {})


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
