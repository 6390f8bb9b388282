"""The service with well-behaved clients, alone and beside clients that open connections and then stand still.

`python -m benchmarks.abuse data/demo BTCUSDT [SECONDS]`. Rounds alternate, so that a busy machine weighs on both. A
writer publishes all the time.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.service import CONNECTIONS, load, publishing, running

HALF_OPEN, NEVER_READING = 200, 20


@contextlib.contextmanager
def standing_still(port: int, symbol: str) -> Iterator[dict[str, int]]:
    """Keep connections with half a request, and connections that ask and never read; open new ones for those lost."""
    stop, opened = threading.Event(), {"half_open": 0, "never_reading": 0}
    asks = f"GET /liquidations/heatmap?symbol={symbol}&timeframe=30d HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 20
    kinds = {"half_open": (HALF_OPEN, b"GET /symbols HTTP/1.1\r\nHost:"), "never_reading": (NEVER_READING, asks)}
    held: dict[str, list[socket.socket]] = {kind: [] for kind in kinds}

    def is_gone(connection: socket.socket, kind: str) -> bool:
        """A half-open one is read, to learn that it was closed; the others must not be read."""
        try:
            if kind == "half_open":
                return len(connection.recv(1)) >= 0  # an answer or an end: either way it is over
            return connection.send(b"\r\n") == 0
        except BlockingIOError:
            return False
        except OSError:
            return True

    def work() -> None:
        while not stop.is_set():
            for kind, (wanted, says) in kinds.items():
                for connection in [one for one in held[kind] if is_gone(one, kind)]:
                    held[kind].remove(connection)
                    connection.close()
                for _ in range(wanted - len(held[kind])):
                    with contextlib.suppress(OSError):
                        connection = socket.create_connection(("127.0.0.1", port), 5)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                        connection.setblocking(False)
                        connection.send(says)
                        held[kind].append(connection)
                        opened[kind] += 1
            stop.wait(0.5)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(1)
        yield opened
    finally:
        stop.set()
        thread.join()
        for connection in (*held["half_open"], *held["never_reading"]):
            connection.close()


def main(data: str = "data/demo", symbol: str = "BTCUSDT", seconds: str = "60") -> dict[str, Any]:
    """Print and return the figures; `seconds` of abuse in all, in three rounds."""
    import psutil

    found: dict[str, Any] = {"connections": CONNECTIONS, "seconds": float(seconds)}
    part = max(2, round(float(seconds) / 3))
    with tempfile.TemporaryDirectory() as scratch:
        folder, static = Path(scratch) / "published", Path(scratch) / "file.json"
        shutil.copytree(Path(data) / "published", folder)
        static.write_bytes(b"{}")
        asked = f"/liquidations/levels?symbol={symbol}&timeframe=7d"
        with running(folder, static) as port, publishing(folder, symbol):
            children = psutil.Process().children(recursive=True)
            process = next(one for one in children if "benchmarks.service" in " ".join(one.cmdline()))
            load(port, asked, seconds=2)
            with standing_still(port, symbol):
                load(port, asked, seconds=max(2, part // 4))  # everything was asked for once
            memory = [process.memory_info().rss]
            alone, beside = [], []
            for _ in range(3):
                alone.append(load(port, asked, seconds=part))
                with standing_still(port, symbol) as opened:
                    beside.append(load(port, asked, seconds=part))
                memory.append(process.memory_info().rss)
    for name, rounds in (("alone", alone), ("beside", beside)):
        found[name] = {key: median(one[key] for one in rounds) for key in ("p50_ms", "p99_ms", "requests")}
        found[name]["errors"] = sum(one["errors"] for one in rounds)
    ratios = [theirs["p99_ms"] / ours["p99_ms"] for ours, theirs in zip(alone, beside, strict=True)]
    found["ratio_p99"] = [min(ratios), median(ratios), max(ratios)]
    found["opened_in_last_round"] = opened
    found["rss_mb"] = [round(value / 1e6) for value in memory]
    found["rss_growth_pct"] = 100 * (memory[-1] / memory[0] - 1)
    print(json.dumps(found, indent=2))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
