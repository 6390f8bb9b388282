"""The `liq` command: what it prints, how it ends, that all of it is documented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from liq_pipeline.cli.console import make_console, print_where
from liq_pipeline.cli.demo import demo_mirror, demo_settings
from liq_pipeline.cli.main import app
from liq_pipeline.orchestration.ui import command as ui_command
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.simulator.market import MarketConfig
from liq_pipeline.simulator.server import ArchiveServer


def commands(group: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, those of groups, too: `brackets show`."""
    for part, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{part} ")
        else:
            yield f"{name}{part}", command


@pytest.fixture(scope="module")
def twice(exchange, liq, run_options, bytes_below, tmp_path_factory):
    """`liq run` twice over HTTP: how each ended, what was published after each, what the second asked for."""
    data = tmp_path_factory.mktemp("twice") / "data"
    with ArchiveServer(exchange.folder) as server:
        options = run_options(exchange, data, pictures=True, archive=server.url)
        first, published = liq("run", *options), bytes_below(data / "published")
        server.requests.clear()
        second, again = liq("run", *options), bytes_below(data / "published")
        return first, published, second, again, list(server.requests), data


class TestRun:
    def test_a_good_run_exits_with_0(self, twice) -> None:
        assert twice[0].code == 0, twice[0].out + twice[0].err

    def test_it_prints_every_timeframe_with_both_sides_coverage_and_where_the_files_are(self, twice) -> None:
        first, data = twice[0], twice[-1]

        assert "BTCUSDT: estimated liquidation levels as of 2026-06-28T00:00:00Z" in first.out
        for heading in ("timeframe", "long USD", "short USD", "data covers"):
            assert heading in first.out
        for timeframe in ("1d", "7d", "30d", "90d"):
            assert re.search(rf"│ +{timeframe} │ +\d+ │ +[\d,]+ │ +[\d,]+ │ .* %", first.out), timeframe
        assert f"Files: {data / 'published'}" in first.out

    def test_a_warehouse_of_an_older_version_is_filled_anew_with_one_sentence(
        self, exchange, liq, run_options, tmp_path: Path
    ) -> None:
        old = tmp_path / "warehouse" / "liq.duckdb"
        old.parent.mkdir()
        old.write_bytes(b"of an older version")

        done = liq("run", *run_options(exchange, tmp_path))

        assert done.code == 0, done.out + done.err
        assert done.out.count("Each symbol has a file of tables of its own now") == 1
        assert {path.name for path in old.parent.glob("*.duckdb")} == {"BTCUSDT.duckdb"}

    def test_it_fetches_every_file_once(self, twice) -> None:
        first, _, second, _, requests, _ = twice

        assert "20 files fetched" in first.out.splitlines()[-2]
        assert "0 files fetched" in second.out.splitlines()[-2]
        assert not [path for path in requests if ".zip" in path]

    def test_the_second_time_the_published_files_are_the_same_to_the_byte(self, twice) -> None:
        _, published, second, again, _, _ = twice

        assert second.code == 0
        assert len(published) == 60
        assert again == published

    def test_off_a_terminal_it_writes_plain_lines(self, twice) -> None:
        first = twice[0]

        assert "\x1b" not in first.out + first.err
        assert "\r" not in first.out + first.err
        assert re.search(r"^BTCUSDT metrics: 10 files to fetch, 0\.\d MB$", first.out, re.MULTILINE)
        assert re.search(r"^BTCUSDT metrics: 10 files, 0\.\d MB in .* files/s\)$", first.out, re.MULTILINE)

    def test_a_folder_gives_what_the_same_mirror_gives_over_http(self, twice, good_run: Settings, bytes_below) -> None:
        assert bytes_below(good_run.published_dir) == twice[1]


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["run", "--nonsense"], "No such option: --nonsense"),
            (["run", "--bar", "7m"], "--bar='7m'.*'5m' or '15m'"),
            (["run", "--symbols", " , "], "--symbols=.*no symbol given"),
            (["run", "--symbols", "../etc"], "--symbols=.*letters, digits and '_'"),
            (["run", "--symbols", "A" * 300], "--symbols=.*at most 40"),
            (["run", "--now", "yesterday"], "--now='yesterday'"),
            (["run", "--now", "9999-12-31T23:59:59-23:59"], "--now=.*is not an instant; expected"),
            (["record", "--stream", "wss://[/market"], "--stream='wss://\\[/market': is not a URL"),
            (["run", "--since", "2026-13-01"], "--since='2026-13-01'"),
            (["run", "--archive", "/no/such/folder"], "'/no/such/folder' is neither an http.*To do: correct --archive"),
            (["nonsense"], "No such command 'nonsense'"),
        ],
    )
    def test_it_exits_with_2_and_says_what_was_read_and_expected(self, arguments, says, liq, tmp_path: Path) -> None:
        done = liq(*arguments, *(["--data", tmp_path] if len(arguments) > 2 else []))

        assert done.code == 2
        assert re.search(says, " ".join(done.err.split())), done.err
        assert "Traceback" not in done.err
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ALERT_STALE_HOURS", "inf"), ("ALERT_ZONE_USD", "nan"), ("LOCK_TIMEOUT_SECONDS", "inf"),
            ("SERVE_RATE_LIMIT", "٣/minute"), ("DATA_DIR", "d" * 5000), ("REPLAY_STARTED", "0001-01-01T00:00:00+23:59"),
        ],
    )  # fmt: skip
    def test_a_value_that_no_code_could_work_with_is_refused_at_the_start(self, liq, monkeypatch, name, value) -> None:
        monkeypatch.setenv(f"LIQ_{name}", value)

        done = liq("status")

        assert done.code == 2
        assert f"LIQ_{name}=" in done.err
        assert "Traceback" not in done.err

    def test_a_variable_that_cannot_be_used_is_named(self, liq, monkeypatch) -> None:
        monkeypatch.setenv("LIQ_WORKERS", "many")

        done = liq("run")

        assert done.code == 2
        assert "LIQ_WORKERS='many'" in done.err


