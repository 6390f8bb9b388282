"""What is written on the chart and around it: nothing covers what it speaks of, nothing is cut off."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pyarrow.compute as pc
import pytest

from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline_tests.page import at, choose, colours, drag, drawn, picture, point, rgb, window
from liq_pipeline_tests.server.small import datasets_of

pytestmark = pytest.mark.browser

WORDS = """() => { const plain = CanvasRenderingContext2D.prototype.fillText; window.words = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const wide = this.measureText(text).width, part = { left: 0, center: 0.5, right: 1 }[this.textAlign];
    window.words.push({ text, left: x - part * wide, right: x + (1 - part) * wide, y, over: this.canvas.id });
    plain.call(this, text, x, y); }; }"""


PRICES = ("price_low", "price_high", "current_price", "open", "high", "low", "close")


def times(one: PublishedDataset, factor: float) -> PublishedDataset:
    """Return a dataset with every price times a factor."""
    table = one.rows
    for name in set(PRICES) & set(table.column_names):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pc.multiply(table[name], factor))
    return replace(one, rows=table, manifest=one.manifest | {"current_price": one.manifest["current_price"] * factor})


def written(page, act) -> list[dict]:
    """Return what is written on the chart by what is done to it."""
    page.evaluate(f"({WORDS})()")
    act()
    window(page)
    return page.evaluate("() => window.words")


def test_the_tag_of_a_time_reads_as_the_axis_does(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    found = written(page, lambda: page.mouse.move(*at(page, 0.4, 0.4)))

    assert [one["text"] for one in found if re.fullmatch(r"(Tue|Wed|Thu|Fri|Sat) 2\d Jun \d\d:\d\d", one["text"])]


def test_beside_the_chart_the_newest_candles_levels_are_read(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    line = point(page, 0.88, 0.3)

    assert line.startswith("2026-06-28 00:00 UTC")
    assert "no data yet" not in line
    assert "USD" in line


def test_a_zones_words_do_not_cover_its_own_bars(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d", width=1440)
    found = {one["text"][0]: one["y"] for one in written(page, lambda: page.click("#theme")) if " %  " in one["text"]}
    frame, tall = window(page), page.locator("#plot").bounding_box()["height"] - 30
    zones = re.findall(r"([\d,.]+) – ([\d,.]+) \(([−+])", page.inner_text("#zones"))

    assert len(zones) == len(found) == 2
    for low, high, sign in zones:
        top, bottom = (
            4 + tall * (frame["y1"] - float(edge.replace(",", ""))) / (frame["y1"] - frame["y0"])
            for edge in (high, low)
        )
        assert not top < found[sign] < bottom


def test_a_price_out_of_sight_keeps_its_tag_at_the_edge_and_the_clock_free(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    found = written(page, lambda: page.keyboard.press("ArrowUp"))
    (tag,) = [one for one in found if one["text"].startswith("▼ ")]

    (clock,) = [one for one in found if one["text"] == "UTC"]

    assert tag["right"] <= page.locator("#plot").bounding_box()["width"]
    assert clock["y"] - tag["y"] >= 16


@pytest.mark.parametrize("price", [0.000234567, 97_654.3])
def test_prices_of_any_length_fit_their_axis(visit, own_service, tmp_path, price) -> None:
    for one in datasets_of("GOODUSDT", "7d"):
        Publisher(folder=str(tmp_path)).publish([times(one, price / 100)])
    page = visit("/?symbol=GOODUSDT&timeframe=7d", base=own_service(folder=tmp_path).url)
    visit.complaints.clear()  # no ranges are published
    found = written(page, lambda: page.click("#theme"))
    wide = page.locator("#plot").bounding_box()["width"]
    prices = [one for one in found if re.fullmatch(r"[\d,.]+", one["text"]) and one["left"] > 0.8 * wide]

    assert prices
    assert all(one["right"] <= wide for one in prices)


def test_a_side_that_is_off_is_not_summed_to_nothing(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&side=long")

    assert "shorts from" not in point(page, 0.4, 0.02)


def test_swept_marks_are_seen_on_bright_bands(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    before = colours(page, width=0.8).get(rgb("#7dff9b"), 0)
    page.check("#swept")

    assert colours(page, width=0.8).get(rgb("#7dff9b"), 0) > before + 50


@pytest.mark.parametrize("width", [750, 1280])
def test_the_words_of_the_map_lie_apart(visit, width) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map", width=width)
    found = written(page, lambda: page.click("#theme"))
    rows: dict[int, list[dict]] = {}
    for one in found:
        rows.setdefault(round(one["y"]), []).append(one)

    for row in rows.values():
        for left, right in pairwise(sorted(row, key=lambda one: one["left"])):
            assert left["right"] <= right["left"] + 1, (left, right)


def test_a_phones_map_has_several_prices_on_its_axis(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map", phone=True)
    found = written(page, lambda: page.click("#theme"))
    lowest = max(one["y"] for one in found)

    assert len([one for one in found if one["y"] > lowest - 3 and re.fullmatch(r"[\d,.]+K", one["text"])]) >= 3


def test_curves_leave_room_for_the_words_above_them(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map&theme=dark")
    for side in ("#ff9d5c", "#5cc8ff"):
        assert colours(page, x=0.06, width=0.88, y=0.02, height=0.1).get(rgb(side), 0) < 300


@pytest.mark.parametrize("width", [920, 1010, 1280])
def test_badges_and_buttons_are_whole_at_every_width(visit, width) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=30d&leverage=none&at=2026-06-27T00:00Z", width=width)
    page.wait_for_selector("#badges span:nth-child(3)")
    for one in page.locator("#badges span, .tools > button, .tools > .menu").all():
        box = one.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_the_status_tells_the_price_of_the_instant_that_is_shown(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    newest = re.search(r"price [\d,.]+", page.inner_text("#status"))[0]
    page.locator("#at").fill("20")
    window(page)

    assert re.search(r"price [\d,.]+", page.inner_text("#status"))[0] != newest


def test_words_are_explained(visit) -> None:
    page = visit()
    page.keyboard.press("?")

    for word in ("Large zone", "Max pain", "Swept", "If reached"):
        assert word in page.inner_text("#sheet")
    for control in ("#swept-label", ".slider[title]", "#play", "#reset"):
        assert page.get_attribute(control, "title")


def test_filters_are_cleared_with_one_button(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    plain = picture(page)
    assert not page.is_visible("#plain")
    page.locator("#min").fill("40")
    page.locator("#high").fill("60")
    page.check("#swept")
    choose(page, "side", "short")
    drag(page, (0.5, 0.5), (0.4, 0.5))
    zoomed = window(page)
    page.click("#plain")
    drawn(page, " 0 0,1,2,3 both")

    assert window(page) == zoomed
    page.click("#reset")
    assert picture(page) == plain


def test_ranges_are_asked_again_with_the_map(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map")
    page.clock.install()
    page.reload()
    drawn(page, "7d")
    with page.expect_response("**/liquidations/if-reached**"):
        page.clock.run_for(61_000)
