"""`--symbols all`, `top:N` and patterns, on the command line; what they stand for: exchange/test_universe.py."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from liq_pipeline.simulator.files import ROOT

pytestmark = pytest.mark.whole_run


class TestManySymbols:
    """`--symbols all`, `top:N` and patterns; what they stand for has tests of its own in exchange/test_universe.py."""

    def test_a_run_says_who_came_and_went_and_the_others_commands_know_who_is_meant(
        self, liq, run_options, own_exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        options = run_options(own_exchange, data, symbols="all", jobs=1)
        monkeypatch.setenv("LIQ_SYMBOLS", "all")
        early = liq("recent", "--data", data)
        assert (early.code, early.out) == (2, "")
        assert "symbols all: which they are is not known yet" in early.err

        first = liq("run", *options)
        assert first.code == 0, first.out + first.err
        assert "all: 2 symbols" in first.out.splitlines()

        shutil.rmtree(own_exchange.folder / ROOT / "klines" / "ETHUSDT")
        second = liq("run", *options)
        assert second.code == 0, second.out + second.err
        gone = "ETHUSDT is not traded any more: what was published of it stays, with its last bar"
        assert gone in second.out.splitlines()
        status = liq("status", "--data", data, "--now", own_exchange.now.isoformat())
        assert re.search(r"ETHUSDT: .*no longer refreshed: not in LIQ_SYMBOLS, or not traded", status.out)
        assert not re.search(r"BTCUSDT: .*no longer refreshed", status.out)
        assert liq("forget", "*USDT", "--data", data).code == 2

    def test_a_pattern_that_fits_nothing_is_said_before_dagster_is_loaded(
        self, exchange, liq, run_options, tmp_path: Path
    ) -> None:
        done = liq("run", *run_options(exchange, tmp_path, symbols="1000*"))

        assert done.code == 1
        assert "'1000*' stands for no symbol that is traded" in done.err
        assert not (tmp_path / "dagster_home").exists()
