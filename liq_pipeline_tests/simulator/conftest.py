"""One small market across the label change, and its mirror, shared by the tests that only read them."""

from datetime import date

import pytest

from liq_pipeline.simulator.market import Market, MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish


@pytest.fixture(scope="session")
def market() -> Market:
    return simulate(MarketConfig(first_day=date(2026, 6, 20), days=10, traders=500))


@pytest.fixture(scope="session")
def mirror(market, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    publish(market, folder)
    return folder
