"""Liquidation prices: the exchange's numbers, to the cent."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.margin import (
    CLASSIC_LADDER,
    LADDER,
    Brackets,
    bracket_epochs,
    bracket_history,
    bracket_symbols,
    brackets_known_until,
    has_own_brackets,
    leverages_used,
    liquidation_price,
    liquidation_price_of_position,
)

FIRST_TIER = {  # entry 90,000, m 0.4 %: model.md 2
    5: (72_289.16, 107_569.72),
    10: (81_325.30, 98_605.58),
    25: (86_746.99, 93_227.09),
    50: (88_554.22, 91_434.26),
    100: (89_457.83, 90_537.85),
    125: (89_638.55, 90_358.57),
}
BY_SIZE = {  # entry 90,000, notional and leverage: exchange.md 5.4, to the tenth
    (500e3, 50): (88_588.9, 91_397.0),
    (1e6, 50): (88_641.2, 91_341.3),
    (5e6, 50): (88_872.7, 91_105.0),
    (20e6, 25): (87_557.1, 92_347.1),
    (100e6, 10): (82_632.0, 96_841.7),
}


def brackets(**changes):
    values = {
        "valid_from": np.datetime64("2025-01-01"),
        "notional_floor": np.array([0.0, 300e3, 800e3]),
        "mmr": np.array([0.004, 0.005, 0.0065]),
        "cum": np.array([0.0, 300.0, 1_500.0]),
        "max_leverage": np.array([150.0, 100.0, 75.0]),
    }
    return Brackets(**{**values, **changes})


@pytest.mark.parametrize("leverage", FIRST_TIER)
def test_small_positions_at_90000_are_liquidated_at_the_published_prices(leverage):
    long, short = FIRST_TIER[leverage]
    assert round(float(liquidation_price("long", 90_000, leverage, 0.004)), 2) == long
    assert round(float(liquidation_price("short", 90_000, leverage, 0.004)), 2) == short


def test_the_two_published_examples_near_67000():
    assert round(float(liquidation_price("long", 67_000, 10, 0.004)), 2) == 60_542.17
    # model.md 2 gives this price for an entry of 67,000; the formula gives it at 67,500 (and 69,402.39 at 67,000).
    assert round(float(liquidation_price("short", 67_500, 25, 0.004)), 2) == 69_920.32
    assert round(float(liquidation_price("short", 67_000, 25, 0.004)), 2) == 69_402.39


def test_one_million_at_50x_uses_its_bracket_and_its_maintenance_amount():
    share = 1_500 / 1e6
    assert round(float(liquidation_price("long", 90_000, 50, 0.0065, share)), 1) == 88_641.2
    assert round(float(liquidation_price("short", 90_000, 50, 0.0065, share)), 1) == 91_341.3


@pytest.mark.parametrize(("notional", "leverage"), BY_SIZE)
def test_larger_positions_are_liquidated_nearer(notional, leverage):
    table = bracket_history("BTCUSDT")[-1]
    long, short = BY_SIZE[notional, leverage]
    assert round(liquidation_price_of_position("long", 90_000, leverage, notional, table), 1) == long
    assert round(liquidation_price_of_position("short", 90_000, leverage, notional, table), 1) == short


@pytest.mark.parametrize("leverage", FIRST_TIER)
def test_a_small_position_is_one_of_the_first_bracket(leverage):
    table = bracket_history("BTCUSDT")[-1]
    for side in ("long", "short"):
        exact = liquidation_price_of_position(side, 90_000, leverage, 1_000, table)
        assert exact == float(liquidation_price(side, 90_000, leverage, 0.004))


def test_the_bracket_is_that_of_the_notional_at_the_liquidation_price():
    table = brackets()
    entered_in_second = 320e3  # at 10x a long is worth 290,000 when it is liquidated: first bracket
    assert liquidation_price_of_position("long", 90_000, 10, entered_in_second, table) == pytest.approx(
        90_000 * 0.9 / 0.996, abs=1e-9
    )
    entered_in_first = 280e3  # and a short 308,000: second bracket
    assert liquidation_price_of_position("short", 90_000, 10, entered_in_first, table) == pytest.approx(
        90_000 * (1.1 + 300 / 280e3) / 1.005, abs=1e-9
    )


def test_at_the_liquidation_price_the_margin_left_is_the_maintenance_margin():
    table = bracket_history("ETHUSDT")[-1]
    for notional in np.geomspace(1e3, 3e8, 40):
        for side, sign in (("long", 1.0), ("short", -1.0)):
            price = liquidation_price_of_position(side, 3_000, 4, notional, table)
            size = notional / 3_000
            tier = np.searchsorted(table.notional_floor, size * price, side="right") - 1
            margin = notional / 4 + sign * size * (price - 3_000)
            assert margin == pytest.approx(size * price * table.mmr[tier] - table.cum[tier], rel=1e-9)


def test_a_position_that_would_start_liquidated_is_beyond_the_price():
    assert float(liquidation_price("long", 90_000, 500, 0.004)) > 90_000
    assert float(liquidation_price("short", 90_000, 500, 0.004)) < 90_000


def test_a_position_that_no_bracket_fits_is_an_error():
    with pytest.raises(ValueError, match="no bracket fits a long of 1,000 USD at 1x"):
        liquidation_price_of_position("long", 90_000, 1, 1_000, brackets())


def test_prices_of_many_positions_come_out_in_one_call():
    entry, ladder = np.array([[60_000.0], [90_000.0]]), np.array([5.0, 10.0, 25.0])
    prices = liquidation_price("long", entry, ladder, np.array([[0.004], [0.01]]))
    assert prices.shape == (2, 3)
    assert prices[1, 2] == float(liquidation_price("long", 90_000, 25, 0.01))


def test_a_planted_error_in_a_maintenance_amount_is_found_and_named():
    with pytest.raises(ValueError, match=r"bracket 3 .*cum is 1600\.0.* give 1500\.00"):
        brackets(cum=np.array([0.0, 300.0, 1_600.0]))


def test_a_first_bracket_with_a_maintenance_amount_is_an_error():
    with pytest.raises(ValueError, match="bracket 1"):
        brackets(cum=np.array([300.0, 300.0, 1_500.0]))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "*"])
def test_every_table_of_the_file_keeps_the_recurrence_and_rises(symbol):
    for table in bracket_history(symbol):
        steps = table.notional_floor[1:] * np.diff(table.mmr)
        np.testing.assert_allclose(np.diff(table.cum), steps, rtol=0, atol=0.01)
        assert table.notional_floor[0] == 0
        assert table.cum[0] == 0
        assert (np.diff(table.notional_floor) > 0).all()
        assert (np.diff(table.mmr) > 0).all()
        assert (np.diff(table.max_leverage) < 0).all()


def test_a_leverage_whose_margin_is_below_maintenance_cannot_exist():
    table = brackets(mmr=np.array([0.01, 0.02, 0.03]), cum=np.array([0.0, 3_000.0, 11_000.0]))
    assert table.allows([50, 99, 100, 125]).tolist() == [True, True, False, False]  # 1/100 = m: already liquidated


def test_leverage_is_capped_by_the_symbol():
    assert brackets().allows([150, 151]).tolist() == [True, False]
    assert bracket_history("SOLUSDT")[-1].allows([100, 125]).tolist() == [True, False]


def test_brackets_are_dated_and_the_oldest_serves_the_time_before_it():
    ts = np.array(["2020-01-01T00:00", "2025-10-31T23:55", "2025-11-01T00:00", "2026-03-01T00:00"], "datetime64[us]")
    epoch, history = bracket_epochs("BTCUSDT", ts)
    assert str(history[0].valid_from) == "2022-04-16"
    assert str(history[-1].valid_from) == "2025-11-01"
    assert epoch.tolist() == [0, len(history) - 2, len(history) - 1, len(history) - 1]
    assert [table.max_leverage[0] for table in history[-2:]] == [125, 150]
    assert [table.valid_from for table in history] == sorted(table.valid_from for table in history)


GOLDEN = [
    ("ETHUSDT", "2024-01-31", 0.005, 100), ("ETHUSDT", "2024-02-03", 0.004, 125), ("ETHUSDT", "2026-01-01", 0.004, 150),
    ("1000PEPEUSDT", "2023-05-13", 0.02, 20), ("1000PEPEUSDT", "2024-08-08", None, 75),
    ("1000PEPEUSDT", "2026-01-01", None, 75), ("BTCUSDT", "2022-11-25", 0.004, 125),
    ("SOLUSDT", "2022-11-25", 0.02, 12),
]  # fmt: skip


@pytest.mark.parametrize(("symbol", "day", "mmr", "most"), GOLDEN)
def test_golden_dates_have_the_first_bracket_of_their_time(symbol: str, day: str, mmr: float | None, most: float):
    epoch, history = bracket_epochs(symbol, np.array([np.datetime64(day, "us")]))
    table = history[epoch[0]]

    assert table.max_leverage[0] == most
    assert mmr is None or table.mmr[0] == mmr


def test_the_shipped_tables_are_those_of_the_evidence(repository):
    with (repository.parent / "shared" / "brackets" / "binance_usdm_2022-04_2024-10.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    symbols = {row["symbol"] for row in rows}
    assert len(symbols) == 429
    for row in rows:
        epoch, history = bracket_epochs(row["symbol"], np.array([np.datetime64(row["first_seen"], "us")]))
        table, place = history[epoch[0]], int(row["bracket"]) - 1
        assert table.notional_floor[place] == float(row["notional_floor_usd"])
        assert table.mmr[place] == float(row["maintenance_margin_rate"])
        assert table.max_leverage[place] == float(row["max_leverage"])
        assert table.cum[place] == pytest.approx(float(row["cum_usd"]), abs=0.01)


@settings(deadline=None)
@given(data=st.data())
def test_every_symbol_on_every_date_gives_finite_ordered_prices(data):
    symbol = data.draw(st.sampled_from(bracket_symbols()))
    day = data.draw(st.integers(0, 7 * 365))
    epoch, history = bracket_epochs(symbol, np.array([np.datetime64("2019-09-08", "us") + np.timedelta64(day, "D")]))
    table = history[epoch[0]]
    ladder = np.array(LADDER)[table.allows(LADDER)]

    assert ladder.size
    long, short = (liquidation_price(side, 100.0, ladder, table.mmr[0]) for side in ("long", "short"))
    assert np.isfinite(long).all()
    assert np.isfinite(short).all()
    assert (np.diff(long) > 0).all()
    assert (np.diff(short) < 0).all()
    assert long.min() > 0
    assert long.max() < 100 < short.min()


def test_how_new_the_brackets_are_is_known():
    assert brackets_known_until("BTCUSDT") == "2026-09-29"
    assert brackets_known_until("1000PEPEUSDT") == "2024-10-31"
    assert brackets_known_until("NOSUCHUSDT") is None


def test_a_symbol_without_brackets_gets_the_documented_default():
    assert has_own_brackets("DOGEUSDT")
    assert not has_own_brackets("NOSUCHUSDT")
    (table,) = bracket_history("NOSUCHUSDT")
    assert (table.mmr[0], table.max_leverage[0]) == (0.015, 50)
    assert has_own_brackets("SOLUSDT")


def test_the_ladders_are_those_of_the_specification():
    assert LADDER == (3, 5, 7, 10, 15, 20, 25, 35, 50, 75, 100, 125, 150)
    assert CLASSIC_LADDER == {5: 0.15, 10: 0.30, 25: 0.25, 50: 0.20, 100: 0.10}
    assert sum(CLASSIC_LADDER.values()) == pytest.approx(1, abs=1e-15)


def test_the_leverages_used_are_those_that_the_brackets_of_the_time_allowed():
    def used(symbol: str, *days: str) -> tuple[float, ...]:
        return leverages_used(symbol, LADDER, *(np.datetime64(day, "us") for day in days))

    assert used("NOSUCHUSDT", "2026-03-01", "2026-03-31") == (3, 5, 7, 10, 15, 20, 25, 35, 50)
    assert used("SOLUSDT", "2026-03-01", "2026-03-31")[-1] == 100
    assert used("BTCUSDT", "2026-03-01", "2026-03-31") == LADDER
    assert used("BTCUSDT", "2025-03-01", "2025-03-31")[-1] == 125
    assert used("BTCUSDT", "2025-03-01", "2026-03-31") == LADDER  # positions of both times are on the map
