"""What is asked before long work: a wrong symbol and a missing network are told at once, before Dagster is loaded."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liq_pipeline.errors import ArchiveUnreachable, UnknownSymbol
from liq_pipeline.exchange.preflight import unknown_symbols
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.system.network import PROBE_SECONDS

Started = Callable[..., tuple[subprocess.CompletedProcess[str], set[str]]]


@pytest.fixture
def started(child_env) -> Started:
    """Run `liq` as a process of its own; return how it ended, and which packages it loaded."""

    def run(*arguments: object, **variables: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "liq_pipeline", *map(str, arguments)],
            env=child_env(**variables), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        lines = done.stderr.splitlines(keepends=True)
        loaded = {
            line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")
        }
        done.stderr = "".join(line for line in lines if not line.startswith("import time:"))
        return done, loaded

    return run


def test_a_wrong_symbol_is_told_before_dagster_is_loaded(started, exchange, run_options, tmp_path: Path) -> None:
    with ArchiveServer(exchange.folder) as server:
        done, loaded = started("run", *run_options(exchange, tmp_path, archive=server.url, symbols="BTCUSTD"))

    assert done.returncode == 1
    assert "lists no metrics of 'BTCUSTD'. Expected: one of its 2 symbols, for example BTCUSDT" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "liq_pipeline" in loaded
    assert "dagster" not in loaded
    assert not (tmp_path / "dagster_home").exists()


def test_no_network_is_told_before_dagster_is_loaded(started, exchange, run_options, tmp_path: Path) -> None:
    done, loaded = started("run", *run_options(exchange, tmp_path, archive="http://127.0.0.1:1"))

    assert done.returncode == 1
    assert "127.0.0.1:1 does not answer (Connection refused" in done.stderr
    assert "liq_pipeline" in loaded
    assert "dagster" not in loaded


@pytest.mark.parametrize("command", ["run", "coin-m"])
def test_a_network_that_swallows_everything_is_told_before_dagster_is_loaded(
    command: str, started, tmp_path: Path
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # more than it queues: the next one gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        done, loaded = started(
            command, "--archive", f"http://127.0.0.1:{full.getsockname()[1]}", "--data", tmp_path / "data"
        )

        for one in waiting:
            one.close()
    assert done.returncode == 1
    assert f"does not answer (no answer within {PROBE_SECONDS:g} s" in done.stderr
    assert "liq_pipeline" in loaded
    assert "dagster" not in loaded


def test_one_wrong_symbol_among_good_ones_is_named_and_does_not_stop_them(make_settings) -> None:
    found = unknown_symbols(make_settings(symbols="BTCUSDT,BTCUSTD,ETHUSDT"))

    assert list(found) == ["BTCUSTD"]
    assert "for example BTCUSDT" in found["BTCUSTD"].expected


def test_several_wrong_symbols_are_told_at_once(make_settings) -> None:
    with pytest.raises(UnknownSymbol, match=r"'BTCUSTD'.*for example BTCUSDT.*'ETHUSDD'.*for example ETHUSDT"):
        unknown_symbols(make_settings(symbols="BTCUSTD,ETHUSDD"))


def test_a_listing_that_does_not_answer_is_told_though_the_archive_does(make_settings, exchange) -> None:
    with ArchiveServer(exchange.folder) as server:
        settings = make_settings(archive=server.url, listing="http://127.0.0.1:1")

        with pytest.raises(ArchiveUnreachable, match=r"127\.0\.0\.1:1 does not answer"):
            unknown_symbols(settings)


def test_a_folder_is_asked_without_any_network(make_settings) -> None:
    assert unknown_symbols(make_settings()) == {}


def test_rest_out_of_reach_is_told_before_dagster_is_loaded_and_what_is_published_stays(started, good_run) -> None:
    done, loaded = started("recent", "--data", good_run.data_dir, LIQ_REST="http://127.0.0.1:1")

    assert done.returncode == 0
    assert done.stdout.startswith("nothing new: 127.0.0.1:1 does not answer (Connection refused). To do: check the ")
    assert "liq_pipeline" in loaded
    assert "dagster" not in loaded
