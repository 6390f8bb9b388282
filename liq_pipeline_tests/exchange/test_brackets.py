"""Margin brackets that a user brings: both forms are read, kept with their day, and used from that day on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange.brackets import FILE, imported_brackets, keep_brackets, read_brackets, use_brackets_below
from liq_pipeline.model.margin import bracket_epochs, brackets_known_until, has_own_brackets, use_imported_brackets

DAY = date(2026, 6, 25)
ROWS = [
    {"bracket": 1, "initialLeverage": 60, "notionalCap": 5000, "notionalFloor": 0, "maintMarginRatio": 0.01, "cum": 0},
    {"bracket": 2, "initialLeverage": 40, "notionalCap": 50000, "notionalFloor": 5000, "maintMarginRatio": 0.015,
     "cum": 25.0},
]  # fmt: skip
EXCHANGE = [{"symbol": "NEWUSDT", "brackets": ROWS}]
CCXT = {
    "NEW/USDT:USDT": [
        {"tier": 1.0, "minNotional": 0.0, "maxNotional": 5e3, "maintenanceMarginRate": 0.01, "maxLeverage": 60.0},
        {"tier": 2.0, "minNotional": 5e3, "maxNotional": 5e4, "maintenanceMarginRate": 0.015, "maxLeverage": 40.0},
    ],
    "NEW/USD:NEW": [],
}


@pytest.fixture(autouse=True)
def no_imports_after() -> Iterator[None]:
    yield
    use_imported_brackets(())


def read(body: Any, day: date = DAY):
    return read_brackets(json.dumps(body).encode(), day)


@pytest.mark.parametrize("body", [EXCHANGE, EXCHANGE[0], CCXT], ids=["all", "one", "ccxt"])
def test_each_form_gives_the_same_brackets(body: Any) -> None:
    found = read(body)

    assert found.left_out == []
    assert list(found.tables) == ["NEWUSDT"]
    table = found.tables["NEWUSDT"]
    assert table.valid_from == np.datetime64(DAY)
    assert table.notional_floor.tolist() == [0, 5000]
    assert table.mmr.tolist() == [0.01, 0.015]
    assert table.cum.tolist() == pytest.approx([0, 25])
    assert table.max_leverage.tolist() == [60, 40]


def test_the_order_of_lines_does_not_matter() -> None:
    assert read([{"symbol": "NEWUSDT", "brackets": ROWS[::-1]}]).tables["NEWUSDT"].mmr.tolist() == [0.01, 0.015]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no brackets"),
        (None, "no brackets"),
        ([1], "AttributeError"),
        ([ROWS[1]], "notional floors"),
        ([ROWS[0], ROWS[0]], "notional floors"),
        ([ROWS[0] | {"maintMarginRatio": 0}], "maintenance rates"),
        ([ROWS[0] | {"maintMarginRatio": "1.5"}], "maintenance rates"),
        ([ROWS[0], ROWS[1] | {"maintMarginRatio": 0.001}], "maintenance rates"),
        ([ROWS[0] | {"initialLeverage": 0}], "leverages"),
        ([ROWS[0] | {"initialLeverage": 2}], "2x at 1 %: no leverage from 3x on is possible"),
        ([ROWS[0] | {"maintMarginRatio": 0.4}], "60x at 40 %: no leverage from 3x on is possible"),
        ([ROWS[0], ROWS[1] | {"initialLeverage": 70}], "leverages"),
        ([ROWS[0] | {"initialLeverage": None}], "without initialLeverage or maxLeverage"),
        ([ROWS[0] | {"notionalFloor": "NaN"}], "notionalFloor"),
        ([ROWS[0] | {"notionalFloor": "1e999"}], "notionalFloor"),
        ([ROWS[0] | {"maintMarginRatio": []}], "TypeError"),
    ],
)
def test_a_symbol_whose_brackets_cannot_be_is_left_out_and_the_others_stay(rows: Any, why: str) -> None:
    found = read([*EXCHANGE, {"symbol": "BADUSDT", "brackets": rows}, {"symbol": "../x", "brackets": ROWS}])

    assert list(found.tables) == ["NEWUSDT"]
    assert why in found.left_out[0]
    assert "is not a symbol" in found.left_out[1]


@pytest.mark.parametrize(
    "content",
    [b"", b"no", b"[]", b"{}", b"3", b"null", b'[{"symbol": "A"}]', b"[" * 100_000, b"\xff\xfe", b"9" * 5000],
)
def test_a_file_without_brackets_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(FormatError, match="Expected: the exchange's answer to /fapi/v1/leverageBracket"):
        read_brackets(content, DAY)


def test_they_are_kept_and_a_second_import_changes_nothing(tmp_path: Path) -> None:
    assert keep_brackets(tmp_path, read(EXCHANGE)) == 1
    kept = (tmp_path / FILE).read_bytes()
    assert keep_brackets(tmp_path, read(CCXT)) == 0
    assert (tmp_path / FILE).read_bytes() == kept

    assert keep_brackets(tmp_path, read(EXCHANGE, date(2026, 6, 27))) == 1
    assert [str(table.valid_from) for _, table in imported_brackets(tmp_path)] == ["2026-06-25", "2026-06-27"]


def test_the_model_uses_them_from_their_day_on(tmp_path: Path) -> None:
    assert not has_own_brackets("NEWUSDT")
    keep_brackets(tmp_path, read([*EXCHANGE, {"symbol": "BTCUSDT", "brackets": ROWS}]))
    use_brackets_below(tmp_path)

    assert has_own_brackets("NEWUSDT")
    assert brackets_known_until("NEWUSDT") == "2026-06-25"
    assert brackets_known_until("BTCUSDT") == "2026-09-29"  # what comes with the package is newer
    days = np.array(["2026-06-24T23:55", "2026-06-25T00:00"], dtype="datetime64[us]")
    epoch, history = bracket_epochs("BTCUSDT", days)
    assert [history[index].max_leverage[0] for index in epoch] == [150, 60]


@pytest.mark.parametrize(
    "line",
    ["A,2026-01-01", "A,no,0,.01,0,1", "A,2026-01-01,5,.01,0,1", "A,2026-01-01,0,x,0,1", ",2026-01-01,0,1,0,1"],
)
def test_a_kept_file_that_was_altered_is_said_to_be(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(f"symbol,valid_from,notional_floor,mmr,cum,max_leverage\n{line}\n")

    with pytest.raises(FormatError, match=r"brackets\.csv cannot be read .* To do: delete it, and import"):
        use_brackets_below(tmp_path)


class TestCommands:
    def test_import_show_and_the_next_run_agree(self, liq, run_options, exchange, tmp_path: Path) -> None:
        file = tmp_path / "tiers.json"
        file.write_text(json.dumps([{"symbol": "BTCUSDT", "brackets": ROWS}, {"symbol": "XUSDT", "brackets": []}]))
        data, now = tmp_path / "data", exchange.now.isoformat()

        done = liq("brackets", "import", file, "--date", "2026-06-18", "--data", data, "--now", now)
        assert done.code == 0, done.err
        assert done.out.splitlines() == [
            "left out: 'XUSDT': ValueError: no brackets",
            "1 symbols, brackets of 2026-06-18; 1 tables are new or changed. To do: liq run",
        ]
        shown = liq("brackets", "show", "btcusdt", "--data", data)
        assert "BTCUSDT: margin brackets, as of 2026-09-29" in shown.out
        assert "│ 2026-06-18 │                1 % │              60x │        2 │" in shown.out

        assert liq("run", *run_options(exchange, data)).code == 0
        levels = json.loads((data / "published/manifests/liquidation_levels/BTCUSDT/1d.json").read_bytes())
        assert (levels["max_leverage"], levels["maintenance_margin_pct"]) == (60, 1)

    @pytest.mark.parametrize(("bad", "rest"), [(20, []), (21, ["left out: 1 more"]), (25, ["left out: 5 more"])])
    def test_twenty_that_are_left_out_are_named_and_the_rest_counted(self, liq, tmp_path, bad: int, rest) -> None:
        file = tmp_path / "tiers.json"
        empty = [{"symbol": f"X{number}USDT", "brackets": []} for number in range(bad)]
        file.write_text(json.dumps([{"symbol": "BTCUSDT", "brackets": ROWS}, *empty]))
        done = liq("brackets", "import", file, "--data", tmp_path / "data")

        named = [f"left out: 'X{number}USDT': ValueError: no brackets" for number in range(20)]
        assert done.code == 0, done.err
        assert done.out.splitlines()[:-1] == [*named, *rest]

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (("show", "A-B"), 2, "is not a symbol"),
            (("import", "nowhere.json"), 1, "nowhere.json cannot be read: No such file"),
            (("import", "nowhere.json", "--date", "soon"), 2, "is not an instant"),
            (("import", "nowhere.json", "--date", "2099-01-01"), 2, "lies after now"),
        ],
    )
    def test_what_cannot_be_is_refused_in_words(self, liq, tmp_path, arguments, code: int, said: str) -> None:
        done = liq("brackets", *arguments, "--data", tmp_path)

        assert (done.code, done.out) == (code, "")
        assert said in done.err

    @pytest.mark.parametrize("command", ["run", "validate", "show"])
    def test_every_command_that_uses_brackets_reads_the_imported_ones(
        self, command: str, liq, run_options, exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIQ_DATA_DIR", str(tmp_path))
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / FILE).write_text("altered")
        files = [text for name in ("klines", "open-interest", "liquidations") for text in (f"--{name}", "nowhere.csv")]
        arguments = {
            "run": ["run", *run_options(exchange, tmp_path)], "validate": ["validate", *files],
            "show": ["brackets", "show", "BTCUSDT"],
        }  # fmt: skip

        done = liq(*arguments[command])

        assert done.code == 1
        assert "brackets.csv cannot be read" in done.err
