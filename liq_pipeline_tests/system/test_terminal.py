"""`liq` on terminals of any encoding: what cannot be shown is escaped, never a UnicodeError; files keep their names."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from liq_pipeline.published.layout import published_symbols
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.system.terminal import escape_what_cannot_be_shown
from liq_pipeline_tests.server.conftest import Service

pytestmark = pytest.mark.whole_run

CHINESE, ESCAPED = "币安人生USDT", r"\u5e01\u5b89\u4eba\u751fUSDT"
NARROW = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252, strict": {"PYTHONIOENCODING": "cp1252:strict"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
WIDE = {"C locale in UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "1"}, "UTF-8": {"PYTHONIOENCODING": "utf-8"}}


@pytest.fixture
def run(child_env):
    """Run `liq` in a process of its own; return its exit code, and what it printed as bytes."""

    def liq(*arguments: object, stdin: bytes = b"", **variables: str) -> tuple[int, bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "liq_pipeline", *map(str, arguments)],
            env=child_env(**variables), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240,
        )  # fmt: skip
        assert b"Traceback" not in done.stdout, done.stdout.decode(errors="replace")
        return done.returncode, done.stdout

    return liq


def manifests_of(published: Path, symbol: str) -> Path:
    return published / "manifests" / "liquidation_levels" / symbol


@pytest.fixture
def data(good_run, tmp_path: Path) -> Path:
    """A data folder in which a Chinese symbol is published, and a folder lies whose name is no text."""
    levels = tmp_path / "data" / "published" / "liquidation_levels"
    shutil.copytree(good_run.published_dir / "liquidation_levels" / "BTCUSDT", levels / CHINESE)
    shutil.copytree(manifests_of(good_run.published_dir, "BTCUSDT"), manifests_of(levels.parent, CHINESE))
    for manifest in manifests_of(levels.parent, CHINESE).iterdir():
        manifest.write_text(manifest.read_text().replace('"symbol": "BTCUSDT"', f'"symbol": "{CHINESE}"'))
    (levels / "\udcff").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("variables", NARROW.values(), ids=list(NARROW))
def test_status_run_forget_and_alerts_escape_what_the_terminal_cannot_show(
    variables, data: Path, run, good_run
) -> None:
    now = ["--now", good_run.now.isoformat()]
    status, printed = run("status", "--data", data, *now, LIQ_SYMBOLS=CHINESE, **variables)
    refused, why = run("run", "--symbols", f"{CHINESE},😀", "--data", data, **variables)
    unsure, asked = run("forget", CHINESE, "--data", data, **variables)
    unsent, said = run("alerts", "test", LIQ_ALERT_URLS=CHINESE, **variables)

    assert (status, refused, unsure, unsent) == (0, 2, 2, 2)
    assert all(ESCAPED.removesuffix("USDT").encode() in text for text in (printed, why, asked))
    assert b"(given: " in said  # addresses are secret, and not shown
    assert CHINESE.encode() not in asked
    assert rb"\U0001f600" in why


@pytest.mark.parametrize("variables", WIDE.values(), ids=list(WIDE))
def test_a_terminal_that_can_show_it_shows_it(variables, data: Path, run, good_run) -> None:
    code, printed = run("status", "--data", data, "--now", good_run.now.isoformat(), LIQ_SYMBOLS=CHINESE, **variables)

    assert code == 0
    assert f"{CHINESE}: data up to" in printed.decode()


def test_as_json_the_name_comes_back_whole_from_an_ascii_terminal(data: Path, run, good_run) -> None:
    _, printed = run("status", "--json", "--data", data, "--now", good_run.now.isoformat(), **NARROW["C locale"])

    assert list(json.loads(printed)["symbols"]) == [CHINESE]


@pytest.mark.parametrize("text", [CHINESE, "😀", "مرحبا", "\udcff", "R² · ≤ …"])
def test_no_text_raises_on_any_stream(text: str) -> None:
    for encoding in ("ascii", "latin-1", "cp1252", "utf-8", "koi8-r"):
        stream = io.TextIOWrapper(sink := io.BytesIO(), encoding=encoding)
        escape_what_cannot_be_shown(stream)
        print(text, file=stream, flush=True)
        assert sink.getvalue()


def test_names_that_are_no_text_are_not_listed(data: Path) -> None:
    assert published_symbols(data / "published") == [CHINESE]


@pytest.fixture
def own_service_of(good_run):
    """Return a factory: a service over a published folder, by its address."""
    running: list[Service] = []

    def serve(folder: Path) -> str:
        running.append(Service(folder, good_run.now))
        return running[-1].url

    yield serve
    for one in running:
        one.stop()


@pytest.mark.slow
def test_a_chinese_symbol_works_from_the_archive_to_the_service(tmp_path: Path, run, own_service_of) -> None:
    market = simulate(MarketConfig(symbol=CHINESE, first_day=date(2026, 6, 18), days=3, traders=100))
    publish(market, tmp_path / "exchange", intervals=("5m",), defects=())
    with ArchiveServer(tmp_path / "exchange") as server:
        code, printed = run(
            "run", "--symbols", CHINESE, "--archive", server.url, "--since", "2026-06-18", "--now",
            "2026-06-21T06:00:00Z", "--data", tmp_path / "data", **NARROW["C locale"],
        )  # fmt: skip
        asked = list(server.requests)

    assert code == 0, printed.decode(errors="replace")
    assert b"Glyph" not in printed
    assert f"{ESCAPED} published".encode() in printed
    assert any(f"/{quote(CHINESE)}-metrics-2026-06-20.zip" in path for path in asked)
    url = own_service_of(tmp_path / "data" / "published")
    assert [item["symbol"] for item in requests.get(f"{url}/symbols", timeout=20).json()["symbols"]] == [CHINESE]
    for path in ("levels", "heatmap", "summary"):
        answer = requests.get(f"{url}/liquidations/{path}", params={"symbol": CHINESE, "timeframe": "1d"}, timeout=20)
        assert answer.json()["symbol"] == CHINESE
    page = tmp_path / "data" / "published" / "views" / CHINESE / "1d" / "heatmap.html"
    assert CHINESE in page.read_text(encoding="utf-8")
