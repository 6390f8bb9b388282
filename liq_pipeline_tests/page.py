"""How tests look at the page: what it has drawn, its window, its pixels; and how they touch it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlparse

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
_DRAWN = "(wanted) => wanted.every((w) => document.getElementById('plot').dataset.drawn?.includes(w))"
_PIXELS = """([x, y, width, height]) => {
  const canvas = document.getElementById('base'), own = devicePixelRatio;
  const part = [x * canvas.width, y * canvas.height, width * canvas.width, height * canvas.height].map(Math.round);
  const data = canvas.getContext('2d').getImageData(...part).data, counts = {};
  for (let i = 0; i < data.length; i += 4) {
    const name = `${data[i]},${data[i + 1]},${data[i + 2]}`;
    counts[name] = (counts[name] || 0) + 1;
  }
  return counts;
}"""


def drawn(page: Any, *wanted: str) -> None:
    """Wait until what is drawn says all of this: symbol, timeframe, view, theme, threshold, leverage classes, side."""
    page.wait_for_function(_DRAWN, arg=list(wanted))


def choose(page: Any, switch: str, value: str) -> None:
    """Choose a value of a switch: timeframe, view, side, curve, horizon."""
    page.check(f"#{switch} input[value='{value}']")


def query(page: Any) -> dict[str, list[str]]:
    """Return the address's query, when the page has written it."""
    page.wait_for_timeout(250)
    return parse_qs(urlparse(page.url).query)


def window(page: Any) -> dict[str, float]:
    """Return what is in sight: x0, x1, y0, y1."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found: dict[str, float] = json.loads(page.get_attribute("#plot", "data-frame"))
    return found


def picture(page: Any) -> str:
    """Return the drawn chart, all pixels of it, as text."""
    window(page)
    found: str = page.evaluate("() => document.getElementById('base').toDataURL()")
    return found


def colours(page: Any, x: float = 0, y: float = 0, width: float = 1, height: float = 1) -> dict[str, int]:
    """Return how many pixels of each colour a part of the chart has; in shares of it."""
    window(page)
    found: dict[str, int] = page.evaluate(_PIXELS, [x, y, width, height])
    return found


def rgb(colour: str) -> str:
    """Return `#rrggbb` as `colours` names it."""
    return ",".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return the place on the screen of a place in the chart, given in shares of it."""
    box = page.locator("#plot").bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def point(page: Any, x: float, y: float) -> str:
    """Move the mouse there; return what the line above the chart says."""
    page.mouse.move(*at(page, x, y))
    window(page)
    return str(page.inner_text("#readout"))


def drag(page: Any, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place in the chart to another."""
    page.mouse.move(*at(page, *begin))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=5)
    page.mouse.up()


def saved(page: Any, kind: str) -> tuple[str, bytes]:
    """Save what is shown; return the file's name and content."""
    page.click("#save")
    with page.expect_download() as download:
        page.click(f"#{kind}")
    page.keyboard.press("Escape")
    return download.value.suggested_filename, download.value.path().read_bytes()


def cells(page: Any) -> list[dict[str, str]]:
    """Return the cells in sight, as the page gives them away."""
    return list(csv.DictReader(io.StringIO(saved(page, "csv")[1].decode())))


class Fingers:
    """Fingers on a page's screen."""

    def __init__(self, page: Any) -> None:
        self._session = page.context.new_cdp_session(page)

    def send(self, kind: str, *points: tuple[float, float]) -> None:
        """Send one touch event: Start, Move or End."""
        places = [dict(zip("xy", place, strict=True)) | {"id": number} for number, place in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": places})
