"""The interactive page: one template, script and style for the file that opens from disk and for the service."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.views.frame import CLASS_NAMES
from liq_pipeline.views.style import THEMES, colour_map

STOPS = 24
_PARTS = (
    "base", "state", "data", "scales", "field", "paint", "heatmap", "bins", "reached", "map", "readout", "pointer",
    "past", "symbols", "takeaway", "legend", "controls", "start",
)  # fmt: skip


@cache
def page_assets() -> dict[str, bytes]:
    """Return the script and the style that all pages share, by name; a digest is in it, so they may be cached for ever.

    The script is one file: a page that opens from disk cannot import modules.
    """
    parts = "\n".join(page_part(f"page/{name}.js") for name in _PARTS)
    made = {"js": f'"use strict";\n(() => {{\n{parts}}})();\n', "css": page_part("page/page.css")}
    return {_named(text, kind): text.encode() for kind, text in made.items()}


def heatmap_html(
    symbol: str, timeframe: str, heatmap: bytes, levels: bytes, reached: Mapping[str, Mapping[str, Any]]
) -> bytes:
    """Return the page that opens from disk: its data is in it, packed; script and style lie in `../../assets/`.

    Args:
        symbol, timeframe: which.
        heatmap, levels: as `views.packed` makes them.
        reached: as `views.reached` makes it, by hours of the horizon.
    """
    title = f"{symbol} {timeframe} estimated liquidation heatmap"
    data = "\n".join(
        f'<script type="application/gzip+base64" id="{name}">{_packed(content)}</script>'
        for name, content in (("heatmap", heatmap), ("levels", levels), ("ranges", json.dumps(reached).encode()))
    )
    return _page(title, "../../assets/", {"mode": "file", "symbol": symbol, "timeframe": timeframe}, data)


def service_html() -> bytes:
    """Return the page of the service: it asks the service for everything."""
    return _page("Estimated liquidation heatmap", "/static/", {"mode": "service"})


@cache
def page_part(name: str) -> str:
    """Return the text of `static/<name>`."""
    return (Path(__file__).with_name("static") / name).read_text(encoding="utf-8")


@cache
def page_style() -> dict[str, Any]:
    """Return colours and names as pictures use them."""
    from matplotlib.colors import to_hex

    themes = {}
    for theme in THEMES.values():
        ramp = colour_map(theme)
        themes[theme.name] = {
            **{name: getattr(theme, name) for name in
               ("background", "text", "faint", "grid", "up", "down", "price", "long", "short", "warning")},
            "ramp": [to_hex(ramp(i / (STOPS - 1))) for i in range(STOPS)],
            "classes": list(theme.classes),
        }  # fmt: skip
    return {"themes": themes, "classes": list(CLASS_NAMES.values()), "timeframes": list(TIMEFRAMES)}


def _named(text: str, kind: str) -> str:
    return f"page-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{kind}"


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()


def _page(title: str, assets: str, boot: dict[str, Any], data: str = "") -> bytes:
    # In a script element "</" would end it early, "<!--" would open a comment.
    told = json.dumps(boot | {"style": page_style()}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    script, style = page_assets()
    text = page_part("page/page.html")
    for marker, value in (
        ("<!--TITLE-->", html.escape(title)),
        ("<!--STYLE-->", f'<link rel="stylesheet" href="{assets}{style}">'),
        ("<!--SCRIPT-->", f'<script src="{assets}{script}" defer></script>'),
        ("<!--BOOT-->", f'<script type="application/json" id="boot">{told}</script>\n{data}'),
    ):
        text = text.replace(marker, value)
    return text.encode()
