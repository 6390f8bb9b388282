"""`/liquidations/levels` under load, against a static file of the same size from the same server, while files change.

`python -m benchmarks.service data/demo BTCUSDT`. The load comes from a second process (wrk if it is installed, else a
client of our own); both targets are measured in turn, so the ratios hold on a busy machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np

CONNECTIONS, SECONDS, ROUNDS = 64, 4, 3


def serve(folder: str, port: int, static: str) -> None:
    """Run the service, and beside it, under /file, one static file."""
    import uvicorn
    from starlette.responses import FileResponse

    from liq_pipeline.server.app import create_app
    from liq_pipeline.server.run import OPTIONS

    app = create_app(Path(folder), lambda: datetime.now(UTC))

    async def both(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/file":
            await FileResponse(static)(scope, receive, send)
        else:
            await app(scope, receive, send)

    uvicorn.run(both, port=port, **OPTIONS | {"log_level": "warning"})


def hammer(host: str, port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Ask for a path over keep-alive connections for some seconds. Used where wrk is not installed."""
    latencies: list[float] = []
    errors = [0]
    end = time.monotonic() + seconds

    def one() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=30)
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                errors[0] += answer.status != 200
            except (OSError, http.client.HTTPException):
                errors[0] += 1
                connection.close()
            latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = np.quantile(latencies, (0.5, 0.99))
    return {"p50_ms": 1000 * p50, "p99_ms": 1000 * p99, "requests": len(latencies), "errors": errors[0]}


def load(port: int, path: str, connections: int = CONNECTIONS, seconds: int = SECONDS) -> dict[str, float]:
    """Run the load in a process of its own."""
    url = f"http://127.0.0.1:{port}{path}"
    if shutil.which("wrk"):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
        text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
        unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
        found = {
            name: float(value) * unit[scale]
            for name, share in (("p50_ms", "50"), ("p99_ms", "99"))
            for value, scale in re.findall(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
        }
        found["requests"] = float(re.findall(r"(\d+) requests in", text)[0])
        bad = [int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text)]
        bad += [int(n) for line in re.findall(r"Socket errors: (.*)", text) for n in re.findall(r"\d+", line)]
        return found | {"errors": float(sum(bad))}
    asked = f"'127.0.0.1', {port}, {path!r}, {connections}, {seconds}"
    code = f"import json; from benchmarks.service import hammer; print(json.dumps(hammer({asked})))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds + 60, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def running(folder: Path, static: Path) -> Iterator[int]:
    """The service in a process of its own; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = f"from benchmarks.service import serve; serve({str(folder)!r}, {port}, {str(static)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def publishing(folder: Path, symbol: str, every: float = 0.05) -> Iterator[list[int]]:
    """Replace the symbol's level files again and again, by the same rows with another stamp."""
    import pyarrow.parquet as pq

    from liq_pipeline.published.layout import dataset_path
    from liq_pipeline.published.manifests import read_manifest
    from liq_pipeline.published.publish import PublishedDataset, Publisher

    path = dataset_path(folder, "liquidation_levels", symbol, "7d")
    rows, manifest = pq.read_table(path, partitioning=None), read_manifest(path)
    assert manifest
    stop, count = threading.Event(), [0]

    def work() -> None:
        while not stop.wait(every):
            count[0] += 1
            part = rows.slice(0, rows.num_rows - count[0] % 2)  # two editions in turn: the bytes change each time
            facts = {name: manifest[name] for name in ("as_of", "current_price", "open_interest_contracts")}
            Publisher(folder=str(folder)).publish([PublishedDataset("liquidation_levels", symbol, part, facts, "7d")])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


LEGACY_SQL = Path(__file__).with_name("legacy_levels.sql")


def legacy(database: Path, symbol: str) -> float:
    """Median milliseconds of the legacy system's own query for 90 days, on the tables of the same data."""
    with duckdb.connect(str(database), read_only=True) as connection:
        now = connection.execute("SELECT max(ts) FROM klines WHERE symbol = $symbol", {"symbol": symbol}).fetchone()
        assert now
        bound = {"symbol": symbol, "now": now[0], "days": 90, "bin": 50.0}
        sql = LEGACY_SQL.read_text(encoding="utf-8")
        seconds = []
        for _ in range(6):
            began = time.perf_counter()
            connection.execute(sql, bound).fetchall()
            seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds[1:])


def main(data: str = "data/demo", symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Print and return the figures."""
    source = Path(data)
    found: dict[str, Any] = {"connections": CONNECTIONS, "client": "wrk" if shutil.which("wrk") else "python threads"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "published"
        shutil.copytree(source / "published", folder)
        static = Path(scratch) / "file.json"
        static.write_bytes(b"")
        with running(folder, static) as port:
            asked = f"/liquidations/levels?symbol={symbol}&timeframe=7d"
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            client.request("GET", asked)
            body = client.getresponse().read()
            static.write_bytes(body)
            found["bytes"] = len(body)
            rounds: list[tuple[dict[str, float], dict[str, float]]] = []
            for _ in range(ROUNDS):
                rounds.append((load(port, asked), load(port, "/file")))
            for number, name in enumerate(("levels", "static_file")):
                found[name] = {
                    key: median(pair[number][key] for pair in rounds)
                    for key in ("p50_ms", "p99_ms", "requests", "errors")
                }
            for key in ("p50_ms", "p99_ms"):
                ratios = [ours[key] / theirs[key] for ours, theirs in rounds]
                found[f"ratio_{key.removesuffix('_ms')}"] = [min(ratios), median(ratios), max(ratios)]
            with publishing(folder, symbol) as count:
                found["while_publishing"] = load(port, asked)
            found["while_publishing"]["editions"] = count[0]
            alone = []
            for _ in range(50):
                began = time.perf_counter()
                client.request("GET", f"/liquidations/levels?symbol={symbol}&timeframe=90d")
                client.getresponse().read()
                alone.append(time.perf_counter() - began)
            found["one_client_90d_ms"] = 1000 * median(alone)
    milliseconds = legacy(source / "warehouse" / f"{symbol}.duckdb", symbol)
    found["legacy_sql_90d_ms"] = milliseconds
    found["legacy_over_service"] = milliseconds / found["one_client_90d_ms"]
    print(json.dumps(found, indent=2))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
