"""A plugin of pytest: `--record` what each test executes, or run only those that `--chosen` lists, in its order.

Loaded with `-p`, in every process of pytest-xdist. A fixture that several tests share is recorded under its own name:
what it executes belongs to each test that uses it, not to the one that came first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, help="folder for what each test executes, and how long it takes")
    parser.addoption("--chosen", type=Path, help="JSON: the tests to run, by file; a file without any runs whole")


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("record"):
        config.pluginmanager.register(_Recorder(folder))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if listed := config.getoption("chosen"):
        chosen = json.loads(listed.read_text(encoding="utf-8"))
        order = {test: number for number, test in enumerate(test for tests in chosen.values() for test in tests)}
        whole = {file for file, tests in chosen.items() if not tests}
        kept = [item for item in items if item.nodeid in order or item.nodeid.partition("::")[0] in whole]
        items[:] = sorted(kept, key=lambda item: order.get(item.nodeid, -1))


class _Recorder:
    def __init__(self, folder: Path) -> None:
        os.environ["COVERAGE_CORE"] = "ctrace"  # the only one that tells tests apart
        self.folder, self.worker = folder, os.environ.get("PYTEST_XDIST_WORKER", "main")
        self.coverage = Coverage(folder / f"lines.{self.worker}", source=["liq_pipeline"], config_file=False)
        self.coverage.set_option("run:disable_warnings", ["no-data-collected"])  # who only hands out tests
        self.coverage.start()
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self.coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.coverage.switch_context("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        self.coverage.switch_context(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            self.coverage.switch_context(request._pyfuncitem.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = report.duration

    def pytest_unconfigure(self) -> None:
        self.coverage.stop()
        self.coverage.save()
        told = {"seconds": self.seconds, "fixtures": self.fixtures}
        (self.folder / f"tests.{self.worker}.json").write_text(json.dumps(told), encoding="utf-8")
