"""The demo's exchange: three symbols, 120 days that end on 2026-08-01, published once into a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from liq_pipeline.errors import LiqError
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.recording import record
from liq_pipeline.system.storage import write_whole

FORMAT = 2  # raise it when the same configuration would give other bytes
END = date(2026, 8, 1)  # the label change of 2026-06-25 lies inside
DAYS = 120
RECORDED_DAYS = 40  # of forced orders, as if `liq record` had listened
STAMP = ".liq-demo.json"  # the dot keeps it out of the listing


@dataclass(frozen=True)
class DemoMirror:
    """A published demo: its folder, what it holds, and the clock to run on it.

    Attributes:
        folder: root of the mirror.
        symbols: the symbols published.
        since: first day of data.
        now: six hours after the end of the data, UTC.
    """

    folder: Path
    symbols: tuple[str, ...]
    since: date
    now: datetime


def demo_markets() -> list[MarketConfig]:
    """Return the markets of the demo."""
    first_day = END - timedelta(days=DAYS)
    return [
        MarketConfig(symbol="BTCUSDT", seed=11, first_day=first_day, days=DAYS),
        MarketConfig(
            symbol="ETHUSDT",
            seed=12,
            first_day=first_day,
            days=DAYS,
            start_price=3_000.0,
            tick=0.01,
            open_interest=1_900_000.0,
            daily_volatility=0.032,
        ),
        MarketConfig(
            symbol="SOLUSDT",
            seed=13,
            first_day=first_day,
            days=DAYS,
            start_price=150.0,
            tick=0.01,
            open_interest=9_000_000.0,
            daily_volatility=0.038,
            mmr=0.005,
            max_leverage=100.0,
        ),
    ]


def build_demo_mirror(
    folder: Path,
    progress: Callable[[str], None] | None = None,
    markets: Sequence[MarketConfig] | None = None,
    recorded: Path | None = None,
) -> DemoMirror:
    """Simulate and publish the demo under `folder`, unless it is there already.

    Args:
        folder: a folder of our own, new or empty or made by this function before.
        progress: told one line per step.
        markets: other markets than the demo's; they must cover the same days.
        recorded: where the recording of the last days' forced orders goes, as `liq record` leaves it; None: nowhere.

    Raises:
        LiqError: the folder holds something else.
    """
    configs = list(markets) if markets is not None else demo_markets()
    report = progress or (lambda _: None)
    text = json.dumps([FORMAT, [asdict(config) for config in configs]], default=str, sort_keys=True)
    wanted = {"digest": hashlib.sha256(text.encode()).hexdigest(), "complete": True}
    end = configs[0].first_day + timedelta(days=configs[0].days)
    mirror = DemoMirror(
        folder,
        tuple(config.symbol for config in configs),
        configs[0].first_day,
        datetime.combine(end, time(6), tzinfo=UTC),
    )
    if _read_stamp(folder) == wanted and (recorded is None or recorded.is_dir()):
        report(f"the simulated exchange is already in {folder}")
        return mirror
    _clear(folder)
    if recorded:
        shutil.rmtree(recorded, ignore_errors=True)
    _write_stamp(folder, wanted | {"complete": False})
    for config in configs:
        report(f"{config.symbol}: simulating {config.days} days of traders")
        market = simulate(config)
        report(f"{config.symbol}: publishing {len(market.positions['side']):,} positions as open interest and klines")
        publish(market, folder, intervals=("5m",))
        if recorded:
            record(market, recorded, RECORDED_DAYS)
    _write_stamp(folder, wanted)
    return mirror


def _read_stamp(folder: Path) -> object:
    try:
        return json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_stamp(folder: Path, stamp: dict[str, object]) -> None:
    write_whole(folder / STAMP, (json.dumps(stamp) + "\n").encode())


def _clear(folder: Path) -> None:
    """Empty our own folder; refuse to touch one that is not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / STAMP).exists():
        raise LiqError(
            f"{folder} holds files that the demo did not write",
            expected="an empty folder, or one made by the demo",
            remedy="name another folder, or empty this one",
        )
    shutil.rmtree(folder / "data", ignore_errors=True)
