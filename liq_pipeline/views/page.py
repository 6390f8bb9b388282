"""The interactive page: one template for the file that opens from disk and for the service."""

from __future__ import annotations

import base64
import gzip
import html
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.views.frame import CLASS_NAMES
from liq_pipeline.views.style import THEMES, colour_map

STOPS = 24
PACKED_FROM = 100_000  # characters


def plotly_name() -> str:
    """Return the name of the plotly file; the version is in it, so that it may be cached for ever."""
    return f"plotly-{version('plotly')}.min.js"


def plotly_script() -> bytes:
    """Return plotly's own script, from its Python package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).encode()


def heatmap_html(heatmap: dict[str, Any], levels: dict[str, Any]) -> bytes:
    """Return the page that opens from disk: all in it, packed, but plotly, which lies in `../../assets/`."""
    boot = {"mode": "file", "style": page_style(), "heatmap": heatmap, "levels": levels}
    return _page(
        title=f"{heatmap['symbol']} {heatmap['timeframe']} estimated liquidation heatmap",
        style=f"<style>\n{page_part('page.css')}</style>",
        scripts=f'<script src="../../assets/{plotly_name()}" defer></script>\n'
        f'<script type="module">\n{page_part("page.js")}</script>',
        boot=boot,
    )


def service_html() -> bytes:
    """Return the page of the service: it asks the service for everything."""
    return _page(
        title="Estimated liquidation heatmap",
        style='<link rel="stylesheet" href="/static/page.css">',
        scripts=f'<script src="/static/{plotly_name()}" defer></script>\n'
        '<script src="/static/page.js" type="module"></script>',
        boot={"mode": "service", "style": page_style()},
    )


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
               ("background", "text", "faint", "grid", "up", "down", "price", "long", "short")},
            "ramp": [[i / (STOPS - 1), to_hex(ramp(i / (STOPS - 1)))] for i in range(STOPS)],
            "classes": list(theme.classes),
        }  # fmt: skip
    return {"themes": themes, "classes": list(CLASS_NAMES.values()), "timeframes": list(TIMEFRAMES)}


def _page(title: str, style: str, scripts: str, boot: dict[str, Any]) -> bytes:
    data, kind = json.dumps(boot, ensure_ascii=False, separators=(",", ":")), "application/json"
    if len(data) > PACKED_FROM:
        packed = gzip.compress(data.encode(), compresslevel=6, mtime=0)
        data, kind = base64.b64encode(packed).decode(), "application/gzip+base64"
    # In a script element "</" would end it early, "<!--" would open a comment.
    data = data.replace("<", "\\u003c")
    text = page_part("page.html")
    for marker, value in (
        ("<!--TITLE-->", html.escape(title)), ("<!--STYLE-->", style), ("<!--SCRIPTS-->", scripts),
        ("<!--BOOT-->", f'<script type="{kind}" id="boot">{data}</script>'),
    ):  # fmt: skip
        text = text.replace(marker, value)
    return text.encode()
