"""A simulated exchange whose archive lags behind its REST interface, on a clock that the test moves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.simulator.market import Market, MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.rest import RestServer

FIRST_DAY, DAYS = date(2026, 6, 18), 10
THIRTY_HOURS_BEHIND = datetime(2026, 6, 27, 6, tzinfo=UTC)  # the archive's last file is that of 2026-06-25
FIVE_MINUTES = timedelta(minutes=5)


def markets(*symbols: str) -> dict[str, Market]:
    """Return small markets of ten days."""
    return {
        symbol: simulate(MarketConfig(symbol=symbol, seed=seed, first_day=FIRST_DAY, days=DAYS, traders=300))
        for seed, symbol in enumerate(symbols, start=5)
    }


@dataclass
class LiveExchange:
    """What tests move and look at."""

    everything: Path
    archive: Path
    now: datetime
    rest: RestServer | None = None

    def archive_until(self, day: date) -> None:
        """Let the archive have every day up to this one."""
        for path in self.everything.rglob("*"):
            stamp = path.name.removesuffix(".CHECKSUM").removesuffix(".zip")[-10:]
            if path.is_file() and stamp <= day.isoformat():
                target = self.archive / path.relative_to(self.everything)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)

    def settings(self, data: Path, **overrides: Any) -> Settings:
        """Return settings for this exchange at this moment."""
        given = {
            "symbols": "BTCUSDT",
            "archive": str(self.archive),
            "since": FIRST_DAY,
            "now": self.now,
            "data_dir": data,
            "rest": self.rest.url if self.rest else "off",
            "pictures": False,
        }
        return load_settings(**(given | overrides))


MakeLive = Callable[..., Any]


@contextmanager
def live_exchange(folder: Path, everything: Path, of: dict[str, Market], **rest: Any) -> Iterator[LiveExchange]:
    """Open the exchange at 30 hours behind; `rest` goes to the simulated REST interface."""
    exchange = LiveExchange(everything, folder / "archive", THIRTY_HOURS_BEHIND)
    exchange.archive_until(date(2026, 6, 25))
    with RestServer(of, lambda: exchange.now, **rest) as server:
        exchange.rest = server
        yield exchange


def publish_everything(of: dict[str, Market], folder: Path) -> Path:
    """Write all files that the archive will ever have."""
    for market in of.values():
        publish(market, folder, intervals=("5m", "15m"), defects=())
    return folder
