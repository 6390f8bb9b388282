"""An exchange whose archive ends 30 hours ago, and the data of a full run on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from liq_pipeline.simulator.market import Market
from liq_pipeline_tests.conftest import MadeOnce
from liq_pipeline_tests.live_exchange import LiveExchange, live_exchange, markets, publish_everything
from liq_pipeline_tests.orchestration.recent.runs import run


@pytest.fixture(scope="module")
def market() -> dict[str, Market]:
    return markets("BTCUSDT")


@pytest.fixture(scope="module")
def everything(market: dict[str, Market], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_everything(market, tmp_path_factory.mktemp("everything"))


@pytest.fixture
def live(market: dict[str, Market], everything: Path, tmp_path: Path) -> Iterator[LiveExchange]:
    with live_exchange(tmp_path, everything, market) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def full_run(market: dict[str, Market], everything: Path, made_once: MadeOnce) -> Path:
    """The data folder of a full run at 30 hours behind, with REST. Only read it."""

    def fill(folder: Path) -> None:
        with live_exchange(folder, everything, market) as exchange:
            result = run(exchange.settings(folder / "data"))
        assert result.published
        assert not result.findings

    return made_once("full_run", fill) / "data"


@pytest.fixture
def data(full_run: Path, tmp_path: Path) -> Path:
    """A copy of the full run's data folder."""
    return shutil.copytree(full_run, tmp_path / "data")
