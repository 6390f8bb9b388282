"""The chain on real market data that lies beside the checkout; it is read in place."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest

pytestmark = [pytest.mark.shared, pytest.mark.whole_run]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
TIMEFRAMES = ("1d", "7d", "30d", "90d")


def _levels(data: Path, symbol: str, timeframe: str):
    path = dataset_path(data / "published", "liquidation_levels", symbol, timeframe)
    return pq.read_table(path, partitioning=None), read_manifest(path)


@pytest.fixture(scope="module")
def month_options(shared_archive: Path, tmp_path_factory) -> list[object]:
    return [
        "run", "--archive", shared_archive / "btc-15m-2026-03", "--bar", "15m", "--symbols", "BTCUSDT",
        "--since", "2026-03-13", "--data", tmp_path_factory.mktemp("month") / "data",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def month(month_options, liq):
    """The run as of 2026-04-12: how it ended, and its data folder."""
    return liq(*month_options, "--now", "2026-04-12T06:00:00Z"), month_options[-1]


@pytest.fixture(scope="module")
def three(shared_archive: Path, liq, tmp_path_factory):
    data = tmp_path_factory.mktemp("three") / "data"
    return liq(
        "run", "--archive", shared_archive / "multi-5m-2026-01", "--bar", "5m", "--symbols", ",".join(SYMBOLS),
        "--since", "2026-01-11", "--now", "2026-01-14T15:00:00Z", "--data", data, "--jobs", 1, "--no-pictures",
    ), data  # fmt: skip


class TestAMonthOfQuarterHours:
    def test_it_exits_with_0(self, month) -> None:
        assert month[0].code == 0, month[0].out + month[0].err

    @pytest.mark.parametrize("timeframe", ["1d", "7d", "30d"])
    @pytest.mark.parametrize("side", ["long", "short"])
    def test_the_timeframe_is_not_empty(self, timeframe: str, side: str, month) -> None:
        rows, _ = _levels(month[1], "BTCUSDT", timeframe)

        of_side = rows.filter(pc.equal(rows["side"], side))
        assert of_side.num_rows > 0
        assert pc.sum(of_side["contracts"]).as_py() > 0

    @pytest.mark.parametrize("side", ["long", "short"])
    def test_a_longer_timeframe_holds_at_least_as_much_and_all_stay_within_open_interest(
        self, side: str, month
    ) -> None:
        manifests = [_levels(month[1], "BTCUSDT", timeframe)[1] for timeframe in TIMEFRAMES]
        contracts = [manifest[f"{side}_contracts"] for manifest in manifests]

        assert contracts == sorted(contracts)
        assert contracts[-1] <= manifests[0]["open_interest_contracts"]

    @pytest.mark.parametrize("timeframe", TIMEFRAMES)
    def test_every_long_lies_below_the_price_and_every_short_above_it(self, timeframe: str, month) -> None:
        rows, _ = _levels(month[1], "BTCUSDT", timeframe)
        longs, shorts = (rows.filter(pc.equal(rows["side"], side)) for side in ("long", "short"))

        assert pc.all(pc.less_equal(longs["price_high"], longs["current_price"])).as_py()
        assert pc.all(pc.greater_equal(shorts["price_low"], shorts["current_price"])).as_py()

    def test_tracked_and_untracked_add_up_to_open_interest_at_every_bar(self, month) -> None:
        with duckdb.connect(str(month[1] / "warehouse" / "BTCUSDT.duckdb"), read_only=True) as connection:
            worst, count = connection.execute(
                "SELECT max(abs(s.tracked + s.untracked - d.open_interest) / d.open_interest), count(*) "
                "FROM position_survival AS s JOIN oi_delta AS d USING (symbol, ts)"
            ).fetchone()

        assert count == 2 * pq.read_metadata(dataset_path(month[1] / "published", "oi_delta", "BTCUSDT")).num_rows
        assert worst <= 1e-9

    def test_as_of_is_the_newest_bar_not_the_clock(self, month) -> None:
        _, manifest = _levels(month[1], "BTCUSDT", "1d")

        assert manifest["as_of"] == "2026-04-12T02:00:00Z"  # where the files end

    def test_without_now_it_is_stale_exits_with_3_and_says_how_old_and_publishes(
        self, month, month_options, liq
    ) -> None:
        done = liq(*month_options, "--no-pictures")

        assert done.code == 3
        assert "BTCUSDT published" in done.out
        assert "ERROR oi_delta: newest_bar_is_younger_than_48_hours" in done.out
        assert re.search(
            r"newest bar 2026-04-1\d \d\d:\d\d UTC, [\d.]+ h \([\d.]+ days\) old; the limit is 48 h", done.out
        )


class TestThreeSymbolsWithRealHoles:
    def test_all_three_are_published(self, three) -> None:
        done, data = three

        assert done.code == 0, done.out + done.err
        for symbol in SYMBOLS:
            assert f"{symbol} published" in done.out
            for timeframe in TIMEFRAMES:
                assert _levels(data, symbol, timeframe)[0].num_rows > 0

    @pytest.mark.parametrize("symbol", SYMBOLS)
    def test_the_real_holes_are_listed(self, symbol: str, three) -> None:
        section = re.split(r"\n\n", three[0].out.split(f"\n{symbol} published;")[1])[0]

        listed = re.search(
            r"WARN +open_interest: grid_has_no_gaps\n +(\d+) missing in (\d+) gaps, between: (.*)", section
        )
        assert listed, section
        missing, gaps, spans = listed.groups()
        assert int(missing) > 0
        assert len(re.findall(r"\(\d+\)", spans)) == min(int(gaps), 20)

    @pytest.mark.parametrize("symbol", SYMBOLS)
    def test_what_is_spread_over_a_hole_is_flagged_and_nothing_else(self, symbol: str, three) -> None:
        with duckdb.connect(str(three[1] / "warehouse" / f"{symbol}.duckdb"), read_only=True) as connection:
            unflagged = connection.execute(
                "SELECT count(*) FROM oi_delta AS d LEFT JOIN open_interest AS o USING (symbol, ts) "
                "WHERE symbol = $s AND o.open_interest IS NULL AND NOT d.is_interpolated",
                {"s": symbol},
            ).fetchone()
            flagged = connection.execute(
                "SELECT count(*) FROM oi_delta WHERE symbol = $s AND is_interpolated", {"s": symbol}
            ).fetchone()

        assert unflagged == (0,)
        assert flagged > (0,)
