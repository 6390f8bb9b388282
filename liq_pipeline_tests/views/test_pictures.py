"""Pictures say what they show, are small and quick, and no label covers another."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.views.frame import QUANTILE
from liq_pipeline.views.heatmap_png import draw_heatmap, draw_preview, heatmap_figure
from liq_pipeline.views.map_png import draw_map, map_figure
from liq_pipeline.views.payload import heatmap_payload
from liq_pipeline.views.style import DARK, THEMES, colour_map, png

themes = pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
timeframes = pytest.mark.parametrize("timeframe", TIMEFRAMES)


def texts(figure) -> list[tuple[str, object]]:
    """Every text that is drawn, with the box it takes."""
    canvas = figure.canvas
    canvas.draw()
    renderer = canvas.get_renderer()
    limits = {}
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                for label in (tick.label1, tick.label2):
                    limits[label] = low <= tick.get_loc() <= high
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and limits.get(text, True):
            found.append((text.get_text(), text.get_window_extent(renderer)))
    return found


def collisions(figure) -> list[tuple[str, str]]:
    found = texts(figure)
    width, height = figure.bbox.width, figure.bbox.height
    out = [(name, "the edge") for name, box in found if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    for number, (name, box) in enumerate(found):
        out += [(name, other) for other, second in found[number + 1 :] if box.overlaps(second)]
    return out


@themes
@timeframes
@pytest.mark.parametrize("hours", [6, 30, 500])
def test_no_label_covers_another(frames, timeframe, theme, hours) -> None:
    frame, levels = frames(timeframe, hours, source_label="simulated")

    assert collisions(heatmap_figure(frame, theme)) == []
    assert collisions(map_figure(levels, theme)) == []


@timeframes
def test_the_heading_names_estimate_symbol_timeframe_age_and_invented_data(frames, timeframe) -> None:
    frame, levels = frames(timeframe, 30, source_label="simulated")
    for figure in (heatmap_figure(frame), map_figure(levels)):
        said = " ".join(text for text, _ in texts(figure))
        for wanted in ("BTCUSDT", timeframe, "estimated", "SIMULATED DATA", "data up to 2026-06-28 00:00 UTC",
                       "30.0 h old", "not a forecast"):  # fmt: skip
            assert wanted in said


def test_real_data_carries_no_label_and_short_history_is_told(frames) -> None:
    said = " ".join(text for text, _ in texts(heatmap_figure(frames("7d")[0])))

    assert "DATA" not in said
    assert "of 20 days of history" in said


@themes
@timeframes
def test_a_picture_takes_a_second_at_most(frames, timeframe, theme) -> None:
    frame, levels = frames(timeframe)
    draw_map(levels, theme)  # fonts are loaded once per process

    for draw, what in ((draw_heatmap, frame), (draw_map, levels)):
        seconds = []
        for _ in range(3):  # the best of three: others share the machine
            began = time.process_time()
            data = draw(what, theme)
            seconds.append(time.process_time() - began)
            if seconds[-1] <= 1.0:
                break
        assert min(seconds) <= 1.0
        assert Image.open(io.BytesIO(data)).size == (1600, 900)
        assert len(data) < 250_000


@themes
def test_a_palette_halves_the_bytes_and_leaves_nineteen_of_twenty_pixels_as_they_were(frames, theme) -> None:
    frame, levels = frames("30d")
    for figure in (heatmap_figure(frame, theme), map_figure(levels, theme)):
        data = png(figure)
        drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]
        found = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        full = io.BytesIO()
        Image.fromarray(drawn).save(full, "PNG", compress_level=3)

        assert (found == drawn).all(axis=2).mean() > 0.95
        assert np.abs(found.astype(int) - drawn).mean() < 0.5
        assert len(data) < 0.6 * full.tell()


@timeframes
def test_the_preview_fits_into_the_ui(frames, timeframe) -> None:
    for limit in (37_000, 3_000):
        data = draw_preview(frames(timeframe)[0], limit)
        assert len(data) <= limit or limit == 3_000
        assert Image.open(io.BytesIO(data)).format == "PNG"


def colours_of(png: bytes) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    return {tuple(map(int, colour)) for colour in np.unique(pixels, axis=0)}


@pytest.mark.parametrize(
    ("move", "rises", "falls"), [(1, True, False), (0, True, False), (-1, False, True), (np.nan, False, False)]
)
def test_a_preview_has_the_colour_of_rising_candles_where_none_falls_and_of_neither_without_any(
    frames, move: float, rises: bool, falls: bool
) -> None:
    frame, _ = frames("7d")
    closes = frame.candles["open"] + move * frame.row_height
    shown = colours_of(draw_preview(replace(frame, candles=frame.candles | {"close": closes}), 10**6, DARK))

    up, down = (tuple(int(255 * part) for part in to_rgb(colour)) for colour in (DARK.up, DARK.down))
    assert (up in shown, down in shown) == (rises, falls)


@pytest.mark.parametrize("move", [1, -1], ids=["rising", "falling"])
def test_a_body_in_a_preview_fills_the_middle_of_its_column_from_its_open_to_its_close(frames, move: int) -> None:
    frame, _ = frames("1d")
    low, high = np.quantile(frame.row_edges, [0.25, 0.75])
    place = frame.ts.size // 3
    only = {name: np.full(frame.ts.size, np.nan) for name in ("open", "high", "low", "close")}
    for name, price in zip(("open", "close"), (low, high)[::move], strict=True):
        only[name][place] = price
    only["low"][place], only["high"][place] = low, high
    png = draw_preview(replace(frame, candles=frame.candles | only), 10**6, DARK)

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    colour = [int(255 * part) for part in to_rgb(DARK.up if move > 0 else DARK.down)]
    rows, columns = np.nonzero((pixels == colour).all(axis=2))
    column, height = pixels.shape[1] / frame.ts.size, pixels.shape[0]
    middle = (place + 0.5) * column
    assert [columns.min(), columns.max()] == pytest.approx([middle - 0.36 * column, middle + 0.36 * column], abs=1)
    assert [rows.min(), rows.max()] == pytest.approx([0.25 * height, 0.75 * height], abs=1)


@timeframes
def test_each_candle_stands_in_its_own_column_from_its_open_to_its_close(frames, timeframe) -> None:
    frame, _ = frames(timeframe)
    (axes, *_) = heatmap_figure(frame).axes
    (bodies,) = [part for part in axes.collections if isinstance(part, PolyCollection)]
    boxes = [path.get_extents() for path in bodies.get_paths()]
    known = np.flatnonzero(~np.isnan(frame.candles["close"]))
    assert len(boxes) == known.size
    left, right = axes.get_xlim()
    column = (right - left) / frame.ts.size
    for place, box in zip(known, boxes, strict=True):
        assert left + place * column < box.x0 < box.x1 < left + (place + 1) * column
        ends = sorted((frame.candles["open"][place], frame.candles["close"][place]))
        assert [box.y0, box.y1] == pytest.approx(ends)


def test_one_huge_cell_does_not_blind_the_rest(frames) -> None:
    frame, _ = frames("7d")
    before = frame.top
    frame.usd[0, 0, 0, 0] += 1e15
    del frame.__dict__["total"], frame.__dict__["top"]

    assert frame.top == pytest.approx(before, rel=0.05)
    assert f"{100 * QUANTILE:.0f} % quantile" in " ".join(text for text, _ in texts(heatmap_figure(frame)))
    frame.usd[0, 0, 0, 0] -= 1e15


@themes
def test_the_colour_map_rises_evenly_in_brightness(theme) -> None:
    rgb = colour_map(theme)(np.linspace(0, 1, 64))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    lightness = np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)
    steps = np.diff(lightness) * (1 if theme.name == "dark" else -1)

    assert (steps > -0.3).all()
    assert abs(lightness[-1] - lightness[0]) > 80


@timeframes
def test_nothing_is_empty_at_the_left_edge(frames, timeframe) -> None:
    total = frames(timeframe)[0].total

    assert total[0].sum() > 0.3 * np.median(total.sum(axis=1))


def test_cumulative_curves_start_at_the_price_from_zero_and_grow_outwards(frames) -> None:
    levels = frames("7d")[1]
    below, long, above, short = levels.cumulative()

    assert below[0] == above[0] == levels.current_price
    assert long[0] == short[0] == 0
    assert (np.diff(below) <= 0).all()
    assert (np.diff(above) >= 0).all()
    assert (np.diff(long) >= 0).all()
    assert (np.diff(short) >= 0).all()
    assert long[-1] == pytest.approx(levels.usd[0].sum())
    assert short[-1] == pytest.approx(levels.usd[1].sum())


def test_an_empty_map_is_drawn_too(frames) -> None:
    import pyarrow as pa

    from liq_pipeline.published.schemas import LEVELS_SCHEMA
    from liq_pipeline.views.levels_frame import levels_frame_of

    now = datetime(2026, 6, 28, tzinfo=UTC)
    facts = {"current_price": 100.0, "as_of": now.isoformat()}
    assert draw_map(levels_frame_of(LEVELS_SCHEMA.empty_table(), facts, "X", "1d", now))
    assert isinstance(LEVELS_SCHEMA.empty_table(), pa.Table)


@pytest.mark.parametrize("number", [0, 1], ids=["heatmap", "map"])
def test_default_margin_brackets_are_said_at_the_end_of_the_title_line(frames, number: int) -> None:
    default = {"margin_brackets": "default", "maintenance_margin_pct": 1.5, "max_leverage": 50}
    frame = frames("90d", 80, source_label="simulated", **default)[number]

    found = texts((heatmap_figure, map_figure)[number](frame))

    ((_, title),) = [item for item in found if "estimated liquidation" in item[0]]
    ((_, note),) = [item for item in found if item[0] == "default margin brackets: 1.5 %, at most 50x"]
    assert title.x1 < note.x0
    assert note.x1 < 1600
    assert number or heatmap_payload(frame)["margin_note"] == "default margin brackets: 1.5 %, at most 50x"


@pytest.mark.parametrize("symbol", ["币安人生USDT", "\U0002a6a5" * 12, "\ud800USDT"])
def test_pictures_of_any_symbol_are_drawn_without_a_warning_and_fit(symbol: str, frames) -> None:
    default = {"margin_brackets": "default", "maintenance_margin_pct": 1.5, "max_leverage": 50}
    for frame, figure_of in zip(
        frames("7d", source_label="模拟 $x_$", **default), (heatmap_figure, map_figure), strict=True
    ):
        figure = figure_of(replace(frame, symbol=symbol))
        figure.canvas.draw()
        title, note = (next(t for t in figure.texts if part in t.get_text()) for part in ("estimated", "brackets"))
        assert title.get_window_extent().x1 < note.get_window_extent().x0
    assert draw_heatmap(replace(frames("7d")[0], symbol=symbol))


@pytest.mark.parametrize("label", [r"a $\frac$ b", "$", "$$", r"\alpha $x_$", "_^{", "50 $ off $"])
def test_a_label_is_drawn_as_text_whatever_it_holds(label: str, frames) -> None:
    frame, levels = frames("1d", source_label=label)

    for figure in (heatmap_figure(frame), map_figure(levels)):
        figure.canvas.draw()
        title = next(text for text in figure.texts if "estimated" in text.get_text())
        assert label.upper() in title.get_text()
        assert not title.get_parse_math()


def test_a_map_of_one_column_is_drawn(frames) -> None:
    frame, _ = frames("1d")
    last = {name: values[-1:] for name, values in frame.candles.items()}
    one = replace(frame, ts=frame.ts[-1:], usd=frame.usd[:, :, -1:], candles=last)

    assert collisions(heatmap_figure(one)) == []
    picture = Image.open(io.BytesIO(draw_heatmap(one)))
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
