"""The page on a phone, upright and on its side: the chart is in sight, what is tapped is read, nothing is cut off."""

from __future__ import annotations

import pytest

from liq_pipeline_tests.page import Fingers, at, drawn, window

pytestmark = pytest.mark.browser

UPRIGHT, ASIDE = {"width": 390, "height": 664}, {"width": 750, "height": 342}


def phone(visit, size: dict[str, int], address: str = "/?symbol=BTCUSDT&timeframe=7d"):
    return visit(address, **size, has_touch=True, is_mobile=True, device_scale_factor=2)


@pytest.mark.parametrize(("size", "most"), [(UPRIGHT, 0.4), (ASIDE, 0.56)])
def test_the_chart_begins_high_enough(visit, size, most) -> None:
    page = phone(visit, size)

    assert page.locator("#plot").bounding_box()["y"] <= most * size["height"]


@pytest.mark.parametrize("size", [UPRIGHT, ASIDE])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_a_tap_opens_the_read_out_and_the_chart_stays_under_the_finger(visit, size, view) -> None:
    page = phone(visit, size, f"/?symbol=BTCUSDT&timeframe=7d&view={view}")
    assert page.locator("#readout").bounding_box()["height"] < 32
    before = page.locator("#plot").bounding_box()["y"]
    page.touchscreen.tap(*at(page, 0.4, 0.4))
    page.wait_for_function("() => document.getElementById('readout').textContent.includes('USD')")
    words = page.evaluate(
        "() => { const all = document.getElementById('readout').getBoundingClientRect();"
        "return [...document.querySelectorAll('#readout > span')].map((e) => e.getBoundingClientRect())"
        ".every((one) => one.bottom <= all.bottom + 1 && one.right <= innerWidth); }"
    )

    assert words
    assert page.locator("#plot").bounding_box()["y"] == pytest.approx(before, abs=1)


def test_the_read_out_stays_in_sight_where_the_chart_fills_the_screen(visit) -> None:
    page = phone(visit, ASIDE)
    page.touchscreen.tap(*at(page, 0.4, 0.2))
    page.evaluate("() => scrollTo(0, 250)")
    box = page.locator("#readout").bounding_box()

    assert page.locator("#plot").bounding_box()["y"] < 0
    assert box["y"] >= 0
    assert "USD" in page.inner_text("#readout")


def test_a_phone_on_its_side_leaves_a_strip_to_scroll_the_page_by(visit) -> None:
    page = phone(visit, ASIDE)

    assert page.locator("#plot").bounding_box()["height"] <= ASIDE["height"] - 70


@pytest.mark.parametrize("size", [UPRIGHT, ASIDE, {"width": 360, "height": 640}])
def test_menu_and_help_fit_the_screen(visit, size) -> None:
    page = phone(visit, size)
    page.tap("#save")
    box = page.locator("#save-menu").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    page.tap("#save")
    page.tap("#help")
    top = page.locator("#sheet h2").bounding_box()["y"]

    assert 0 <= top < size["height"]
    assert page.locator("#sheet").bounding_box()["height"] <= size["height"]
    assert "Shift + arrows" not in page.inner_text("#sheet")


def test_on_its_side_it_says_tap_and_not_point(visit) -> None:
    assert phone(visit, ASIDE).inner_text("#readout").startswith("Tap")


@pytest.mark.parametrize("size", [UPRIGHT, ASIDE])
def test_every_badge_is_shown_whole(visit, size) -> None:
    page = phone(visit, size, "/?symbol=BTCUSDT&timeframe=30d&leverage=none&at=2026-06-27T00:00Z")
    page.wait_for_selector("#badges span:nth-child(3)")
    for number in range(3):
        box = page.locator("#badges span").nth(number).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]


def test_two_taps_show_the_whole_picture_again(visit) -> None:
    page = phone(visit, UPRIGHT)
    whole, fingers = window(page), Fingers(page)
    fingers.send("Start", at(page, 0.4, 0.6))
    for step in range(1, 6):
        fingers.send("Move", at(page, 0.4 + 0.04 * step, 0.6 - 0.04 * step))
    fingers.send("End")
    assert window(page) != whole
    for _ in range(2):
        page.touchscreen.tap(*at(page, 0.4, 0.4))
    drawn(page, "7d")

    assert window(page) == whole


def test_the_button_counts_the_filters_that_are_on_and_clears_them(visit) -> None:
    page = phone(visit, UPRIGHT, "/?symbol=BTCUSDT&timeframe=7d&side=long&min=30&leverage=1.2")
    assert page.inner_text("#more") == "Filters (3)"
    page.tap("#more")
    page.tap("#plain")
    drawn(page, "BTCUSDT 7d heatmap dark 0 0,1,2,3 both")

    assert page.inner_text("#more") == "Filters"
    assert not page.is_visible("#plain")
    assert page.is_checked("#classes input >> nth=0")
    assert page.input_value("#min") == "0"
