"""Hostile input for the service: requests on its socket, manifests and Parquet on its disk.

Each function tries one input and raises AssertionError (or whatever escaped) on an outcome that is not documented.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn

from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import LEVERAGE_CLASSES
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.published.schemas import (
    CANDLES_SCHEMA,
    HEATMAP_SCHEMA,
    LEVELS_SCHEMA,
    OI_DELTA_SCHEMA,
    POSITIONS_SCHEMA,
)
from liq_pipeline.published.status import read_status
from liq_pipeline.server import answers
from liq_pipeline.server.app import create_app
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.connection import Connection
from liq_pipeline.server.run import OPTIONS
from liq_pipeline.server.store import Store

AS_OF = datetime(2026, 6, 28, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=5)
GOOD, HURT = "GOODUSDT", "HURTUSDT"
DATASETS = ("liquidation_levels", "liquidation_heatmap", "candles")
SECONDS = 2.0


# A small published folder and a service over it ----------------------------------------------------------------------


def datasets_of(symbol: str, timeframe: str, as_of: datetime = AS_OF, price: float = 100.0) -> list[PublishedDataset]:
    """Return a few rows of everything that the service reads."""
    key = {"exchange": "binance", "symbol": symbol, "timeframe": timeframe}
    hours = [as_of - timedelta(hours=back) for back in (3, 2, 1, 0)]
    levels = [
        {**key, "as_of": as_of, "side": side, "leverage": leverage,
         "price_low": low, "price_high": low + 0.1, "contracts": 2.0, "notional_usd": 2 * low, "current_price": price,
         "distance_pct": low - price}
        for side, low in (("long", 95.0), ("long", 90.0), ("short", 105.0)) for leverage in (10.0, 100.0)
    ]  # fmt: skip
    cells = [
        {**key, "ts": ts, "price_low": low, "price_high": low + 0.5, "side": side,
         "notional_usd": 100.0, "contracts": 1.0,
         **{f"notional_usd_{name}": 25.0 for name in LEVERAGE_CLASSES}}
        for ts in hours for side, low in (("long", 98.0), ("long", 97.5), ("short", 102.0))
    ]  # fmt: skip
    candles = [
        {**key, "ts": ts, "open_time": ts - timedelta(hours=1), "open": price,
         "high": price + 1, "low": price - 1, "close": price, "volume": 5.0}
        for ts in hours
    ]  # fmt: skip
    facts = {
        "as_of": as_of.isoformat().replace("+00:00", "Z"), "first_ts": "2026-06-01T00:05:00Z", "current_price": price,
        "open_interest_contracts": 1000.0, "burn_in_days": 20.0, "bar_minutes": 5, "long_notional_usd": 740.0,
        "short_notional_usd": 420.0, "long_contracts": 8.0, "short_contracts": 4.0, "coverage_pct": 100.0,
    }  # fmt: skip
    rows = (
        pa.Table.from_pylist(levels, LEVELS_SCHEMA),
        pa.Table.from_pylist(cells, HEATMAP_SCHEMA),
        pa.Table.from_pylist(candles, CANDLES_SCHEMA),
    )
    return [
        PublishedDataset(name, symbol, table, dict(facts), timeframe)
        for name, table in zip(DATASETS, rows, strict=True)
    ]


def publish_small(folder: Path) -> Path:
    """Publish two symbols."""
    for symbol in (GOOD, HURT):
        for timeframe in TIMEFRAMES:
            Publisher(folder=str(folder), code_version="1").publish(datasets_of(symbol, timeframe))
        Publisher(folder=str(folder), code_version="1").publish([deltas_of(symbol), positions_of(symbol)])
    return folder


def deltas_of(symbol: str) -> PublishedDataset:
    """Return `oi_delta` with one row."""
    row = {"symbol": symbol, "ts": AS_OF, "open_interest": 1000.0, "oi_delta": 1.0, "oi_delta_usd": 100.0,
           "entry_price": 100.0, "volume": 5.0, "is_interpolated": False, "contract": 0}  # fmt: skip
    facts = {"as_of": AS_OF.isoformat().replace("+00:00", "Z")}
    return PublishedDataset("oi_delta", symbol, pa.Table.from_pylist([row], OI_DELTA_SCHEMA), facts)


def positions_of(symbol: str) -> PublishedDataset:
    """Return `positions` of three bars; something opened in each but the first."""
    lived = [None] * 12 + [5]
    rows = [
        {"exchange": "binance", "symbol": symbol, "ts": AS_OF - timedelta(minutes=5 * back), "side": side,
         "close": 100.0, "entry_price": 100.0 if back < 2 else None, "contracts_opened": 13.0 if back < 2 else 0.0,
         "maintenance_margin_rate": 0.004 if back < 2 else None, "leverages": 13 if back < 2 else None,
         "liquidated_after_minutes": (lived if back else [None] * 13) if back < 2 else None,
         "log_survival": -0.1 * (3 - back), "is_interpolated": False}
        for back in (2, 1, 0) for side in ("long", "short")
    ]  # fmt: skip
    facts = {"as_of": AS_OF.isoformat().replace("+00:00", "Z"), "first_ts": "2026-06-27T23:50:00Z"}
    return PublishedDataset("positions", symbol, pa.Table.from_pylist(rows, POSITIONS_SCHEMA), facts)


class Impatient(Connection):
    """Waits less, so that a cut-off request does not take long."""

    head_seconds = 0.3
    look_seconds = 0.05


def serve(folder: Path, **options: Any) -> tuple[uvicorn.Server, threading.Thread, int]:
    """Start a service in a thread; return it and its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        create_app(folder, lambda: NOW, **options), **OPTIONS | {"log_level": "critical", "http": Impatient}
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    return server, thread, listening.getsockname()[1]


