"""REST: bodies, headers; and what is kept of its answers on our own disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.exchange.calibration import load_calibration
from liq_pipeline.exchange.keys import METRICS, klines
from liq_pipeline.exchange.rest import read_json
from liq_pipeline.exchange.rest_rows import WrongShape, kline_rows, open_interest_rows, symbol_facts
from liq_pipeline.exchange.tail import read_tail, refusal, tail_path
from liq_pipeline.exchange.web import EARLIEST, LATEST, instant_of, seconds_of
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.mutators import NUMBERS
from liq_pipeline_tests.fuzz.targets.archive import check_snapshots, judge_klines

NOW = datetime(2026, 6, 27, 6, 2, tzinfo=UTC)
FIRST = int(datetime(2026, 6, 26, tzinfo=UTC).timestamp() * 1000)
STEP = 300_000


def _snapshots(count: int = 4) -> list[Any]:
    return [
        {"symbol": "X", "sumOpenInterest": f"{n}.5", "sumOpenInterestValue": f"{n}99.5", "timestamp": FIRST + n * STEP}
        for n in range(1, count + 1)
    ]


def _bars(count: int = 4) -> list[Any]:
    return [
        [FIRST + n * STEP, "100", "102", "99", "101", "10.5", FIRST + (n + 1) * STEP - 1, "1050", 7, "5", "500", "0"]
        for n in range(count)
    ]


_SYMBOLS = {
    "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}],
    "symbols": [{"symbol": "X", "status": "TRADING", "contractType": "PERPETUAL", "onboardDate": 1569398400000}],
}


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    bodies = {"open-interest": _snapshots(), "klines": _bars(), "symbols": _SYMBOLS}
    readers: dict[str, Callable[[Any], None]] = {
        "open-interest": _read_snapshots,
        "klines": _read_bars,
        "symbols": _facts,
    }
    found = [
        Target(
            f"rest-{name}",
            [json.dumps(body).encode(), b"[]", b"{}"],
            lambda data, read=readers[name]: read(read_json(data, "somewhere")),
            lambda rng, body=body: json.dumps(_spoilt(rng, body)).encode(),
            (WrongShape,),
        )
        for name, body in bodies.items()
    ]
    dates = [b"Sat, 27 Jun 2026 06:02:00 GMT", b"Sat, 27 Jun 2026 06:02:00 +0000", b"3", b"120"]
    found.append(Target("rest-headers", dates, _headers, typed=(ValueError,)))
    found.append(Target("stored-tail", [_stored(True), _stored(False)], _TailReader(workspace), is_file=True))
    found.append(Target("stored-json", [_CALIBRATION, _REFUSED], _JsonReader(workspace), is_file=True))
    return found


def _spoilt(rng: Random, body: Any) -> Any:
    """Return a copy with some value exchanged for another that JSON can hold."""
    values = [None, True, [], {}, -1, 0, 1e308, 2**63, 1e-320, *(n.decode("utf-8", "replace")[:50] for n in NUMBERS)]

    def walk(value: Any) -> Any:
        if rng.random() < 0.03:
            return rng.choice(values)
        if isinstance(value, list):
            found = [walk(one) for one in value]
            return found + found[: rng.randrange(2)] if rng.random() < 0.1 else found
        if isinstance(value, dict):
            return {name: walk(one) for name, one in value.items() if rng.random() > 0.02}
        return value

    return walk(body)


def _ascending(table: pa.Table) -> None:
    if (np.diff(table["ts"].to_numpy()) <= np.timedelta64(0)).any():
        raise Broken("stamps that do not ascend")


def _read_snapshots(body: Any) -> None:
    table, _ = open_interest_rows(body, "X")
    _ascending(table)
    check_snapshots(table, ("open_interest", "open_interest_value_usd"))


def _read_bars(body: Any) -> None:
    table, _ = kline_rows(body, "X", "5m", NOW)
    _ascending(table)
    judge_klines(table)
    if table.num_rows and table["ts"].to_pylist()[-1] > NOW:
        raise Broken("a bar that is still open")


def _facts(body: Any) -> None:
    found, weight = symbol_facts(body)
    if weight is not None and weight <= 0:
        raise Broken("a limit that cannot be")
    if not all(isinstance(name, str) and one.onboarded.tzinfo for name, one in found.items()):
        raise Broken("a symbol that is none")


def _headers(data: bytes) -> None:
    text = data.decode("latin-1")
    if not 0 <= seconds_of(text, 5.0) < float("inf"):
        raise Broken("seconds that cannot be")
    if not EARLIEST <= instant_of(text) < LATEST:
        raise Broken("a date that cannot be")


def _stored(is_klines: bool) -> bytes:
    table = kline_rows(_bars(30), "X", "5m", NOW)[0] if is_klines else open_interest_rows(_snapshots(30), "X")[0]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


class _TailReader:
    def __init__(self, workspace: Path) -> None:
        self.raw_dir = workspace / "raw"
        self.datasets = (METRICS, klines("5m"))
        for dataset in self.datasets:
            tail_path(self.raw_dir, dataset, "X").parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, data: bytes) -> None:
        dataset = self.datasets[len(data) % 2]
        tail_path(self.raw_dir, dataset, "X").write_bytes(data)
        read_tail(self.raw_dir, dataset, "X")


_CALIBRATION = json.dumps(
    {
        "offset_minutes": 5, "matches": 70, "compared": 72, "measured_at": NOW.isoformat(),
        "newest_compared": (NOW - timedelta(hours=30)).isoformat(),
    }
).encode()  # fmt: skip
_REFUSED = json.dumps({"at": (NOW - timedelta(minutes=5)).isoformat(), "problem": "HTTP 451"}).encode()


class _JsonReader:
    def __init__(self, workspace: Path) -> None:
        self.raw_dir = workspace / "json"
        self.path = self.raw_dir / "rest" / "refused.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(data)
        if not isinstance(refusal(self.raw_dir, NOW), str):
            raise Broken("a refusal that is no text")
        known = load_calibration(self.path)
        if known and (known.newest_compared.tzinfo is None or not isinstance(known.offset_minutes, int)):
            raise Broken("a measurement that cannot be used")