class TestStatus:
    def test_it_tells_what_is_published_and_how_old_it_is(self, liq, good_run: Settings) -> None:
        done = liq("status", "--data", good_run.data_dir, "--now", "2026-06-28T06:00:00Z")

        assert done.code == 0
        assert "BTCUSDT: data up to 2026-06-28 00:00 UTC, 6.0 h old" in done.out

    def test_as_json_it_is_json_and_nothing_else(self, liq, good_run: Settings) -> None:
        done = liq("status", "--json", "--data", good_run.data_dir, "--now", "2026-06-28T06:00:00Z")

        found = json.loads(done.out)
        assert found["published"] == str(good_run.published_dir)
        symbol = found["symbols"]["BTCUSDT"]
        assert symbol["as_of"] == "2026-06-28T00:00:00Z"
        assert symbol["age_hours"] == 6
        assert symbol["is_stale"] is False
        assert set(symbol["timeframes"]) == {"1d", "7d", "30d", "90d"}

    def test_stale_data_exits_with_3(self, liq, good_run: Settings) -> None:
        done = liq("status", "--data", good_run.data_dir, "--now", "2026-06-30T00:00:00Z")

        assert done.code == 3
        assert "stale (the limit is 48 h)" in done.out

    def test_with_nothing_published_it_exits_with_1_and_says_what_to_do(self, liq, tmp_path: Path) -> None:
        done = liq("status", "--data", tmp_path)

        assert done.code == 1
        assert "liq run" in done.out
        assert "liq demo" in done.out


class TestDemo:
    def test_it_runs_the_chain_on_a_simulated_exchange_and_says_so(
        self, liq, bytes_below, tmp_path: Path, monkeypatch, exchange
    ) -> None:
        small = [MarketConfig(first_day=exchange.first_day, days=3, traders=100)]
        monkeypatch.setattr("liq_pipeline.simulator.demo.demo_markets", lambda: small)

        first = liq("demo", "--data", tmp_path)
        published = bytes_below(tmp_path / "demo" / "published")
        second = liq("demo", "--data", tmp_path)

        assert (first.code, second.code) == (0, 0)
        assert "BTCUSDT (SIMULATED DATA): estimated liquidation levels" in first.out
        assert "6 files fetched" in first.out
        assert "0 files fetched" in second.out
        assert "ERROR" not in first.out, first.out
        assert bytes_below(tmp_path / "demo" / "published") == published
        assert b'"source_label": "simulated"' in b"".join(published.values())


