"""The tools for language models, asked by a real client: in memory, over standard input, over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from liq_pipeline import client as published
from liq_pipeline.server.tools import make_tools

TOOLS = {"symbols", "liquidation_map", "largest_zones", "features", "health"}
QUESTIONS = {
    "symbols": {},
    "liquidation_map": {"symbol": "BTCUSDT", "timeframe": "7d"},
    "largest_zones": {"symbol": "btcusdt", "count": 3},
    "features": {"symbol": "BTCUSDT", "bars": 2},
    "health": {},
}


def ask(server: Any, tool: str, **arguments: Any) -> tuple[bool, Any]:
    """Return whether the answer is an error, and what it says."""

    async def run() -> tuple[bool, Any]:
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments)
            text = "".join(part.text for part in result.content)
            return bool(result.is_error), text if result.is_error else json.loads(text)

    return asyncio.run(run())


def names(server: Any) -> set[str]:
    async def run() -> set[str]:
        async with Client(server) as client:
            return {tool.name for tool in (await client.list_tools()).tools if tool.description}

    return asyncio.run(run())


@pytest.fixture(scope="module")
def server(good_run) -> Any:
    return make_tools(good_run.published_dir, lambda: good_run.now)


def test_five_tools_are_listed_and_described(server) -> None:
    assert names(server) == TOOLS


@pytest.mark.parametrize("tool", QUESTIONS)
def test_each_answer_says_that_it_is_estimated_and_how_old(tool: str, server) -> None:
    is_error, said = ask(server, tool, **QUESTIONS[tool])

    assert not is_error, said
    assert "not a forecast" in said["note"]
    if "symbol" in QUESTIONS[tool]:
        assert (said["symbol"], said["as_of"], said["age_hours"]) == ("BTCUSDT", "2026-06-28T00:00:00Z", 6.0)
        assert said["source_label"] == ""


def test_the_map_adds_up_to_what_is_published(server, good_run) -> None:
    _, said = ask(server, "liquidation_map", symbol="BTCUSDT", timeframe="7d")
    rows = published.liquidation_levels("BTCUSDT", "7d", folder=good_run.published_dir)

    for side in ("long", "short"):
        assert said[f"{side}_notional_usd"] == pytest.approx(rows.loc[rows["side"] == side, "notional_usd"].sum())
        steps = list(said["usd_within"][side].values())
        assert steps == sorted(steps)


def test_the_largest_zones_are_the_largest(server, good_run) -> None:
    _, said = ask(server, "largest_zones", symbol="BTCUSDT", timeframe="7d", count=3, at="2026-06-25T12:00Z")
    rows = published.liquidation_levels("BTCUSDT", "7d", at="2026-06-25T12:00Z", folder=good_run.published_dir)
    bins = rows.groupby(["side", "price_low"])["notional_usd"].sum()

    assert said["as_of"] == "2026-06-25T12:00:00Z"
    for side in ("long", "short"):
        expected = bins[side].nlargest(3)
        assert [zone["price_low"] for zone in said["zones"][side]] == expected.index.tolist()
        assert [zone["notional_usd"] for zone in said["zones"][side]] == pytest.approx(expected.tolist(), abs=1)


def test_features_are_the_newest_bars(server, good_run) -> None:
    _, said = ask(server, "features", symbol="BTCUSDT", bars=2)
    rows = published.liquidation_features("BTCUSDT", folder=good_run.published_dir).tail(2)

    assert [bar["imbalance"] for bar in said["bars"]] == pytest.approx(rows["imbalance"].tolist())
    assert said["bars"][-1]["ts"] == "2026-06-28T00:00:00Z"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("liquidation_map", {"symbol": "XUSDT"}, "XUSDT is not published"),
        ("liquidation_map", {"symbol": "BTCUSDT", "timeframe": "2d"}, "timeframe"),
        ("largest_zones", {"symbol": "BTCUSDT", "count": 0}, "count"),
        ("liquidation_map", {"symbol": "BTCUSDT", "at": "noon"}, "'noon' is not an instant"),
        ("liquidation_map", {"symbol": "BTCUSDT", "at": "2020-01-01"}, "no bar that closed by 2020-01-01"),
        ("features", {"symbol": "../x"}, "is not published"),
    ],
)
def test_wrong_input_is_an_error_that_says_so(tool: str, arguments: dict, said: str, server) -> None:
    is_error, text = ask(server, tool, **arguments)

    assert is_error
    assert said in text
    assert "Traceback" not in text


def test_the_command_answers_over_standard_input(good_run, child_env) -> None:
    started = StdioServerParameters(
        command=sys.executable,
        args=["-m", "liq_pipeline", "mcp", "--data", str(good_run.data_dir), "--now", good_run.now.isoformat()],
        env=child_env(),
    )

    assert names(started) == TOOLS
    assert ask(started, "health")[1]["status"] == "ok"


def test_the_command_answers_over_http(good_run, child_env) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "liq_pipeline", "mcp", "--http", "--port", str(port), "--data", good_run.data_dir,
         "--now", good_run.now.isoformat()],
        env=child_env(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _ in range(300):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        assert ask(f"http://127.0.0.1:{port}/mcp", "symbols")[1]["symbols"][0]["symbol"] == "BTCUSDT"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_port_that_is_taken_is_said_with_what_to_do(good_run, liq) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = liq("mcp", "--http", "--port", taken.getsockname()[1], "--data", good_run.data_dir)

    assert done.code == 2
    assert "To do: --port" in done.err
    assert "Traceback" not in done.err
