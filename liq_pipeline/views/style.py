"""How pictures look: two themes, one colour map, numbers in words that traders read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from liq_pipeline.views.fonts import text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from liq_pipeline.views.frame import HeatmapView
    from liq_pipeline.views.levels_frame import LevelsView


@dataclass(frozen=True)
class Theme:
    """Colours of one theme.

    Attributes:
        name: 'dark' or 'light'.
        background, text, faint, grid: of the page.
        up, down: candles; told apart by brightness as well as by hue.
        price: line of the current price.
        ramp: matplotlib's name of the colour map and the part of it that is used; perceptually uniform.
        classes: leverage classes, lowest first.
        long, short: the cumulative curves.
        warning: staleness.
    """

    name: str
    background: str
    text: str
    faint: str
    grid: str
    up: str
    down: str
    price: str
    ramp: tuple[str, float, float]
    classes: tuple[str, ...]
    long: str
    short: str
    warning: str


DARK = Theme(
    "dark", "#0d0b14", "#e9e7f0", "#a09cb2", "#2b2738", "#f7f7fa", "#4cb3ff", "#7dff9b", ("inferno", 0.05, 1.0),
    ("#3b528b", "#21918c", "#7ad151", "#fde725"), "#ff9d5c", "#5cc8ff", "#ffb000",
)  # fmt: skip
LIGHT = Theme(
    "light", "#ffffff", "#1b1a22", "#66636f", "#dedce6", "#ffffff", "#1b5fa8", "#0a7d33", ("magma_r", 0.0, 0.95),
    ("#c9c3e6", "#8f8ac9", "#b0427c", "#3b0f70"), "#b85000", "#00659e", "#9c4a00",
)  # fmt: skip
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


@cache
def colour_map(theme: Theme) -> Any:
    """Return the theme's colour map; it starts in the background's colour."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    name, low, high = theme.ramp
    stops = 64
    colours = [mpl.colormaps[name](low + (high - low) * i / (stops - 1)) for i in range(stops)]
    ramp: Any = [theme.background, *colours[2:]]
    return LinearSegmentedColormap.from_list(f"liq_{theme.name}", ramp)


def short_usd(value: float, _position: object = None) -> str:
    """Return an amount as people say it: 950, 12.3 K, 4.56 M, 1.2 B."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= 0.9995 * size:  # 999,500 is 1 M
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def price_text(value: float, _position: object = None) -> str:
    """Return a price with as many digits as it needs."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.6g}"


def headings(frame: HeatmapView | LevelsView, what: str) -> tuple[str, str]:
    """Return title and subtitle: estimated, symbol, timeframe, as_of, staleness, and the label of invented data."""
    label = f"  ·  {frame.source_label.upper()} DATA" if frame.source_label else ""
    title = f"{frame.symbol}  {frame.timeframe}  ·  estimated {what}{label}"
    if frame.short_history:
        title += f"  ·  {frame.short_history}"
    parts = [f"{frame.notice} (when drawn)", f"price {price_text(frame.current_price)}"]
    if frame.burn_in_days is not None and frame.burn_in_days < 20:
        parts.append(f"only {frame.burn_in_days:.0f} of 20 days of history before the left edge")
    return title, "  ·  ".join(parts)


def new_figure(theme: Theme, inches: tuple[float, float] = (16.0, 9.0)) -> Figure:
    """Return an empty figure in the theme's colours. No pyplot: no global state, safe in any thread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=100, facecolor=theme.background)
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, theme: Theme) -> None:
    """Give axes the theme's colours."""
    axes.set_facecolor(theme.background)
    axes.tick_params(colors=theme.faint, labelsize=11)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)


def write_headings(
    figure: Figure, theme: Theme, title: str, subtitle: str, footer: str, stale: bool, note: str = ""
) -> None:
    """Write title, subtitle and footer, and a note at the right end of the title's line. A long title is smaller.

    All of it as it is: `$` is a letter here, not the begin of a formula.
    """
    shown, style = text_style(title, "bold")
    plain: dict[str, Any] = {"va": "center", "parse_math": False}
    heading = figure.text(0.015, 0.968, shown, color=theme.text, fontsize=17, **plain | style)
    aside = figure.text(0.985, 0.968, note, color=theme.warning, fontsize=12, ha="right", **plain)
    room = aside.get_window_extent().x0 - 0.03 * figure.bbox.width
    heading.set_fontsize(17 * min(1, room / heading.get_window_extent().width))
    figure.text(0.015, 0.932, subtitle, color=theme.warning if stale else theme.faint, fontsize=12, **plain)
    figure.text(0.015, 0.016, footer, color=theme.faint, fontsize=10, **plain)


def png(figure: Figure) -> bytes:
    """Return the figure as PNG, without transparency, in its 256 most frequent colours: half the bytes.

    Nineteen of twenty pixels keep their colour to the bit; the others, edges of letters and lines, get the nearest.
    """
    import io

    import numpy as np
    from PIL import Image

    canvas: Any = figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    packed = pixels.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
    packed_colours, count = np.unique(packed, return_counts=True)
    colours = np.column_stack([packed_colours >> 16, packed_colours >> 8 & 255, packed_colours & 255])
    kept = np.sort(np.argsort(-count, kind="stable")[:256])
    distance = ((colours[:, None, :] - colours[kept]) ** 2).sum(axis=2)
    places = distance.argmin(axis=1).astype(np.uint8)[np.searchsorted(packed_colours, packed)]
    picture = Image.fromarray(places, "P")
    picture.putpalette(colours[kept].astype(np.uint8).tobytes())
    sink = io.BytesIO()
    picture.save(sink, "PNG", compress_level=3)
    return sink.getvalue()
