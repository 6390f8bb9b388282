"""COIN-M files: liquidations, open interest, klines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange.coin_m import (
    SNAPSHOT_COLUMNS,
    Read,
    read_coin_klines,
    read_coin_metrics,
    read_liquidation_snapshots,
)
from liq_pipeline.exchange.quirks import LARGEST, SMALLEST
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.targets.archive import DAY, MIDNIGHT, klines_csv, metrics_csv, zip_maker, zipped

SYMBOL = "BTCUSD_PERP"


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    at = int(MIDNIGHT.timestamp() * 1000)
    rows = [
        f"{at + 1000 * n},{side},LIMIT,IOC,{n},9{n}.5,9{n}.5,FILLED,1,{n}"
        for n in range(1, 9)
        for side in ("SELL", "BUY")
    ]
    orders = "\n".join([",".join(SNAPSHOT_COLUMNS), *(row for row in rows for _ in range(2)), ""]).encode()
    metrics = metrics_csv().replace(b"BTCUSDT", SYMBOL.encode()).replace(b"00:05:00", b"00:00:00")
    return [
        _target(workspace, "liquidationSnapshot", orders, lambda path: read_liquidation_snapshots([path], SYMBOL)),
        _target(workspace, "metrics", metrics, lambda path: read_coin_metrics([path], SYMBOL)),
        _target(workspace, "5m", klines_csv(), lambda path: read_coin_klines([path], SYMBOL)),
    ]


def _target(workspace: Path, kind: str, seed: bytes, read: Callable[[Path], Read]) -> Target:
    name = f"{SYMBOL}-{kind}-{DAY}"
    path = workspace / f"{name}.zip"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        found = read(path)  # the only file is bad: a FormatError
        if found.bad and not all(isinstance(error, FormatError) for _, error in found.bad):
            raise Broken("a bad file without an error of ours")
        rows = found.rows
        stamps = rows[rows.columns[0]]
        if stamps.isna().any() or (abs((stamps - MIDNIGHT).dt.total_seconds()) > 26 * 3600).any():
            raise Broken("stamps of another day")
        for name in rows.columns[1:]:
            values = rows[name].to_numpy(float)
            if not np.isfinite(values).all() or (values < 0).any():
                raise Broken(f"{name} that cannot be")
        if kind == "5m" and len(rows):
            low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
            if not ((low >= SMALLEST) & (high <= LARGEST) & (low <= high)).all():
                raise Broken("prices that cannot be")

    headless = seed.split(b"\n", 1)[1]
    return Target(f"coin-m-{kind}", [zipped(name, seed)], parse, zip_maker(name, [seed, headless]), is_file=True)
