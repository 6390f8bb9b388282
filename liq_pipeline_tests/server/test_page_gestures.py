"""Mouse, keys and fingers on the chart, as on any chart of prices."""

from __future__ import annotations

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from liq_pipeline_tests.page import Fingers, at, choose, drag, drawn, picture, point, query, window

pytestmark = pytest.mark.browser


def move(page, how: str) -> None:
    if how == "wheel":
        page.mouse.move(*at(page, 0.3, 0.3))
        page.mouse.wheel(0, -300)
    elif how == "drag":
        drag(page, (0.5, 0.5), (0.3, 0.4))
    elif how == "price axis":
        drag(page, (0.99, 0.3), (0.99, 0.5))
    elif how == "time axis":
        drag(page, (0.3, 0.99), (0.5, 0.99))
    else:
        page.keyboard.press(how)


@pytest.mark.parametrize("back", ["button", "double click", "0"])
@pytest.mark.parametrize("how", ["wheel", "drag", "price axis", "time axis", "+", "ArrowLeft"])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_a_zoom_and_then_a_reset_give_the_first_picture_again(visit, view, how, back) -> None:
    page = visit(f"/?symbol=BTCUSDT&view={view}")
    first = picture(page)
    move(page, how)
    assert picture(page) != first

    if back == "button":
        page.click("#reset")
    elif back == "0":
        page.keyboard.press("0")
    else:
        page.mouse.dblclick(*at(page, 0.5, 0.5))
    assert picture(page) == first
    assert "zoom" not in query(page)


def test_a_drag_pans_by_as_much_as_the_pointer_moves(visit) -> None:
    page = visit()
    before, read = window(page), point(page, 0.4, 0.4)
    drag(page, (0.4, 0.4), (0.6, 0.5))
    after = window(page)

    assert after["x1"] - after["x0"] == pytest.approx(before["x1"] - before["x0"])
    assert after["y1"] - after["y0"] == pytest.approx(before["y1"] - before["y0"])
    assert after["x0"] < before["x0"]
    assert after["y0"] > before["y0"]
    assert point(page, 0.6, 0.5) == read


def test_the_wheel_zooms_at_the_pointer(visit) -> None:
    page = visit()
    before, read = window(page), point(page, 0.31, 0.31)
    page.mouse.wheel(0, -300)
    after = window(page)

    for low, high in (("x0", "x1"), ("y0", "y1")):
        assert after[high] - after[low] < 0.7 * (before[high] - before[low])
    assert point(page, 0.31, 0.31) == read


@pytest.mark.parametrize(
    ("begin", "end", "moved", "kept"),
    [((0.99, 0.3), (0.99, 0.5), "y", "x"), ((0.3, 0.99), (0.5, 0.99), "x", "y")],
    ids=["prices", "times"],
)
def test_an_axis_that_is_dragged_stretches_alone(visit, begin, end, moved, kept) -> None:
    page = visit()
    before = window(page)
    drag(page, begin, end)
    after = window(page)

    assert after[f"{moved}1"] - after[f"{moved}0"] != pytest.approx(before[f"{moved}1"] - before[f"{moved}0"])
    assert [after[f"{kept}0"], after[f"{kept}1"]] == pytest.approx([before[f"{kept}0"], before[f"{kept}1"]])


def test_it_begins_with_a_twentieth_of_empty_time_after_the_newest_candle(visit) -> None:
    page = visit()
    sight = window(page)
    newest = page.evaluate("() => Date.parse('2026-06-28T00:00Z') / 1000")

    assert (sight["x1"] - newest) / (newest - sight["x0"]) == pytest.approx(0.05, abs=1e-6)


def test_it_cannot_be_lost(visit) -> None:
    page = visit()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("-")
    assert window(page)["x0"] < page.evaluate("() => Date.parse('2026-06-28T00:00Z') / 1000")
    for _ in range(60):
        page.keyboard.press("+")
    assert window(page)["x1"] > window(page)["x0"]


@pytest.mark.parametrize("control", ["threshold", "theme", "leverage", "side"])
def test_a_control_keeps_the_zoom(visit, control) -> None:
    page = visit()
    page.mouse.move(*at(page, 0.3, 0.3))
    page.mouse.wheel(0, -300)
    zoomed = window(page)
    if control == "threshold":
        page.locator("#min").fill("20")
    elif control == "theme":
        page.click("#theme")
    elif control == "leverage":
        page.locator("#classes input").first.uncheck()
    else:
        choose(page, "side", "long")

    assert window(page) == zoomed


def test_a_refresh_keeps_the_zoom(visit) -> None:
    page = visit()
    page.clock.install()
    page.reload()
    drawn(page, "7d")
    page.mouse.move(*at(page, 0.3, 0.3))
    page.mouse.wheel(0, -300)
    page.clock.run_for(1000)
    zoomed = page.get_attribute("#plot", "data-frame")
    with page.expect_response("**/liquidations/levels**"):
        page.clock.run_for(60_000)
    page.clock.run_for(1000)

    assert page.get_attribute("#plot", "data-frame") == zoomed


