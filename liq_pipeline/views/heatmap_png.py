"""`heatmap.png`: candles over the field of bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liq_pipeline.published.staleness import AGEING
from liq_pipeline.views.frame import QUANTILE, HeatmapView
from liq_pipeline.views.style import (
    DARK,
    Theme,
    colour_map,
    dress,
    headings,
    new_figure,
    png,
    price_text,
    short_usd,
    write_headings,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

PREVIEW_PIXELS = (720, 380)
_TICK_MINUTES = (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400, 28_800)


def draw_heatmap(frame: HeatmapView, theme: Theme = DARK) -> bytes:
    """Return the picture as PNG, 1600 × 900."""
    return png(heatmap_figure(frame, theme))


def heatmap_figure(frame: HeatmapView, theme: Theme = DARK) -> Figure:
    """Return the picture as a figure."""
    from matplotlib.dates import date2num
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(theme)
    axes = figure.add_axes((0.06, 0.085, 0.808, 0.815))
    dress(axes, theme)
    image = _bands(axes, frame, theme)
    _candles(axes, frame, theme)
    axes.axhline(frame.current_price, color=theme.price, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        price_text(frame.current_price), (1, frame.current_price), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", color=theme.price, fontsize=11, fontweight="bold", va="center",
    )  # fmt: skip
    ticks = _time_ticks(frame)
    axes.set_xticks(np.asarray(date2num(ticks)), [_time_text(tick) for tick in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(10))
    axes.yaxis.set_major_formatter(FuncFormatter(price_text))

    bar = figure.colorbar(image, cax=figure.add_axes((0.952, 0.085, 0.012, 0.815)), extend="max")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(short_usd))
    bar.ax.yaxis.set_ticks_position("left")
    bar.ax.tick_params(colors=theme.faint, labelsize=10)
    bar.outline.set_edgecolor(theme.grid)
    figure.text(
        0.978, 0.4925, f"USD per row of {price_text(frame.row_height)} USD", rotation=90, color=theme.faint,
        fontsize=10, ha="center", va="center",
    )  # fmt: skip
    footer = (
        "Every position alive at each time, whatever its age; bands end where a candle touches them. Exposure, not a "
        f"forecast. Colour: linear; above the {100 * QUANTILE:.0f} % quantile ({short_usd(frame.top)} USD) "
        "all alike."
    )
    write_headings(
        figure, theme, *headings(frame, "liquidation heatmap"), footer, frame.age >= AGEING, frame.margin_note
    )
    return figure


def draw_preview(frame: HeatmapView, limit: int, theme: Theme = DARK) -> bytes:
    """Return a small picture without text, at most `limit` bytes of PNG."""
    import io

    for size, colours in (*((PREVIEW_PIXELS, count) for count in (64, 32, 16, 8)), ((360, 190), 8)):
        sink = io.BytesIO()
        _raster(frame, theme, size, colours).save(sink, "PNG", optimize=True)
        if sink.tell() <= limit:
            break
    return sink.getvalue()


def _raster(frame: HeatmapView, theme: Theme, size: tuple[int, int], colours: int) -> Image.Image:
    """Return bands and candles as a picture of that many pixels and colours: a tenth of the time of a figure."""
    from matplotlib.colors import to_rgb
    from PIL import Image, ImageDraw

    width, height = size
    up, down = colours - 2, colours - 1
    shades = np.rint((up - 1) * np.clip(frame.total.T[::-1] / frame.top, 0, 1)).astype(np.uint8)
    ramp = colour_map(theme)(np.linspace(0, 1, up))[:, :3]
    picture = Image.fromarray(shades, "P").resize(size, Image.Resampling.NEAREST)
    palette = np.vstack([ramp, to_rgb(theme.up), to_rgb(theme.down)])
    picture.putpalette((255 * palette).astype(np.uint8).tobytes())
    draw = ImageDraw.Draw(picture)
    step = width / frame.ts.size
    low_edge, high_edge = frame.row_edges[0], frame.row_edges[-1]
    opened, high, low, close = (
        height * (high_edge - frame.candles[name]) / (high_edge - low_edge) for name in ("open", "high", "low", "close")
    )
    for place in np.flatnonzero(~np.isnan(close)):
        colour = up if close[place] <= opened[place] else down  # pixels count downwards
        middle = (place + 0.5) * step
        draw.line((middle, high[place], middle, low[place]), fill=colour)
        top, bottom = sorted((opened[place], close[place]))
        draw.rectangle((middle - 0.36 * step, top, middle + 0.36 * step, bottom), fill=colour)
    return picture


def _time_ticks(frame: HeatmapView) -> np.ndarray:
    """Return round instants inside the picture, at most ten."""
    last = frame.ts[-1]
    first = frame.ts[0] - np.timedelta64(round(frame.column_width), "s")
    minutes = next((step for step in _TICK_MINUTES if (last - first) / np.timedelta64(step, "m") <= 10), 86_400)
    step = np.timedelta64(minutes, "m").astype("timedelta64[us]")
    epoch = np.datetime64(0, "us")
    begin = epoch - (-(first - epoch) // step) * step
    return np.asarray(np.arange(begin, last + np.timedelta64(1, "us"), step))


def _time_text(instant: np.datetime64) -> str:
    moment = instant.astype("datetime64[us]").item()
    return f"{moment:%d %b}" if moment.hour == moment.minute == 0 else f"{moment:%H:%M}"


def _days(frame: HeatmapView) -> np.ndarray:
    from matplotlib.dates import date2num

    return np.asarray(date2num(frame.ts))


def _bands(axes: Axes, frame: HeatmapView, theme: Theme) -> Any:
    days, width = _days(frame), frame.column_width / 86_400
    image = axes.imshow(
        frame.total.T, origin="lower", aspect="auto", interpolation="nearest", cmap=colour_map(theme),
        vmin=0, vmax=frame.top,
        extent=(days[0] - width, days[-1], frame.row_edges[0], frame.row_edges[-1]),
    )  # fmt: skip
    axes.set_xlim(days[0] - width, days[-1])
    axes.set_ylim(frame.row_edges[0], frame.row_edges[-1])
    return image


def _candles(axes: Axes, frame: HeatmapView, theme: Theme) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    width = frame.column_width / 86_400
    middle = _days(frame) - width / 2
    known = ~np.isnan(frame.candles["close"])
    middle = middle[known]
    open_, high, low, close = (frame.candles[name][known] for name in ("open", "high", "low", "close"))
    rising = close >= open_
    colours = np.where(rising, theme.up, theme.down)
    edges = np.where(rising, theme.text if theme.name == "light" else theme.up, theme.down)
    wicks = np.stack([np.column_stack([middle, low]), np.column_stack([middle, high])], axis=1)
    axes.add_collection(LineCollection(list(wicks), colors=list(edges), linewidths=0.8))
    half = 0.36 * width
    left, right = middle - half, middle + half
    bottom, top = np.minimum(open_, close), np.maximum(open_, close)
    bodies = np.stack([np.column_stack(corner) for corner in
                       ((left, bottom), (right, bottom), (right, top), (left, top))], axis=1)  # fmt: skip
    axes.add_collection(PolyCollection(list(bodies), facecolors=list(colours), edgecolors=list(edges), linewidths=0.5))
