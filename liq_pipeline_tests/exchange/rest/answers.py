"""The instants that the tests of REST ask for, and how short they wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime

from urllib3.util import Retry

from liq_pipeline.exchange.rest import RestClient
from liq_pipeline.simulator.rest import RestServer

FIRST = date(2026, 6, 24)
NOW = datetime(2026, 6, 27, 6, 2, tzinfo=UTC)  # two minutes into a bar
SINCE = datetime(2026, 6, 26, tzinfo=UTC)
QUICK = Retry(total=2, backoff_factor=0.01, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
Open = Callable[..., AbstractContextManager[tuple[RestClient, RestServer]]]
