"""Editions of a published folder, and publishes of them that are killed at every call."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from liq_pipeline.published.publish import PublishedDataset, Publisher, Views
from liq_pipeline.published.schemas import LEVELS_SCHEMA
from liq_pipeline.published.status import read_status
from liq_pipeline.server.store import Store

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
TIMEFRAMES = ("1d", "7d", "30d")
Files = dict[str, bytes]


def levels(price: float, symbol: str = "BTCUSDT") -> list[PublishedDataset]:
    """An edition: every row and every manifest tells its price."""
    found = []
    for timeframe in TIMEFRAMES:
        row = {
            "exchange": "binance", "symbol": symbol, "timeframe": timeframe, "as_of": AS_OF,
            "side": "long", "leverage": 10.0,
            "price_low": price - 10, "price_high": price - 9, "contracts": 1.0, "notional_usd": price,
            "current_price": price, "distance_pct": -9.5,
        }  # fmt: skip
        amounts = ("open_interest_contracts", "long_notional_usd", "short_notional_usd", "long_contracts",
                   "short_contracts", "coverage_pct")  # fmt: skip
        facts = {"as_of": AS_OF.isoformat(), "current_price": price} | dict.fromkeys(amounts, 1.0)
        found.append(
            PublishedDataset("liquidation_levels", symbol, pa.Table.from_pylist([row], LEVELS_SCHEMA), facts, timeframe)
        )
    return found


def publish(folder: Path, price: float, symbol: str = "BTCUSDT") -> None:
    Publisher(folder=str(folder)).publish(levels(price, symbol))


def publish_views(folder: Path, price: float) -> None:
    files = {"map.png": b"png %f" % price, "levels.csv": b"csv %f" % price}
    views = [Views("BTCUSDT", timeframe, files, {"as_of": AS_OF.isoformat()}) for timeframe in TIMEFRAMES]
    Publisher(folder=str(folder)).publish_views(views, {"page.1.js": b"always the same"})


WRITERS: dict[str, Callable[[Path, float], None]] = {"levels": publish, "views": publish_views}

# Publishes over copies of a folder; each copy's process is killed before its n-th call that changes something on disk.
KILLER = """
import os, shutil, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import editions as tests
from liq_pipeline.published.journal import finish_interrupted
before, copies, do = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
number, ended = 0, False
while not ended:
    number += 1
    folder = copies / str(number)
    shutil.copytree(before, folder)
    child = os.fork()
    if not child:
        calls = [0]
        def dying(call):
            def count(*arguments, **named):
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), 9)
                return call(*arguments, **named)
            return count
        for name in ("replace", "rename", "fsync", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        finish_interrupted(folder) if do == "finish" else tests.WRITERS[do](folder, 200.0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, 9), status
    ended = status == 0
"""


def killed_at_every_call(before: Path, copies: Path, do: str) -> list[Path]:
    """Return one folder for each kill; the last one is of the process that ended by itself."""
    code = KILLER.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code, before, copies, do], check=False, timeout=200, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return in_order(copies)


def in_order(copies: Path) -> list[Path]:
    return sorted(copies.iterdir(), key=lambda folder: int(folder.name))


def look_by_store(folder: Path) -> None:
    Store(folder).symbols()


def look_by_status(folder: Path) -> None:
    read_status(folder, AS_OF)


def look_by_writer(folder: Path) -> None:
    publish(folder, 5.0, "ETHUSDT")


LOOKS = {"the service": look_by_store, "status": look_by_status, "the next writer": look_by_writer}


class Killed:
    """What is left of publishes of one kind that were killed at every call, and the editions before and after."""

    def __init__(self, place: Path) -> None:
        self.old, self.new = visible(place / "before"), visible(place / "after")
        self._folders = in_order(place / "killed")

    def folders(self, place: Path) -> list[Path]:
        """Return copies, one for each kill and one of the process that ended by itself."""
        return [Path(shutil.copytree(folder, place / folder.name)) for folder in self._folders]


def kill_at_every_call(kind: str, place: Path) -> None:
    """Publish an edition, and another over copies of it, in which it is killed at one call each."""
    WRITERS[kind](place / "before", 100.0)
    WRITERS[kind](place / "after", 200.0)
    killed_at_every_call(place / "before", place / "killed", kind)


def visible(folder: Path) -> Files:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def of_symbol(files: Files, symbol: str = "BTCUSDT") -> Files:
    return {name: content for name, content in files.items() if symbol in name or "assets" in name}
