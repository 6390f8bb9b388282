"""`all`, `top:N` and patterns stand for what the archive shows to be traded; who comes and goes is said."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from liq_pipeline.errors import SettingsError, UnknownSymbol
from liq_pipeline.exchange.preflight import find_universe
from liq_pipeline.settings import load_settings
from liq_pipeline.simulator.files import ROOT
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.symbols import FILE, known, named, named_among, refreshed

FIRST, DAYS = date(2026, 7, 1), 4
NOW = "2026-07-05T06:00:00Z"
# By turnover, the largest first; the price makes the difference.
PRICES = {"BTCUSDT": 90_000.0, "ETHUSDT": 3_000.0, "1000PEPEUSDT": 900.0, "龙USDT": 300.0, "BTCUSDC": 90.0}
DELIVERY, ENDED = "BTCUSDT_260925", "OLDUSDT"


@pytest.fixture(scope="module")
def many(made_once) -> Path:
    """Five symbols that are traded, a contract with a delivery date, and a symbol whose files ended long ago."""

    def fill(folder: Path) -> None:
        for seed, (symbol, price) in enumerate({**PRICES, DELIVERY: 80_000.0}.items()):
            config = MarketConfig(
                symbol=symbol, seed=seed, first_day=FIRST, days=DAYS, traders=60, start_price=price, tick=0.01
            )
            publish(simulate(config), folder, intervals=("5m",), defects=())
        old = MarketConfig(symbol=ENDED, seed=9, first_day=FIRST - timedelta(days=30), days=2, traders=60)
        publish(simulate(old), folder, intervals=("5m",), defects=())

    return made_once("many", fill)


@pytest.fixture
def own(many: Path, tmp_path: Path) -> Path:
    """A copy from which a symbol may be taken."""
    return shutil.copytree(many, tmp_path / "exchange")


def settings(archive: Path | str, data: Path, symbols: str):
    return load_settings(symbols=symbols, archive=str(archive), data_dir=data, now=NOW, since=str(FIRST))


def chosen(archive: Path | str, data: Path, symbols: str) -> tuple[str, ...]:
    return find_universe(settings(archive, data, symbols)).symbols


class TestWhatIsMeant:
    @pytest.mark.parametrize(
        ("asked", "symbols"),
        [
            ("all", tuple(sorted(PRICES))),
            ("ALL", tuple(sorted(PRICES))),
            ("top:2", ("BTCUSDT", "ETHUSDT")),
            ("top:99", tuple(PRICES)),
            ("1000*", ("1000PEPEUSDT",)),
            ("*usdc", ("BTCUSDC",)),
            ("?TCUSD?", ("BTCUSDC", "BTCUSDT")),
            ("龙*", ("龙USDT",)),
            ("BTCUSDT_*", (DELIVERY,)),
            ("ETHUSDT,top:1", ("ETHUSDT", "BTCUSDT")),
            ("top:1,BTCUSDT", ("BTCUSDT",)),
            (f"{ENDED},top:1", (ENDED, "BTCUSDT")),  # who is named is asked for
        ],
    )
    def test_it_is_what_was_traded_lately(self, many: Path, tmp_path: Path, asked: str, symbols: tuple[str, ...]):
        assert chosen(many, tmp_path, asked) == symbols

    def test_it_is_the_same_over_http(self, many: Path, tmp_path: Path) -> None:
        with ArchiveServer(many) as server:
            assert chosen(server.url, tmp_path, "top:3") == ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT")

    def test_the_newest_day_counts_though_it_is_a_day_late(self, own: Path, tmp_path: Path) -> None:
        for path in own.rglob(f"*ETHUSDT-5m-{FIRST + timedelta(days=DAYS - 1)}*"):
            path.unlink()

        assert chosen(own, tmp_path, "top:2") == ("BTCUSDT", "ETHUSDT")

    @pytest.mark.parametrize(("absent", "symbols"), [(2, ("BTCUSDT", "ETHUSDT")), (3, ("BTCUSDT", "1000PEPEUSDT"))])
    def test_who_has_no_file_of_the_last_three_days_is_not_traded(
        self, own: Path, tmp_path: Path, absent: int, symbols: tuple[str, ...]
    ) -> None:
        for back in range(1, absent + 1):
            for path in own.rglob(f"*ETHUSDT-5m-{FIRST + timedelta(days=DAYS - back)}*"):
                path.unlink()

        assert chosen(own, tmp_path, "top:2") == symbols

    def test_a_file_that_is_damaged_makes_no_turnover(self, own: Path, tmp_path: Path) -> None:
        for path in own.rglob("*ETHUSDT-5m-*.zip"):
            path.write_bytes(b"PK no zip")

        assert chosen(own, tmp_path, "top:1") == ("BTCUSDT",)
        with pytest.raises(UnknownSymbol, match="'ETH\\*' stands for no symbol that is traded"):
            chosen(own, tmp_path, "ETH*")

    @pytest.mark.parametrize("asked", ["top:0", "top:-1", "top:", "top:x", "top:1.5", "top:٣", "a/b*", "*;", "[A]*"])
    def test_what_no_selector_can_be_is_refused(self, asked: str) -> None:
        with pytest.raises(SettingsError, match="symbols"):
            load_settings(symbols=asked)


class TestComingAndGoing:
    def test_the_first_time_nobody_is_new(self, many: Path, tmp_path: Path) -> None:
        found = find_universe(settings(many, tmp_path, "top:4"))

        assert (found.appeared, found.vanished, found.left) == ((), (), ())
        assert found.said() == ["top:4: 4 symbols"]

    def test_each_that_appears_vanishes_or_leaves_is_said(self, own: Path, tmp_path: Path) -> None:
        find_universe(settings(own, tmp_path, "top:4"))
        shutil.rmtree(own / ROOT / "klines" / "ETHUSDT")  # traded no more
        newcomer = MarketConfig(
            symbol="NEWUSDT", seed=5, first_day=FIRST, days=DAYS, traders=60, start_price=2_000.0, tick=0.01
        )
        publish(simulate(newcomer), own, intervals=("5m",), defects=())
        second = MarketConfig(
            symbol="SECONDUSDT", seed=6, first_day=FIRST, days=DAYS, traders=60, start_price=2_500.0, tick=0.01
        )
        publish(simulate(second), own, intervals=("5m",), defects=())

        found = find_universe(settings(own, tmp_path, "top:4"))

        assert found.symbols == ("BTCUSDT", "SECONDUSDT", "NEWUSDT", "1000PEPEUSDT")
        assert found.said()[1:] == [
            "SECONDUSDT is new",
            "NEWUSDT is new",
            "ETHUSDT is not traded any more: what was published of it stays, with its last bar",
            "龙USDT is not among top:4 any more: what was published of it stays, with its last bar",
        ]

    def test_one_whose_newest_files_are_damaged_is_not_taken_for_gone(self, own: Path, tmp_path: Path) -> None:
        find_universe(settings(own, tmp_path, "all"))
        for path in own.rglob("*ETHUSDT-5m-*.zip"):
            path.write_bytes(b"PK no zip")

        found = find_universe(settings(own, tmp_path, "all"))

        assert set(found.symbols) == set(PRICES)
        assert found.vanished == ()
        assert found.said()[1:] == ["ETHUSDT: its newest files are damaged, so nobody knows whether it is traded"]

    def test_without_the_archive_it_is_what_it_was_the_last_time(self, many: Path, tmp_path: Path) -> None:
        asked = settings(many, tmp_path, "top:2")
        assert known(asked) is None
        with pytest.raises(SettingsError, match="symbols top:2: which they are is not known yet"):
            named(asked)

        find_universe(asked)

        assert known(asked) == named(asked).symbols == ("BTCUSDT", "ETHUSDT")
        assert known(settings(many, tmp_path, "top:3")) is None

    @pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"asked": 3, "symbols": []}', b"\xff", b"[" * 100_000])
    def test_a_damaged_memory_is_none(self, many: Path, tmp_path: Path, content: bytes) -> None:
        (tmp_path / FILE).write_bytes(content)

        assert known(settings(many, tmp_path, "top:2")) is None


class TestAmongPublished:
    def test_a_pattern_tells_what_is_refreshed_before_anybody_asked(self, tmp_path: Path) -> None:
        assert refreshed(settings("x", tmp_path, "1000*"), ["1000PEPEUSDT", "BTCUSDT"]) == ("1000PEPEUSDT",)
        assert refreshed(settings("x", tmp_path, "all"), ["1000PEPEUSDT"]) == ("1000PEPEUSDT",)
        assert refreshed(settings("x", tmp_path, "top:2"), ["1000PEPEUSDT"]) is None

    def test_patterns_are_looked_up_there(self, tmp_path: Path) -> None:
        published = ["1000PEPEUSDT", "BTCUSDT"]

        assert named_among(settings("x", tmp_path, "all"), published) == ("1000PEPEUSDT", "BTCUSDT")
        assert named_among(settings("x", tmp_path, "1000*,BTCUSDT"), published) == ("1000PEPEUSDT", "BTCUSDT")

    @pytest.mark.parametrize(
        ("asked", "why"),
        [("top:2", "turnover is not published"), ("X*", "none of the 2 published symbols. To do: see liq status")],
    )
    def test_what_they_cannot_tell_is_said(self, tmp_path: Path, asked: str, why: str) -> None:
        with pytest.raises(SettingsError, match=why):
            named_among(settings("x", tmp_path, asked), ["1000PEPEUSDT", "BTCUSDT"])
