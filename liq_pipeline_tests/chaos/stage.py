"""What is disturbed: a small simulated exchange, the state before, the commands, and what they lead to in peace."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from liq_pipeline_tests.live_exchange import LiveExchange, live_exchange, markets, publish_everything

SYMBOL = "BTCUSDT"
CREW = (SYMBOL, "ETHUSDT")  # where several are worked on at once
HOURS_LATER = 18
TABLES = ("open_interest", "klines", "oi_delta", "position_cohorts", "position_survival", "settlements")


@dataclass(frozen=True)
class Command:
    """One command on one state.

    Attributes:
        name: for people.
        arguments: of `liq`, without its folder.
        rest: the REST interface; empty: off.
        end: the published files and tables to which it leads in peace.
        editions: instants that a reader may see meanwhile.
        symbols: what it works on.
        seconds: that it takes in peace.
    """

    name: str
    arguments: tuple[str, ...]
    rest: str
    end: dict[str, str]
    editions: frozenset[str]
    symbols: tuple[str, ...] = (SYMBOL,)
    seconds: float = 0.0

    def line(self, data: Path) -> list[str]:
        return [str(Path(sys.executable).with_name("liq")), *self.arguments, "--data", str(data)]

    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("LIQ_", "DAGSTER_"))}
        symbols = ",".join(self.symbols)
        return ours | {"LIQ_REST": self.rest or "off", "LIQ_SYMBOLS": symbols, "DAGSTER_DISABLE_TELEMETRY": "1"}

    def run(self, data: Path) -> subprocess.CompletedProcess[str]:
        """Run it undisturbed."""
        return subprocess.run(
            self.line(data), env=self.environment(), capture_output=True, text=True, check=False, timeout=600
        )


@dataclass(frozen=True)
class Stage:
    """The state before, and the commands that go on from it."""

    before: Path
    commands: tuple[Command, ...]

    def copy(self, folder: Path) -> Path:
        """Return a fresh state."""
        return shutil.copytree(self.before, folder)


def fingerprint(data: Path) -> dict[str, str]:
    """Return the sha256 of every published file, and a digest of every table's rows."""
    published = data / "published"
    found = {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(published.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(published).parts)
    }
    for database in (data / "warehouse").glob("*.duckdb"):
        with duckdb.connect(str(database), read_only=True) as connection:
            for table in TABLES:
                (rows,) = connection.execute(
                    f"SELECT md5(string_agg(t::VARCHAR ORDER BY t::VARCHAR)) FROM {table} AS t"
                ).fetchall()
                found[f"table {table} of {database.stem}"] = str(rows[0])
    return found


def ends(done: subprocess.CompletedProcess[str], data: Path, command: Command) -> list[str]:
    """Return how a run's end differs from that of an undisturbed one."""
    if done.returncode:
        return [f"lost: exit code {done.returncode}: {(done.stdout + done.stderr)[-600:]}"]
    end = fingerprint(data)
    return [
        f"lost: {name} differs"
        for name in sorted(end.keys() | command.end.keys())
        if end.get(name) != command.end.get(name)
    ]


def as_of(data: Path) -> str:
    """Return the instant of the published levels: one for all symbols, as they are run together."""
    manifests = data.glob("published/manifests/liquidation_levels/*/7d.json")
    (instant,) = {str(json.loads(manifest.read_text())["as_of"]) for manifest in manifests}
    return instant


@contextmanager
def set_crew_stage(folder: Path, jobs: int) -> Iterator[Stage]:
    """Build the same with several symbols, for one command: `liq run --jobs N`."""
    of = markets(*CREW)
    everything = publish_everything(of, folder / "everything")
    with live_exchange(folder, everything, of) as exchange:
        before, more = folder / "before", ("--jobs", str(jobs), "--no-pictures")
        first = Command("first", ("run", *_options(exchange, exchange.now), *more), "", {}, frozenset(), CREW)
        _good(first.run(before), "the first run")
        exchange.archive_until(date(2026, 6, 26))
        full = ("run", *_options(exchange, exchange.now + timedelta(hours=HOURS_LATER)), *more)
        command = Command(f"liq run --jobs {jobs}", full, "", {}, frozenset(), CREW)
        yield Stage(before, (_in_peace(command, before, folder / "run", as_of(before)),))


@contextmanager
def set_stage(folder: Path) -> Iterator[Stage]:
    """Build the exchange, the state before, and run each command once in peace."""
    of = markets(SYMBOL)
    everything = publish_everything(of, folder / "everything")
    with live_exchange(folder, everything, of) as exchange:
        before = folder / "before"
        first = _options(exchange, exchange.now)
        peace = Command("first", ("run", *first), "", {}, frozenset())
        _good(peace.run(before), "the first run")
        old = as_of(before)
        exchange.archive_until(date(2026, 6, 26))
        later = exchange.now + timedelta(hours=HOURS_LATER)
        full = ("run", *_options(exchange, later))
        commands = [_in_peace(Command("liq run", full, "", {}, frozenset()), before, folder / "run", old)]
        exchange.now = exchange.now + timedelta(minutes=20)
        assert exchange.rest
        recent = ("recent", "--now", exchange.now.isoformat())
        commands.append(
            _in_peace(Command("liq recent", recent, exchange.rest.url, {}, frozenset()), before, folder / "recent", old)
        )
        yield Stage(before, tuple(commands))


def _options(exchange: LiveExchange, now: datetime) -> tuple[str, ...]:
    return (
        "--archive", str(exchange.archive), "--since", str(min(exchange_days(exchange))), "--now", now.isoformat(),
    )  # fmt: skip


def exchange_days(exchange: LiveExchange) -> list[date]:
    """Return the days of the exchange's files."""
    return [date.fromisoformat(path.stem[-10:]) for path in exchange.everything.rglob("*.zip")]


def _in_peace(command: Command, before: Path, data: Path, old: str) -> Command:
    shutil.copytree(before, data)
    began = time.monotonic()
    _good(command.run(data), command.name)
    seconds = time.monotonic() - began
    return replace(command, end=fingerprint(data), editions=frozenset((old, as_of(data))), seconds=seconds)


def _good(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        raise RuntimeError(f"{what} failed in peace: {done.stdout[-2000:]}{done.stderr[-2000:]}")