@cache
def _folder() -> Path:
    return publish_small(Path(tempfile.mkdtemp(prefix="liq-hostile-")))


@cache
def _port() -> int:
    return serve(_folder())[2]


@cache
def _originals() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (_folder()).rglob("*") if path.is_file() and HURT in str(path)}


class HastyStore(Store):
    """Does not wait for a publisher."""

    attempts = 2


# Requests ------------------------------------------------------------------------------------------------------------

_PATHS = (
    "/", "/symbols", "/health", "/metrics", "/candles", "/liquidations/levels", "/liquidations/heatmap",
    "/liquidations/summary", "/liquidations/if-reached?symbol=BTCUSDT", "/static/page.js", "/static/..%2f..%2fetc",
    "/openapi.json", "/symbols/", "//", "/%00",
    "*", "/frontend/liquidation_map.html", "http://other.example/symbols", "/%ff%fe", "/é", "/a" * 50,
)  # fmt: skip
_QUERIES = (
    f"symbol={GOOD}", f"symbol={GOOD}&timeframe=90d", f"symbol={GOOD}&format=csv", "symbol=", "symbol=%FF",
    "symbol[]=1",
    f"symbol={GOOD}&min_usd=nan", f"symbol={GOOD}&min_usd=1e400", f"symbol={GOOD}&side=long&side=short", "&&&=&", "%",
    f"symbol={GOOD}&at=2026-06-28", f"symbol={GOOD}&at=2026-06-27T23:57Z&format=csv", f"symbol={GOOD}&at=1e9",
    f"symbol={GOOD}&format=coinglass", f"symbol={GOOD}&format=parquet&side=short&min_usd=1e15", "symbol[]=2",
    "timeframe=" + "9" * 5000,
    f"symbol={GOOD}%00", "symbol=" + "%F0%9F%92%A9" * 9, f"symbol={GOOD}&timeframe=٣d", "x=" + "y" * 1900,
    f"symbol={HURT}",
    "symbol=ﬁ", "symbol=%ED%A0%80", "symbol=ß" * 3,
)  # fmt: skip
_HEADERS = (
    "Accept-Encoding: gzip;q=0", "Accept-Encoding: *;q=0.5, gzip;q=x", "Accept-Encoding: gzip, deflate, br",
    "If-None-Match: *", 'If-None-Match: W/"abc", "', "If-None-Match: \xff", "Content-Length: 0", "Content-Length: 5",
    "Content-Length: " + "0" * 5000, "Content-Length: -1", "Content-Length: 99999999999999999999999",
    "Content-Length: ٣",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Authorization: Bearer \xff\xfe",
    "Authorization: ",
    "Host: other.example", "Host: a b", "Host: ", "Host: [::1]:99999", "Connection: close", "Connection: upgrade",
    "Upgrade: websocket", "Upgrade: h2c", "Expect: 100-continue", "Range: bytes=0-1", "Origin: null", "Cookie: a=b",
    "X: " + "y" * 9000, "X: " + "y" * 40_000, "\xff\xfe: 1", ": no name", "no colon", " folded", "X:\tt",
    "X-Null: \x00",
    "X-Forwarded-For: 1.2.3.4", "Content-Type: application/json", "Accept: */*;q=\xb2",
)  # fmt: skip


def one_request(random: Random) -> None:
    """Send one request to a running service; its answer is HTTP, in time, and no mistake of the service's own."""
    data, is_head = request_bytes(random)
    began = time.process_time()  # the service is a thread of this process; others may keep the machine busy
    answer, _ = ask(_port(), data)
    assert (seconds := time.process_time() - began) < SECONDS, f"{seconds:.1f} s for {data[:300]!r}"
    judge(answer, data, is_head)


