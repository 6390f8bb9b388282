"""What every test may lean on: a small simulated exchange, settings in a temporary folder, a good warehouse, `liq`.

The one place of the tests that reads the environment.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.simulator.defects import ALL_DEFECTS, HOLES
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.system.proxies import exempt_this_machine
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.chrome import launched
from liq_pipeline_tests.cluster.bucket import _store, bucket  # noqa: F401 - fixtures
from liq_pipeline_tests.lighter import pytest_collection_finish  # noqa: F401 - a hook
from liq_pipeline_tests.subjects import subject_on, warehouse_copy

REPOSITORY = Path(__file__).parents[1]
SHARED_ARCHIVE = REPOSITORY.parent / "shared" / "archive"
CHROMIUM = Path("/usr/bin/chromium")
IN_CI = bool(os.environ.get("CI"))

# The label change of 2026-06-25 lies inside. Ten days: the first are older than the week in which a file is "not yet".
FIRST_DAY, DAYS = date(2026, 6, 18), 10
NOW = datetime(2026, 6, 28, 6, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-docs", action="store_true", help="write generated pages anew instead of comparing them")
    parser.addoption("--made-once", type=Path, help="keep here, for further runs, what many tests read")


def _absent(what: str, remedy: str) -> None:
    """Skip, saying so; in CI nothing may be skipped in silence."""
    message = f"{what} is absent; {remedy}"
    if IN_CI:
        pytest.fail(f"{message} (CI must run this test, not skip it)")
    pytest.skip(message)


@pytest.fixture(autouse=True, scope="session")
def _only_our_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIQ_") or name == "DAGSTER_HOME"]:
            patch.delenv(name)
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        exempt_this_machine()  # the clients of the tests, too, ask loopback without the proxy of whoever runs them
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_archive() -> Path:
    """The real market data that lies beside the checkout."""
    if not SHARED_ARCHIVE.is_dir():
        _absent(str(SHARED_ARCHIVE), "these tests read real market data there, in place")
    return SHARED_ARCHIVE


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A real browser."""
    if not CHROMIUM.exists():
        _absent(str(CHROMIUM), "apt-get install chromium")
    return CHROMIUM


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Any]:
    """A headless Chromium that asks nobody anything."""
    with launched(chromium) as running:
        yield running


@pytest.fixture(scope="session")
def child_env() -> Callable[..., dict[str, str]]:
    """Return an environment for another process: ours without its LIQ_* settings, plus these variables."""

    def env(**variables: str) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("LIQ_")}
        ours.pop("DAGSTER_HOME", None)
        tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{ours['PATH']}", "DAGSTER_DISABLE_TELEMETRY": "1"}
        return ours | tools | variables

    return env


@dataclass(frozen=True)
class Exchange:
    """A simulated exchange's mirror, and the clock to run on it."""

    folder: Path
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    first_day: date = FIRST_DAY
    now: datetime = NOW

    def day(self, number: int) -> date:
        """Return a day of the data, 0 = the first."""
        return self.first_day + timedelta(days=number)


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> MadeOnce:
    """Return a factory of folders that one process of pytest-xdist fills and all of them read."""
    base = tmp_path_factory.getbasetemp()
    base = pytestconfig.getoption("made_once") or (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def exchange(made_once: MadeOnce) -> Exchange:
    """Two symbols, ten days, every defect of the real archive that loses nothing. Only read it."""

    def fill(folder: Path) -> None:
        for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
            market = simulate(MarketConfig(symbol=symbol, seed=seed + 1, first_day=FIRST_DAY, days=DAYS, traders=300))
            publish(market, folder, defects=ALL_DEFECTS - set(HOLES))

    return Exchange(made_once("exchange", fill))


@pytest.fixture
def own_exchange(exchange: Exchange, tmp_path: Path) -> Exchange:
    """A copy of the exchange in which a test may plant faults."""
    return Exchange(shutil.copytree(exchange.folder, tmp_path / "exchange"))


MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(exchange: Exchange, tmp_path: Path) -> MakeSettings:
    """Return a factory of settings: data in `tmp_path / data`, the simulated exchange, its clock, one symbol."""

    def make(**overrides: Any) -> Settings:
        return load_settings(**(_defaults(exchange, tmp_path / "data") | overrides))

    return make


def _defaults(exchange: Exchange, data: Path) -> dict[str, Any]:
    return {
        "symbols": "BTCUSDT",
        "archive": str(exchange.folder),
        "since": exchange.first_day,
        "now": exchange.now,
        "data_dir": data,
    }


@pytest.fixture(scope="session")
def good_run(exchange: Exchange, made_once: MadeOnce) -> Settings:
    """The settings of a run in which all went well: its files, warehouse, published files. Only read it."""

    def settings(folder: Path) -> Settings:
        return load_settings(**_defaults(exchange, folder / "data"))

    def fill(folder: Path) -> None:
        (result,) = refresh(settings(folder))
        assert result.published
        assert not result.errors
        assert not result.findings

    return settings(made_once("good", fill))


@pytest.fixture
def own_run(good_run: Settings, tmp_path: Path) -> Settings:
    """A copy of the good run in which a test may change what it likes."""
    shutil.copytree(good_run.data_dir, tmp_path / "data")
    return good_run.model_copy(update={"data_dir": tmp_path / "data"})


@pytest.fixture
def warehouse(good_run: Settings, tmp_path: Path) -> Warehouse:
    """A copy of the good run's warehouse."""
    return warehouse_copy(good_run, tmp_path)


@pytest.fixture
def published(good_run: Settings, tmp_path: Path) -> Path:
    """A copy of the good run's published files."""
    return shutil.copytree(good_run.published_dir, tmp_path / "published")


@pytest.fixture
def subject(good_run: Settings, warehouse: Warehouse, published: Path) -> Iterator[Subject]:
    """What a check looks at, on good data; alter it through `subject.tables.connection`."""
    with subject_on(good_run, warehouse, published) as looked_at:
        yield looked_at


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str


Liq = Callable[..., Finished]


@pytest.fixture(scope="session")
def liq() -> Liq:
    """Run `liq` with these arguments, in this process, as its entry point does."""
    from liq_pipeline.cli.main import main

    def run(*arguments: object) -> Finished:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr(sys, "argv", ["liq", *map(str, arguments)])
            with pytest.raises(SystemExit) as stopped:
                main()
        code = stopped.value.code
        return Finished(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def run_options() -> Callable[..., list[str]]:
    """Return the options of `liq run` on an exchange, data in a folder; keywords replace or, if None, drop one.

    Pictures are three fifths of a small run: only who looks at them has them drawn.
    """

    def options(exchange: Exchange, data: Path, pictures: bool = False, **overrides: object) -> list[str]:
        chosen = {
            "symbols": "BTCUSDT",
            "archive": exchange.folder,
            "since": exchange.first_day,
            "now": exchange.now.isoformat(),
            "data": data,
        } | overrides
        given = [text for name, value in chosen.items() if value is not None for text in (f"--{name}", str(value))]
        return given if pictures else [*given, "--no-pictures"]

    return options


@pytest.fixture(scope="session")
def copy_of(exchange: Exchange) -> Callable[[Path], Exchange]:
    """Copy the exchange, for a test that plants faults in it."""
    return lambda folder: Exchange(shutil.copytree(exchange.folder, folder))


@pytest.fixture(scope="session")
def bytes_below() -> Callable[[Path], dict[str, bytes]]:
    """Return every visible file below a folder, by its name."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    return read