class TestUi:
    def test_it_opens_dagster_on_this_machine_only(self) -> None:
        options = " ".join(ui_command(3456))

        assert options.endswith(" dev -m liq_pipeline -h 127.0.0.1 -p 3456 --log-level warning")

    def test_a_listing_of_the_real_exchange_does_not_leak_into_the_demo(self, monkeypatch, tmp_path, exchange) -> None:
        small = [MarketConfig(first_day=exchange.first_day, days=1, traders=50)]
        monkeypatch.setattr("liq_pipeline.simulator.demo.demo_markets", lambda: small)
        monkeypatch.setenv("LIQ_LISTING", "https://elsewhere.example")
        settings = load_settings(data_dir=tmp_path)
        mirror = demo_mirror(make_console(), settings)

        env = demo_settings(settings, mirror, archive=str(mirror.folder)).as_environment()

        assert "LIQ_LISTING" not in env
        assert env["LIQ_SOURCE_LABEL"] == "simulated"
        assert env["DAGSTER_HOME"] == str(tmp_path / "demo" / "dagster_home")

    @pytest.mark.parametrize("port", ["0", "99999", "http"])
    def test_a_port_that_is_none_is_refused(self, port: str, liq, tmp_path: Path) -> None:
        assert liq("ui", "--port", port, "--data", tmp_path / "data").code == 2


class TestPrinting:
    @pytest.mark.parametrize("name", ["[bold]x[/bold]", "a [red] b", "[/]", ":smile:", "[x", "100% \\[y]"])
    def test_a_path_is_printed_as_it_is(self, name: str, liq, tmp_path: Path) -> None:
        folder = tmp_path / name

        done = liq("status", "--data", folder)

        assert f"Nothing is published in {folder}/published." in done.out

    def test_so_is_that_of_the_files_of_a_run(self, good_run: Settings, capsys) -> None:
        print_where(make_console(), Path("/a/[bold]/published"))

        assert "Files: /a/[bold]/published" in capsys.readouterr().out


class TestLightness:
    def test_status_loads_neither_dagster_nor_duckdb_nor_numba(self, child_env, good_run: Settings) -> None:
        code = (
            "import sys; sys.argv = ['liq', 'status', '--data', sys.argv[1]]\n"
            "from liq_pipeline.__main__ import main\n"
            "try: main()\n"
            "finally: print('loaded:', sorted({'numba', 'dagster', 'duckdb', 'matplotlib'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, good_run.data_dir],
            env=child_env(),
            capture_output=True,
            text=True,
            check=False,
        )

        assert "loaded: []" in done.stdout, done.stdout + done.stderr
        assert "BTCUSDT: data up to" in done.stdout


class TestUsage:
    """docs/usage.md names every command, option and exit code."""

    @pytest.fixture
    def usage(self, repository: Path) -> str:
        return (repository / "docs" / "usage.md").read_text(encoding="utf-8")

    def test_every_command_and_every_option_is_documented(self, usage: str) -> None:
        for name, command in commands():
            (row,) = re.findall(rf"^\| `liq {name}\b.*$", usage, re.MULTILINE)
            for option in command.params:
                assert option.opts[0] in (row if option.opts[0].startswith("--") else row.lower()), (
                    f"liq {name} {option}"
                )

    def test_every_command_and_every_option_has_help(self) -> None:
        for _, command in commands():
            assert command.help
            assert all(option.help for option in command.params)

    def test_every_exit_code_is_documented(self, usage: str) -> None:
        assert set(re.findall(r"^\| (\d) \|", usage, re.MULTILINE)) == {"0", "1", "2", "3"}


@pytest.mark.slow
def test_an_option_wins_over_a_variable_that_cannot_be_read(exchange, child_env, run_options, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "liq_pipeline", "run", "--bar", "5m", *run_options(exchange, tmp_path)],
        env=child_env(LIQ_BAR="7m"), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All good: BTCUSDT published" in done.stdout
