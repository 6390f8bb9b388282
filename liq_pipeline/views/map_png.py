"""`map.png`: liquidation levels by price and leverage class, and their cumulative curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liq_pipeline.published.staleness import AGEING
from liq_pipeline.views.frame import CLASS_NAMES
from liq_pipeline.views.levels_frame import LevelsView
from liq_pipeline.views.style import (
    DARK,
    Theme,
    dress,
    headings,
    new_figure,
    png,
    price_text,
    short_usd,
    write_headings,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TALLEST_QUANTILE = 0.99
_HEADROOM = 1.3


def draw_map(frame: LevelsView, theme: Theme = DARK) -> bytes:
    """Return the picture as PNG, 1600 × 900."""
    return png(map_figure(frame, theme))


def map_figure(frame: LevelsView, theme: Theme = DARK) -> Figure:
    """Return the picture as a figure."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(theme)
    axes = figure.add_axes((0.065, 0.085, 0.865, 0.765))
    dress(axes, theme)
    width = np.diff(frame.edges)
    top = _top(frame)
    bottom = _draw_bars(axes, frame, theme)
    cut = bottom > top
    if cut.any():
        middle = (frame.edges[:-1] + width / 2)[cut]
        axes.plot(middle, np.full(middle.size, top * 0.985), "^", color=theme.text, markersize=7, clip_on=False)
    axes.set_xlim(frame.edges[0], frame.edges[-1])
    axes.set_ylim(0, top)
    axes.grid(axis="y", color=theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(price_text))
    axes.yaxis.set_major_formatter(FuncFormatter(short_usd))

    curves = axes.twinx()
    dress(curves, theme)
    below, long, above, short = frame.cumulative()
    for prices, sums, colour, name in (
        (below, long, theme.long, "longs, cumulative"), (above, short, theme.short, "shorts, cumulative"),
    ):  # fmt: skip
        curves.plot(prices, sums, color=colour, linewidth=2.2, label=name)
    curves.set_ylim(0, max(long[-1], short[-1], 1.0) * 1.05)
    curves.yaxis.set_major_formatter(FuncFormatter(short_usd))
    axes.axvline(frame.current_price, color=theme.price, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        price_text(frame.current_price), (frame.current_price, 1), xycoords=("data", "axes fraction"), xytext=(0, 5),
        textcoords="offset points", color=theme.price, fontsize=11, fontweight="bold", ha="center", va="bottom",
    )  # fmt: skip
    _draw_legend(figure, curves, theme)
    cut_note = f" Bars end at {short_usd(top)} USD (▲: {int(cut.sum())} higher)." if cut.any() else ""
    footer = (
        f"Left axis: USD per {price_text(float(width[0]))} USD of price, by leverage. Right axis: cumulative. Beyond: "
        f"long {short_usd(frame.beyond[0])}, short {short_usd(frame.beyond[1])} USD.{cut_note} Exposure, not a "
        "forecast."
    )
    title, subtitle = headings(frame, "liquidation map")
    note = f"positions younger than {frame.timeframe}"
    write_headings(figure, theme, title, f"{subtitle}  ·  {note}", footer, frame.age >= AGEING, frame.margin_note)
    return figure


def _draw_bars(axes: Any, frame: LevelsView, theme: Theme) -> np.ndarray:
    """Draw the bars by leverage, one class on the other, and return their heights, USD."""
    from matplotlib.collections import PolyCollection

    width = np.diff(frame.edges)
    # Long and short share the bar in which the price lies; one stands on the other.
    bottom = np.zeros(width.size)
    for place, name in enumerate(CLASS_NAMES.values()):
        height = frame.usd[:, place].sum(axis=0)
        some = height > 0
        left, right = frame.edges[:-1][some], (frame.edges[:-1] + 0.92 * width)[some]
        low, high = bottom[some], (bottom + height)[some]
        corners = ((left, low), (right, low), (right, high), (left, high))
        boxes = np.stack([np.column_stack(corner) for corner in corners], axis=1)
        axes.add_collection(PolyCollection(list(boxes), facecolors=theme.classes[place], linewidths=0, label=name))
        bottom = bottom + height
    return bottom


def _draw_legend(figure: Figure, curves: Any, theme: Theme) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=colour, label=name) for colour, name in zip(theme.classes, CLASS_NAMES.values(), strict=True)
    ]
    figure.legend(
        handles=[*handles, *curves.get_lines()],
        loc="upper right",
        ncols=6,
        bbox_to_anchor=(0.932, 0.912),
        frameon=False,
        fontsize=10.5,
        labelcolor=theme.text,
        columnspacing=1.4,
        borderpad=0.0,
    )


def _top(frame: LevelsView) -> float:
    total = frame.usd.sum(axis=(0, 1))
    some = total[total > 0]
    if not some.size:
        return 1.0
    return float(min(some.max() * 1.05, np.quantile(some, _TALLEST_QUANTILE) * _HEADROOM))
