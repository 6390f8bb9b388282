"""The page in a real browser: bytes, first paint, chart, frames per second, switches; beside an older checkout.

`python -m benchmarks.page data/demo BTCUSDT [--beside CHECKOUT]`. Served from this machine, or as over 1.6 Mb/s with a
CPU that is four times slower. The checkout is served by the same environment, which must hold what it needs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
BARS = {"paint_s": 0.3, "chart_s": 0.8, "slow_chart_s": 4.0, "page_kb": 300, "pan_fps": -58, "threshold_fps": -50,
        "switch_ms": 100, "list_ms": 100}  # fmt: skip
"""The largest that passes; below zero: the smallest."""
SYMBOLS, TIMES, SECONDS = 500, 3, 3
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
WATCH = """new MutationObserver(() => {
  const drawn = document.getElementById('plot')?.dataset.drawn;
  if (drawn && !window.drawnAt) window.drawnAt = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-drawn'] })"""
COUNT = """() => {
  const mine = window.ticks = [];
  const go = (t) => { mine.push(t); if (window.ticks === mine) requestAnimationFrame(go); };
  requestAnimationFrame(go);
}"""
RATE = "() => { const t = window.ticks.slice(); return 1000 * (t.length - 1) / (t.at(-1) - t[0]); }"
THRESHOLD = """(milliseconds) => new Promise((done) => {
  const slider = document.getElementById('min'), ticks = [];
  const go = (t) => {
    ticks.push(t);
    slider.value = Math.round(50 + 49 * Math.sin(ticks.length / 20));
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    if (t - ticks[0] < milliseconds) requestAnimationFrame(go); else done(1000 * (ticks.length - 1) / (t - ticks[0]));
  };
  requestAnimationFrame(go);
})"""
SWITCH = """(timeframe) => new Promise((done) => {
  const plot = document.getElementById('plot'), box = document.getElementById('timeframe'), began = performance.now();
  const look = () => {
    if (plot.dataset.drawn?.includes(` ${timeframe} `)) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  if (box.tagName === 'SELECT') { box.value = timeframe; box.dispatchEvent(new Event('change')); }
  else box.querySelector(`input[value="${timeframe}"]`).click();
  look();
})"""


@contextlib.contextmanager
def served(checkout: Path, published: Path) -> Iterator[str]:
    """A checkout's service in a process of its own; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "liq_pipeline", "serve", "--port", str(port), "--data", str(published.parent)]
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=checkout, env=env, stdout=log, stderr=log)
        try:
            for _ in range(400):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def opened(browser: Any, url: str, slow: bool = False) -> tuple[Any, Any, dict[str, float]]:
    """Open a page in a browser that has seen nothing; return context, page, and what it took."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session, bytes_by_id, url_by_id = context.new_cdp_session(page), {}, {}
    session.send("Network.enable")
    session.on("Network.responseReceived", lambda e: url_by_id.update({e["requestId"]: e["response"]["url"]}))
    session.on("Network.loadingFinished", lambda e: bytes_by_id.update({e["requestId"]: e["encodedDataLength"]}))
    if slow:
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.drawnAt", timeout=120_000)
    page.wait_for_timeout(500)
    paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    data = ("/liquidations/", "/symbols")
    own = sum(size for key, size in bytes_by_id.items() if not any(part in url_by_id.get(key, "") for part in data))
    found = {"paint_s": paint / 1000, "chart_s": page.evaluate("() => window.drawnAt") / 1000,
             "page_kb": own / 1000, "all_kb": sum(bytes_by_id.values()) / 1000}  # fmt: skip
    return context, page, found


def panned(page: Any, with_shift: bool) -> float:
    """Drag to and fro; return frames per second."""
    box = page.locator("#plot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    if with_shift:
        page.keyboard.down("Shift")
    page.mouse.down()
    page.evaluate(COUNT)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < SECONDS:
        page.mouse.move(x + 300 * (passed % 1), y + 60 * (passed % 1))
    rate = float(page.evaluate(RATE))
    page.mouse.up()
    page.keyboard.up("Shift")
    return rate


def list_ms(browser: Any, url: str) -> float:
    """Return how long the list of many symbols takes to open."""
    context = browser.new_context()
    page = context.new_page()
    one = {"timeframes": ["7d"], "current_price": 1.5, "is_stale": False, "notice": "new", "source_label": ""}
    made = [one | {"symbol": f"MADE{number}USDT"} for number in range(SYMBOLS)]
    page.route("**/symbols", lambda route: route.fulfill(json={"symbols": made}))
    with page.expect_response("**/symbols"):
        page.goto(url)
    page.wait_for_selector("#plot[data-drawn]")
    page.click("#symbol")
    page.wait_for_selector("#picker[data-opened]")
    found = float(page.get_attribute("#picker", "data-opened"))
    context.close()
    return found


def measured(browser: Any, url: str, symbol: str, is_old: bool) -> dict[str, float]:
    """Return the figures of a page, medians where it is opened again."""
    address = f"{url}/?symbol={symbol}&timeframe=90d"
    opened(browser, address)[0].close()  # the service has made its answers
    runs = []
    for _ in range(TIMES):
        context, page, one = opened(browser, address)
        runs.append(one)
        last = context, page
        if len(runs) < TIMES:
            context.close()
    found = {name: median(run[name] for run in runs) for name in runs[0]}
    context, page = last
    found["pan_fps"] = median(panned(page, with_shift=is_old) for _ in range(TIMES))
    found["threshold_fps"] = median(page.evaluate(THRESHOLD, 1000 * SECONDS) for _ in range(TIMES))
    page.evaluate(SWITCH, "7d")
    found["switch_ms"] = median(page.evaluate(SWITCH, name) for name in ("90d", "7d", "90d", "7d", "90d"))
    context.close()
    context, page, slow = opened(browser, address, slow=True)
    context.close()
    found |= {"slow_paint_s": slow["paint_s"], "slow_chart_s": slow["chart_s"]}
    if not is_old:
        found["list_ms"] = list_ms(browser, address)
    return found


def main() -> int:
    """Print the figures; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("data", nargs="?", default="data/demo", type=Path)
    parser.add_argument("symbol", nargs="?", default="BTCUSDT")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="measure this checkout's page, too")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    published = arguments.data.resolve() / "published"
    checkouts = {"page": Path(__file__).resolve().parents[1]}
    if arguments.beside:
        checkouts["beside"] = arguments.beside.resolve()
    found: dict[str, dict[str, float]] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for name, checkout in checkouts.items():
            with served(checkout, published) as url:
                found[name] = measured(browser, url, arguments.symbol, name != "page")
        browser.close()
    missed = [
        name for name, bar in BARS.items() if (found["page"][name] > bar if bar > 0 else found["page"][name] < -bar)
    ]
    pages = sorted((published / "views" / arguments.symbol).glob("*/heatmap.html"))
    sizes = {path.parent.name: path.stat().st_size for path in pages}
    figures = {name: {key: round(value, 3) for key, value in one.items()} for name, one in found.items()}
    print(json.dumps({**figures, "bytes_from_disk": sizes, "bars": BARS, "missed": missed}, indent=2))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