def request_bytes(random: Random) -> tuple[bytes, bool]:
    """Return one request, more or less, and whether it is HEAD."""
    method = random.choices(("GET", "HEAD", "POST", "OPTIONS", "TRACE", "get", "FOO", ""), (80, 8, 3, 3, 2, 1, 1, 1))[0]
    target = random.choice(_PATHS) + (f"?{random.choice(_QUERIES)}" if random.random() < 0.7 else "")
    version = random.choices(("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.10", ""), (90, 5, 2, 2, 1))[0]
    lines = [f"{method} {target} {version}", *(["Host: x"] if random.random() < 0.9 else [])]
    lines += random.choices(_HEADERS, k=random.choice((0, 0, 1, 1, 2, 4)))
    text = "\r\n".join(lines) + "\r\n\r\n"
    data = text.encode("utf-8" if random.random() < 0.5 else "latin-1", "replace")
    if random.random() < 0.15:
        data = mutated(random, data)
    return data, method == "HEAD"


def mutated(random: Random, data: bytes) -> bytes:
    """Return bytes with a few faults."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(changed) + 1)
        match random.randrange(5):
            case 0 if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << random.randrange(8)
            case 1:
                del changed[place : place + random.randrange(9)]
            case 2:
                changed[place:place] = random.randbytes(random.randrange(9))
            case 3 if random.random() < 0.1:
                del changed[place:]
            case _:
                changed[place:place] = changed[place : place + random.randrange(30)]
    return bytes(changed)


def ask(port: int, data: bytes) -> tuple[bytes, float]:
    """Send bytes; return all that is answered to the first request, and the seconds it took."""
    began = time.monotonic()
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), 10 * SECONDS) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(data)
        while piece := connection.recv(1 << 20):
            answer += piece
            head, found, body = answer.partition(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if found and (data.startswith(b"HEAD ") or (length and len(body) >= int(length[0].split(b":")[1]))):
                break
            if found and b" 304 " in head[:13]:
                break
    return answer, time.monotonic() - began


def judge(answer: bytes, data: bytes, is_head: bool = False) -> int:
    """Raise unless this is an answer that the service documents; return its status (0: closed without one)."""
    if not answer:
        return 0  # cut off: what came was not HTTP, or ended too early
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), (answer[:200], data[:300])
    status = int(head[9:12])
    if status == 100:
        return judge(body, data, is_head)
    assert status in (200, 304, 308, 400, 404, 405, 408, 413, 414, 422, 431), (answer[:400], data[:300])
    if status >= 400 and not is_head and not data.startswith(b"HEAD"):
        assert b"content-type: application/problem+json" in head.lower(), (answer[:400], data[:300])
        assert json.loads(body)["status"] == status
    return status


# Files on disk -------------------------------------------------------------------------------------------------------

_VALUES: tuple[Any, ...] = (
    None, True, "x", "", [1], {}, 0, -1, 1e308, -1e308, 10**30, 1e-320, "2026-06-28T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "2026-06-28", "2026-06-28T00:00:00", "٣", "\ud800", "a" * 10_000, [[[]]], "NaN",
    GOOD, "7d",
)  # fmt: skip
_TEXTS = (
    b"", b"[1]", b"null", b'"x"', b"{}", b"[" * 200_000, b'{"as_of":' * 5_000, b"\xff\xfe{}", b"{" * 10, b"1" * 6_000,
    b'{"as_of": "x"}', b"x" * 2_000_000, b" " * 900_000 + b"{}", b'{"as_of": NaN}', b"\x00" * 100, b"\xef\xbb\xbf{}",
)  # fmt: skip


def one_manifest(random: Random) -> None:
    """Damage one manifest; its symbol answers or is said to be damaged, the others answer."""

    def damage(path: Path) -> None:
        place = manifest_path(path)
        plain = place.read_bytes()
        choice = random.random()
        if choice < 0.15:
            place.write_bytes(random.choice(_TEXTS))
        elif choice < 0.5:
            place.write_bytes(mutated(random, plain))
        else:
            content = json.loads(plain)
            for name in random.sample(sorted(content), k=random.choice((1, 1, 2, 5))):
                if random.random() < 0.2:
                    del content[name]
                else:
                    content[name] = random.choice(_VALUES)
            place.write_bytes(json.dumps(content).encode())

    _with_damage(random, damage)


def one_parquet(random: Random) -> None:
    """Damage one Parquet file and let its manifest vouch for it; then as `one_manifest`."""

    def damage(path: Path) -> None:
        plain = path.read_bytes()
        if random.random() < 0.5:
            data = mutated(random, plain)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                pq.write_table(_odd_rows(random, pq.read_table(path, partitioning=None)), Path(scratch) / "x")
                data = (Path(scratch) / "x").read_bytes()
        path.write_bytes(data)
        place = manifest_path(path)
        vouch = json.loads(place.read_text()) | {"sha256": hashlib.sha256(data).hexdigest()}
        if random.random() < 0.5:
            with contextlib.suppress(Exception):  # whatever cannot be counted stays as it was said
                vouch["row_count"] = pq.ParquetFile(path).metadata.num_rows
        place.write_text(json.dumps(vouch))

    _with_damage(random, damage)


def _odd_rows(random: Random, rows: pa.Table) -> pa.Table:
    """Return rows with some values that cannot be true, or columns of another kind."""
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(rows.num_columns)
        field = rows.schema.field(place)
        values = rows.column(place).to_pylist()
        at = random.randrange(max(1, len(values)))
        odd: dict[Callable[[pa.DataType], bool], tuple[Any, ...]] = {
            pa.types.is_floating: (
                None,
                float("nan"),
                float("inf"),
                -float("inf"),
                -1.0,
                0.0,
                1e30,
                1e17,
                1e-9,
                5e-324,
            ),
            pa.types.is_string: (None, "", "x", "long", "short", "\u0000", "a" * 1000),
            pa.types.is_timestamp: (None, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), AS_OF),
        }
        choice = random.random()
        if choice < 0.6 and values and not pa.types.is_dictionary(field.type):
            values[at] = random.choice(next((some for kind, some in odd.items() if kind(field.type)), (None,)))
            rows = rows.set_column(place, field, pa.array(values, field.type))
        elif choice < 0.7:
            rows = rows.remove_column(place)  # not by its name: another may have it, too
        elif choice < 0.8:
            rows = rows.set_column(place, field.name, pa.array([1] * rows.num_rows))
        elif choice < 0.85:
            rows = rows.append_column(random.choice((field.name, "more")), pa.array([[1]] * rows.num_rows))
        elif choice < 0.9:
            rows = rows.slice(0, 0)
        elif choice < 0.95:
            rows = pa.concat_tables([rows, rows])
        elif not pa.types.is_nested(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).dictionary_encode())
        if not rows.num_columns:
            return pa.table({"x": [1]})
    return rows


def _with_damage(random: Random, damage: Callable[[Path], None]) -> None:
    path = dataset_path(_folder(), random.choice((*DATASETS, "positions")), HURT, random.choice(list(TIMEFRAMES)))
    originals = _originals()
    began = time.process_time()
    try:
        damage(path)
        _look_at_all(random, path.stem if path.stem in TIMEFRAMES else "7d")
    finally:
        for place in (path, manifest_path(path)):
            place.write_bytes(originals[place])
    assert (seconds := time.process_time() - began) < SECONDS, f"{seconds:.1f} s"


def _look_at_all(random: Random, timeframe: str) -> None:
    store = HastyStore(_folder())
    state = answers.state(store, NOW)
    json.loads(answers.as_json({"symbols": state.symbols, "damaged": state.damaged}))
    assert GOOD in [item["symbol"] for item in state.symbols]
    said = read_status(_folder(), NOW)
    assert not said[GOOD]["damaged"]
    assert all(entry["notice"] for entry in said.values())
    for datasets, kind, make in (
        (("liquidation_levels",), random.choice(("json", "csv", "parquet")), _levels),
        (("liquidation_levels",), "json", answers.summary),
        (("liquidation_heatmap", "candles"), random.choice(("json", "coinglass")), answers.heatmap),
        (("candles",), "json", answers.candles),
        (("positions",), random.choice(("json", "csv", "parquet")), _levels),
    ):
        moment = AS_OF - timedelta(minutes=random.choice((0, 1, 5, 10, 11))) if datasets == ("positions",) else NOW
        try:
            body = make(store.read(datasets, HURT, timeframe), Asked(datasets, HURT, timeframe, moment, kind))
        except LiqError:
            continue
        if kind in ("json", "coinglass"):
            json.loads(body, parse_constant=_refuse)
    if random.random() < 0.02:
        for target, fine in (("/symbols", (200,)), ("/health", (200,)), ("/metrics", (200,)),
                             (f"/liquidations/levels?symbol={GOOD}", (200,)),
                             (f"/liquidations/heatmap?symbol={HURT}", (200, 404, 503))):  # fmt: skip
            answer, _ = ask(_port(), f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert int(answer[9:12]) in fine, (target, answer[:400])


def _levels(edition: Any, asked: Asked) -> bytes:
    return answers.levels(edition, asked, side="", min_usd=0)


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} in an answer")
