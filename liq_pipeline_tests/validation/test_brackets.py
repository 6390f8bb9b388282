"""Recorded forced orders tell whether the maintenance margin that the model uses is the exchange's."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import LiqError
from liq_pipeline.model.bracket_evidence import FEWEST_ORDERS, judge_brackets
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.recording import record
from liq_pipeline.transform.rules.gates import brackets_agree
from liq_pipeline.validation import brackets
from liq_pipeline.validation.brackets import FILE, evidence_of, forced_orders_in, read_tests, said_of, write_tests

WIDTH = np.timedelta64(5, "m")


def recorded(folder, mmr, max_leverage, symbol="BTCUSDT"):
    """Four days of a market with this maintenance margin, and what its orders say of the symbol's table."""
    config = MarketConfig(symbol=symbol, days=4, mmr=mmr, max_leverage=max_leverage, open_interest=4_000.0)
    market = simulate(config)  # so small that its orders lie within the first bracket
    record(market, folder / "recorded", days=4)
    return market, judged(forced_orders_in(folder / "recorded", symbol), market)


def judged(orders, market):
    ts = market.bars["ts"].astype("datetime64[us]")
    return evidence_of(orders, market.config.symbol, ts, market.bars["low"], market.bars["high"], WIDTH)


@pytest.mark.parametrize(("mmr", "max_leverage"), [(0.004, 150.0), (0.005, 100.0), (0.01, 50.0), (0.025, 20.0)])
def test_a_recording_recovers_the_planted_rate_to_a_twentieth_of_a_point(tmp_path, mmr, max_leverage):
    _, found = recorded(tmp_path, mmr, max_leverage)
    assert abs(found.best_pct.value - 100 * mmr) <= 0.05
    assert found.best_pct.low - 0.05 <= 100 * mmr <= found.best_pct.high + 0.05
    assert found.best_share == 1.0


def test_with_the_right_table_every_trigger_lies_in_its_own_bar_and_with_no_margin_almost_none(tmp_path):
    _, found = recorded(tmp_path, 0.004, 150.0)
    shares = dict(found.shares)
    assert (found.table_pct, found.table_share) == (0.4, 1.0)
    assert found.table_is_within
    assert shares[0.0] < 0.05
    assert shares[0.3] < 0.5
    assert shares[0.5] < 0.9


@pytest.mark.parametrize("mmr", [0.003, 0.005, 0.0065])
def test_orders_of_another_rate_speak_against_the_table(tmp_path, mmr):
    _, found = recorded(tmp_path, mmr, 150.0)
    assert found.table_pct == 0.4
    assert not found.table_is_within


def test_the_check_warns_of_a_wrong_table_and_passes_a_right_one(tmp_path):
    subject = SimpleNamespace(symbol="BTCUSDT", publisher=SimpleNamespace(folder=str(tmp_path)))
    assert brackets_agree(subject).passed
    for mmr, passes in ((0.004, True), (0.005, False)):
        _, found = recorded(tmp_path / str(mmr), mmr, 150.0)
        write_tests(tmp_path, "BTCUSDT", {"recorded": found})
        outcome = brackets_agree(subject)
        assert (outcome.passed, outcome.severity) == (passes, "WARN")
        assert "maintenance margin 0.4 %: the trigger of" in outcome.found
        assert ("liq brackets import" in outcome.found) != passes


def test_prices_that_jitter_move_the_rate_by_less_than_its_resolution(tmp_path):
    market, _ = recorded(tmp_path, 0.004, 150.0)
    orders = forced_orders_in(tmp_path / "recorded", "BTCUSDT")
    noise = np.exp(np.random.default_rng(1).normal(0, 0.0002, len(orders)))
    found = judged(orders.assign(price=orders["price"] * noise), market)
    assert found.table_is_within
    assert abs(found.best_pct.value - 0.4) <= 0.05
    assert found.table_share < 0.95


def test_orders_are_judged_by_the_days_between_them(tmp_path, monkeypatch):
    """Blocks of days make the interval."""
    market, _ = recorded(tmp_path, 0.004, 150.0)
    orders = forced_orders_in(tmp_path / "recorded", "BTCUSDT").assign(quantity=1e-3)  # so small that all count
    given = []
    monkeypatch.setattr(brackets, "judge_brackets", lambda *columns: given.extend(columns))
    judged(orders, market)
    assert given[4] == pytest.approx(((orders["ts"] - orders["ts"].iloc[0]).dt.total_seconds() / 86_400).to_numpy())


def test_orders_above_the_first_bracket_do_not_count(tmp_path):
    market, small = recorded(tmp_path, 0.004, 150.0)
    orders = forced_orders_in(tmp_path / "recorded", "BTCUSDT")
    large = orders.assign(quantity=400_000 / orders["price"], price=orders["price"] * 1.01)
    assert judged(pd.concat([orders, large]).sort_values("ts", kind="stable"), market) == small


def test_too_few_orders_are_not_judged(tmp_path):
    market, _ = recorded(tmp_path, 0.004, 150.0)
    orders = forced_orders_in(tmp_path / "recorded", "BTCUSDT")
    assert judged(orders[: FEWEST_ORDERS // 2], market) is None
    assert "not tested" in said_of(None)


def test_a_file_of_orders_is_read_as_a_recording_is_and_other_files_are_not_orders(tmp_path):
    market, found = recorded(tmp_path, 0.004, 150.0)
    orders = forced_orders_in(tmp_path / "recorded", "BTCUSDT")
    orders.assign(average_price=1.0).to_csv(tmp_path / "orders.csv", index=False)
    assert judged(forced_orders_in(tmp_path / "orders.csv", "BTCUSDT"), market) == found
    orders.to_csv(tmp_path / "one_price.csv", index=False)
    assert forced_orders_in(tmp_path / "one_price.csv", "BTCUSDT") is None


def test_long_and_short_triggers_are_told_apart():
    count = 400
    is_long = np.arange(count) % 2 == 0
    low, high = np.full(count, 100.0), np.full(count, 100.02)
    price = np.where(is_long, 100.01 * (1 - 0.01), 100.01 * (1 + 0.01))
    found = judge_brackets(is_long, price, low, high, np.linspace(0, 4, count), 0.01)
    assert found.table_share == 1.0
    assert judge_brackets(~is_long, price, low, high, np.linspace(0, 4, count), 0.01).table_share == 0.0


def test_what_was_found_is_kept_and_an_altered_file_is_said(tmp_path):
    _, found = recorded(tmp_path, 0.004, 150.0)
    write_tests(tmp_path, "BTCUSDT", {"recorded": found, "few": None})
    kept = read_tests(tmp_path, "BTCUSDT")
    assert kept["recorded"]["figures"]["orders"] == found.orders
    assert kept["few"] == {"said": said_of(None), "agrees": True, "figures": None}
    (tmp_path / "validation" / "BTCUSDT" / FILE).write_text(json.dumps({"recorded": 1}))
    with pytest.raises(LiqError, match=r"brackets\.json cannot be read"):
        read_tests(tmp_path, "BTCUSDT")
    write_tests(tmp_path, "BTCUSDT", {})
    assert read_tests(tmp_path, "BTCUSDT") == {}
