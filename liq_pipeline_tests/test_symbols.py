"""Symbols that settings name stand for themselves; selectors stand for what they stood for the last time."""

from __future__ import annotations

from pathlib import Path

import pytest

from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.symbols import FILE, has_selectors, known, named_among, refreshed, remember, remembered

PUBLISHED = ["1000PEPEUSDT", "BTCUSDT", "ETHUSDT", "龙USDT"]


@pytest.fixture
def asked_for(tmp_path: Path):
    def asked(symbols: str) -> Settings:
        return load_settings(symbols=symbols, data_dir=tmp_path)

    return asked


def test_one_selector_among_names_is_enough_to_have_some(asked_for) -> None:
    assert has_selectors(asked_for("BTCUSDT,top:2"))
    assert not has_selectors(asked_for("BTCUSDT,ETHUSDT"))


def test_what_selectors_stood_for_is_kept_as_readable_text(tmp_path: Path, asked_for) -> None:
    remember(tmp_path, ("top:2", "ETHUSDT"), ("龙USDT", "ETHUSDT"))

    assert (tmp_path / FILE).read_text(encoding="utf-8") == (
        '{\n "asked": [\n  "top:2",\n  "ETHUSDT"\n ],\n "symbols": [\n  "龙USDT",\n  "ETHUSDT"\n ]\n}\n'
    )
    assert remembered(tmp_path) == (("top:2", "ETHUSDT"), ("龙USDT", "ETHUSDT"))
    assert known(asked_for("top:2,ETHUSDT")) == ("龙USDT", "ETHUSDT")
    assert known(asked_for("ETHUSDT,top:2")) is None
    assert known(asked_for("BTCUSDT")) == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("asked", "symbols"),
    [("?THUSDT,BTC*,ETHUSDT", ("ETHUSDT", "BTCUSDT")), ("SOLUSDT", ("SOLUSDT",)), ("all", tuple(PUBLISHED))],
)
def test_among_published_symbols_each_is_named_once_in_the_order_that_was_asked(asked, symbols, asked_for) -> None:
    assert named_among(asked_for(asked), PUBLISHED) == symbols


@pytest.mark.parametrize(
    ("asked", "symbols"),
    [
        ("SOLUSDT,BTCUSDT", ("SOLUSDT", "BTCUSDT")),
        ("1000*,?THUSDT", ("1000PEPEUSDT", "ETHUSDT")),
        ("1000*,BTCUSDT", ("1000PEPEUSDT", "BTCUSDT")),
        ("all,1000*", tuple(PUBLISHED)),
        ("1000*,top:2", None),
    ],
)
def test_runs_refresh_what_is_named_and_of_patterns_what_is_published(asked, symbols, asked_for) -> None:
    assert refreshed(asked_for(asked), PUBLISHED) == symbols


def test_what_selectors_stood_for_is_refreshed_whatever_is_published(tmp_path: Path, asked_for) -> None:
    remember(tmp_path, ("1000*",), ("1000XUSDT",))

    assert refreshed(asked_for("1000*"), PUBLISHED) == ("1000XUSDT",)


def test_the_default_symbols_are_refreshed_only_where_one_of_them_is_published(monkeypatch) -> None:
    monkeypatch.delenv("LIQ_SYMBOLS", raising=False)

    assert refreshed(load_settings(), ["龙USDT"]) is None
    assert refreshed(load_settings(), ["龙USDT", "ETHUSDT"]) == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert refreshed(load_settings(symbols="BTCUSDT,ETHUSDT"), ["龙USDT"]) == ("BTCUSDT", "ETHUSDT")
