"""What each command hands on, how it ends, and what it prints: the work itself is replaced by what it was given."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from liq_pipeline.cli import making, past
from liq_pipeline.errors import INTERRUPTED
from liq_pipeline.orchestration.results import Finding, SymbolResult
from liq_pipeline.published.schemas import LEVELS_SCHEMA
from liq_pipeline.settings import load_settings
from liq_pipeline_tests.validation.made_up import made_up

AT = datetime(2026, 6, 25, 12, tzinfo=UTC)


class TestRun:
    @pytest.fixture
    def given(self, monkeypatch) -> list[Any]:
        found: list[Any] = []
        monkeypatch.setattr(making, "run_all", lambda settings: found.append(settings) or 0)
        return found

    def test_its_options_become_settings(self, given: list[Any], liq, tmp_path: Path) -> None:
        assert liq("run", "--symbols", "B", "--data", tmp_path, "--jobs", 3, "--no-pictures", "--archive", tmp_path,
                   "--no-checksums", "--bar", "15m", "--since", "2026-01-02").code == 0  # fmt: skip
        found = given[0]
        assert (found.symbols, found.data_dir, found.jobs, found.pictures) == (("B",), tmp_path, 3, False)
        assert (found.archive, found.no_checksums, found.bar) == (str(tmp_path), True, "15m")
        assert found.since == date(2026, 1, 2)

    def test_without_options_variables_count(self, given: list[Any], liq, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setenv("LIQ_NO_CHECKSUMS", "1")
        monkeypatch.setenv("LIQ_PICTURES", "0")
        liq("run", "--archive", tmp_path)
        monkeypatch.delenv("LIQ_NO_CHECKSUMS")
        monkeypatch.delenv("LIQ_PICTURES")
        liq("run")
        assert [(one.no_checksums, one.pictures) for one in given] == [(True, False), (False, True)]

    @pytest.mark.parametrize(
        ("results", "code", "said"),
        [
            ([{"published": True}, {"published": True, "fetched": 3}], 0, "All good: A, B published (exit code 0)"),
            ([{"published": True}, {"errors": ["x"]}], 1,
             "Not all is good: data was lost or could not be published for B (exit code 1)"),
            ([{"published": True, "findings": [Finding("a", "b", "ERROR", "c")]}, {"published": True}], 3,
             "Published, but with errors for A, see above (exit code 3)"),
            ([{}, {}], 1, "Not all is good: data was lost or could not be published for A, B (exit code 1)"),
        ],
    )  # fmt: skip
    def test_it_ends_with_what_became_of_all(self, results, code, said, monkeypatch, tmp_path, capsys) -> None:
        found = [SymbolResult(symbol, **one) for symbol, one in zip("AB", results, strict=True)]
        monkeypatch.setattr("liq_pipeline.exchange.preflight.unknown_symbols", lambda _: {})
        monkeypatch.setattr("liq_pipeline.orchestration.workers.refresh_at_once", lambda *_: reversed(found))
        statuses = {symbol: {"timeframes": {}} for symbol in "AB"}
        monkeypatch.setattr("liq_pipeline.published.status.read_status", lambda *_: statuses)
        settings = load_settings(symbols="A,B", data_dir=tmp_path, archive=str(tmp_path), since="2026-06-25", now=AT)

        assert making.run_all(settings) == code

        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == said
        assert lines[-2] == f"{sum(one.fetched for one in found)} files fetched"
        assert any(line.startswith("Files: ") for line in lines) == any(one.published for one in found)
        assert [line[0] for line in lines if "files fetched, " in line] == ["B", "A"]  # as they end

    def test_a_first_day_after_now_is_refused_and_that_of_now_is_not(self, liq, tmp_path, monkeypatch) -> None:
        options = ["--archive", tmp_path, "--data", tmp_path / "d", "--now", "2026-06-25T23:00Z"]
        done = liq("run", "--since", "2026-06-26", *options)
        assert (done.code, "since 2026-06-26 lies after now" in done.err) == (2, True)
        monkeypatch.setattr(making, "check_writable", lambda _: (_ for _ in ()).throw(SystemExit(77)))
        assert liq("run", "--since", "2026-06-25", *options).code == 77

    @pytest.mark.parametrize(("code", "ends"), [(0, 0), (5, 5), (INTERRUPTED, 130)])
    def test_the_ui_ends_as_dagster_does(self, code: int, ends: int, liq, monkeypatch, tmp_path: Path) -> None:
        given: list[Any] = []
        monkeypatch.setattr("liq_pipeline.orchestration.ui.run_ui", lambda *all_: given.append(all_) or code)
        monkeypatch.setattr("liq_pipeline.cli.app.leave", lambda: (_ for _ in ()).throw(SystemExit(INTERRUPTED)))
        assert liq("ui", "--data", tmp_path).code == ends
        assert (given[0][0].data_dir, given[0][1]) == (tmp_path, 3000)


class TestForget:
    @pytest.fixture
    def removed(self, monkeypatch) -> list[Any]:
        given: list[Any] = []
        holdings = SimpleNamespace(said=lambda with_raw: [f"raw: {with_raw}"])
        monkeypatch.setattr("liq_pipeline.orchestration.forget.find_holdings", lambda settings, symbol: holdings)
        monkeypatch.setattr("liq_pipeline.orchestration.forget.forget",
                            lambda settings, found, with_raw: given.append(with_raw))  # fmt: skip
        return given

    @pytest.mark.parametrize(
        ("answer", "is_removed"), [("y", True), (" YES ", True), ("n", False), ("", False), (None, False)]
    )
    def test_only_a_yes_removes(self, answer, is_removed, removed: list[Any], liq, monkeypatch, tmp_path) -> None:
        def answered(question: str) -> str:
            if answer is None:
                raise EOFError
            return answer

        monkeypatch.setattr("builtins.input", answered)
        done = liq("forget", "xusdt", "--data", tmp_path)
        assert done.code == (0 if is_removed else 2)
        assert removed == [False] * is_removed
        assert done.out.splitlines()[:2] == ["XUSDT:", "raw: False"]
        assert ("Nothing was removed. To do: answer y, or --yes" in done.out) != is_removed

    def test_with_yes_nobody_is_asked(self, removed: list[Any], liq, monkeypatch, tmp_path) -> None:
        monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
        done = liq("forget", "XUSDT", "--raw", "--yes", "--data", tmp_path)
        assert (done.code, removed) == (0, [True])
        assert done.out.splitlines() == [
            "XUSDT:", "raw: True", "XUSDT is forgotten. Dagster's history keeps its runs",
        ]  # fmt: skip

    def test_a_symbol_that_the_next_run_brings_back_is_said(self, removed, liq, monkeypatch, tmp_path) -> None:
        said = liq("forget", "BTCUSDT", "--yes", "--data", tmp_path).out
        assert (
            "BTCUSDT is the default: the next run without --symbols brings it back. To do: name others in LIQ" in said
        )
        monkeypatch.setenv("LIQ_SYMBOLS", "XUSDT")
        said = liq("forget", "XUSDT", "--yes", "--data", tmp_path).out
        assert "XUSDT is in LIQ_SYMBOLS: the next run without --symbols brings it back. To do: take it out" in said
        assert "brings it back" not in liq("forget", "BTCUSDT", "--yes", "--data", tmp_path).out


class TestCoinM:
    @pytest.mark.parametrize(("more", "needs"), [([], True), (["--no-checksums"], False)])
    def test_its_options_are_handed_on(self, more, needs: bool, liq, monkeypatch, tmp_path: Path) -> None:
        given: dict[str, Any] = {}

        def validated(archive: str, folder: Path, **others: Any) -> Any:
            given.update(others, archive=archive, folder=folder)
            return made_up()

        monkeypatch.setattr("liq_pipeline.validation.coin_m.validate_coin_m", validated)
        monkeypatch.setattr("liq_pipeline.exchange.preflight.require_reachable", lambda _: None)
        done = liq("coin-m", "--archive", tmp_path, "--data", tmp_path / "d", "--since", "2024-01-02", *more)

        assert done.code == 0, done.err
        assert (given["needs_checksums"], given["workers"], given["bar"]) == (needs, 8, "5m")
        assert (given["since"], given["until"]) == (date(2024, 1, 2), date(2024, 10, 14))
        assert given["folder"] == tmp_path / "d" / "validation" / "coin_m"
        assert given["out"] == tmp_path / "d" / "published" / "validation" / "BTCUSD_PERP" / "coin_m"
        assert f"Report: {given['out']}/validation.html" in done.out


class TestAt:
    def rows(self, *bins: tuple[str, float, float, float]) -> pa.Table:
        """Rows of (side, leverage, price_low, USD)."""
        row = {"exchange": "binance", "symbol": "龙USDT", "timeframe": "7d", "as_of": AT, "contracts": 1.0,
               "current_price": 100.0, "distance_pct": 0.0}  # fmt: skip
        return pa.Table.from_pylist(
            [row | {"side": side, "leverage": leverage, "price_low": low, "price_high": low + 0.5, "notional_usd": usd}
             for side, leverage, low, usd in bins], schema=LEVELS_SCHEMA,
        )  # fmt: skip

    def test_the_largest_level_is_that_of_all_leverages_and_of_equal_ones_the_lower(self) -> None:
        rows = self.rows(("long", 5, 97, 3.0), ("long", 9, 98, 2.0), ("long", 10, 98, 2.0), ("long", 9, 96, 4.0))
        assert past._largest(rows) == "4 at 96 – 96.5"
        assert past._largest(rows.slice(0, 3)) == "4 at 98 – 98.5"
        assert past._largest(rows.slice(0, 0)) == "none"

    def test_each_timeframe_is_a_row_and_the_title_one_line(self, monkeypatch, capsys) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        levels = {"7d": self.rows(("long", 5, 97, 3e6), ("long", 5, 98, 2e6), ("short", 5, 103, 7e6)),
                  "90d": self.rows()}  # fmt: skip
        past._print(past.make_console(), "龙" * 30, AT, 64_321.5, levels, {"source_label": "simulated"})
        lines = capsys.readouterr().out.splitlines()

        assert lines[1] == (
            f"{'龙' * 30} (SIMULATED DATA): estimated liquidation levels as of 2026-06-25T12:00:00Z, price 64,321.5 USD"
        )
        cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
        assert cells == [
            ["7d", "3", "5,000,000", "7,000,000", "3,000,000 at 97 – 97.5", "7,000,000 at 103 – 103.5"],
            ["90d", "0", "0", "0", "none", "none"],
        ]
        assert lines[-1].strip() == "exposure, not a forecast; as the model sees it now"

    def test_json_is_readable_text(self) -> None:
        text = past._bytes(self.rows(("long", 5, 97, 3.0)), ".json").decode()
        assert text.startswith('[\n {\n  "exchange": "binance",\n  "symbol": "龙USDT",\n')
        assert text.endswith("}\n]\n")
        assert json.loads(text)[0]["as_of"] == "2026-06-25T12:00:00Z"


class TestBrackets:
    def test_import_and_show(self, liq, tmp_path: Path) -> None:
        tiers = {f"{name}/USDT:USDT": [
            {"minNotional": 0, "maxNotional": 1000, "maintenanceMarginRate": 0.004, "maxLeverage": 125,
             "info": {"cum": "0"}},
            {"minNotional": 1000, "maxNotional": 5000, "maintenanceMarginRate": 0.0125, "maxLeverage": 50,
             "info": {"cum": "8.5"}},
        ] for name in ("NEWA", "NEWB")}  # fmt: skip
        wrong = {f"BAD{number}/USDT:USDT": [] for number in range(21)}
        (tmp_path / "t.json").write_text(json.dumps(tiers | wrong))
        options = ["--now", "2026-06-25T12:00Z", "--data", tmp_path / "d"]

        late = liq("brackets", "import", tmp_path / "t.json", "--date", "2026-06-26", *options)
        assert (late.code, "--date 2026-06-26 lies after now (2026-06-25)" in late.err) == (2, True)
        done = liq("brackets", "import", tmp_path / "t.json", "--date", "2026-06-25", *options)
        assert done.code == 0, done.err
        *left_out, more, last = done.out.splitlines()
        assert len(left_out) == 20
        assert more == "left out: 1 more"
        assert last == "2 symbols, brackets of 2026-06-25; 2 tables are new or changed. To do: liq run"

        shown = liq("brackets", "show", "newausdt", "--data", tmp_path / "d").out.splitlines()
        assert shown[0].startswith("NEWAUSDT: margin brackets, as of 2026-06-25")
        rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown if line.startswith("│")]
        assert rows[-3:] == [
            ["2026-06-25", "0.4 %", "125x", "2"], ["0", "0.4 %", "0", "125x"], ["1,000", "1.25 %", "8.5", "50x"],
        ]  # fmt: skip