def test_keys_move_zoom_and_read(visit) -> None:
    page = visit()
    whole = window(page)
    page.keyboard.press("ArrowRight")
    assert window(page)["x0"] > whole["x0"]
    page.keyboard.press("ArrowUp")
    assert window(page)["y0"] > whole["y0"]
    page.keyboard.press("+")
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert window(page) == pytest.approx(whole)

    page.focus("#plot")
    page.keyboard.press("Shift+ArrowLeft")
    first = page.wait_for_function("() => document.getElementById('readout').textContent.includes('candle')") and (
        page.inner_text("#readout")
    )
    page.keyboard.press("Shift+ArrowUp")
    window(page)
    assert page.inner_text("#readout") != first
    assert page.get_attribute("#readout", "aria-live") == "polite"


def into_full_screen(page, ask) -> None:
    """Ask a second time if nothing came of the first: a browser may refuse while it is busy."""
    filled = "() => Boolean(document.fullscreenElement)"
    ask()
    try:
        page.wait_for_function(filled, timeout=10_000)
    except PlaywrightTimeout:
        ask()
        page.wait_for_function(filled)


def test_help_full_screen_and_symbols_have_keys(visit) -> None:
    page = visit()
    page.keyboard.press("?")
    assert page.is_visible("#sheet")
    assert "pinch" in page.inner_text("#sheet")
    page.keyboard.press("Escape")
    page.wait_for_selector("#sheet", state="hidden")
    page.keyboard.press("/")
    assert page.is_visible("#picker")
    page.keyboard.press("Escape")
    page.wait_for_selector("#picker", state="hidden")
    into_full_screen(page, lambda: page.keyboard.press("f"))
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    page.wait_for_timeout(500)  # the browser refuses while it leaves
    into_full_screen(page, lambda: page.click("#full"))


class TestFingers:
    def test_a_tap_reads(self, visit) -> None:
        page = visit(phone=True)
        assert page.inner_text("#readout").startswith("Tap")
        page.touchscreen.tap(*at(page, 0.3, 0.4))
        page.wait_for_function("() => document.getElementById('readout').textContent.includes('USD')")

    def test_one_finger_pans_the_chart_and_not_the_page(self, visit) -> None:
        page = visit(phone=True)
        page.locator("#plot").scroll_into_view_if_needed()
        before, scrolled = window(page), page.evaluate("() => scrollY")
        fingers = Fingers(page)
        fingers.send("Start", at(page, 0.4, 0.6))
        for step in range(1, 6):
            fingers.send("Move", at(page, 0.4 + 0.04 * step, 0.6 - 0.04 * step))
        fingers.send("End")

        assert window(page)["x0"] < before["x0"]
        assert window(page)["y0"] < before["y0"]
        assert page.evaluate("() => scrollY") == scrolled

    def test_one_finger_outside_the_chart_scrolls_the_page(self, visit) -> None:
        page = visit(phone=True)
        before = window(page)
        fingers, box = Fingers(page), page.locator("#readout").bounding_box()
        x, y = box["x"] + 60, box["y"] + box["height"] / 2
        fingers.send("Start", (x, y))
        for step in range(1, 11):
            fingers.send("Move", (x, y - 20 * step))
        fingers.send("End")

        page.wait_for_function("() => scrollY > 100")
        assert window(page) == before

    @pytest.mark.parametrize("view", ["heatmap", "map"])
    def test_two_fingers_zoom_both_ways(self, visit, view) -> None:
        page = visit(f"/?symbol=BTCUSDT&view={view}", phone=True)
        page.locator("#plot").scroll_into_view_if_needed()
        before = window(page)
        fingers = Fingers(page)
        fingers.send("Start", at(page, 0.35, 0.45), at(page, 0.55, 0.55))
        for step in range(1, 6):
            far = 0.03 * step
            fingers.send("Move", at(page, 0.35 - far, 0.45 - far), at(page, 0.55 + far, 0.55 + far))
        fingers.send("End")
        after = window(page)

        assert after["x1"] - after["x0"] < 0.8 * (before["x1"] - before["x0"])
        if view == "heatmap":
            assert after["y1"] - after["y0"] < 0.8 * (before["y1"] - before["y0"])

    def test_filters_open_and_close(self, visit) -> None:
        page = visit(phone=True)
        assert not page.is_visible("#min")
        page.tap("#more")
        assert page.is_visible("#min")
        page.locator("#min").fill("30")
        drawn(page, " 30 ")
        page.tap("#more")
        assert not page.is_visible("#min")
