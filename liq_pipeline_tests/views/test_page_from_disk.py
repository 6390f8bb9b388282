"""`heatmap.html` works where it lies: no server, no network."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, pages):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True, accept_downloads=True)
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_(query: str = "", timeframe: str = "7d"):
        page.goto((pages(timeframe) / "heatmap.html").as_uri() + query)
        page.wait_for_selector("#plot[data-drawn]")
        return page

    yield open_
    assert complaints == []
    context.close()


def drawn(page, *wanted: str) -> None:
    page.wait_for_function(
        "wanted => wanted.every(w => document.getElementById('plot').dataset.drawn.includes(w))", arg=list(wanted)
    )


def count_cells(page) -> int:
    return page.evaluate("document.getElementById('plot').data[0].z.flat().filter(v => v !== null).length")


def test_candles_and_bands_are_there(opened) -> None:
    page = opened()

    assert page.evaluate("document.getElementById('plot').data.map(t => t.type)") == ["heatmap", "candlestick"]
    assert count_cells(page) > 1000
    assert "BTCUSDT 7d · estimated liquidation heatmap" in page.inner_text("#title")
    assert page.locator("#plot .hm image").count() == 1


def test_hover_tells_price_usd_side_and_leverage(opened) -> None:
    page = opened()
    box = page.locator("#plot").bounding_box()
    for height in (0.15, 0.25, 0.35, 0.7, 0.8):
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * height)
        page.wait_for_timeout(150)
        if "USD\n" in page.inner_text("#tip"):
            break
    said = page.inner_text("#tip")

    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", said)
    assert re.search(r"[\d,.]+ – [\d,.]+ USD", said)
    assert re.search(r"(longs|shorts): [\d.]+ ?[KMB]? USD", said)
    assert re.search(r"(≤ 10x|11–25x|26–50x|> 50x): ", said)


def test_the_slider_hides_small_amounts(opened) -> None:
    page = opened()
    before = count_cells(page)
    page.locator("#min").fill("60")
    drawn(page, "60")

    assert 0 < count_cells(page) < before
    assert page.inner_text("#min-text") != "0 USD"


def test_the_switch_shows_the_map_and_back(opened) -> None:
    page = opened()
    page.get_by_text("Map", exact=True).click()
    drawn(page, " map ")
    types = page.evaluate("document.getElementById('plot').data.map(t => t.type)")
    assert types == ["bar"] * 4 + ["scatter"] * 2
    box = page.locator("#plot").bounding_box()
    for width in (0.3, 0.35, 0.4, 0.65, 0.7):
        page.mouse.move(box["x"] + box["width"] * width, box["y"] + box["height"] * 0.9)
        page.wait_for_timeout(150)
        if "from the price" in page.inner_text("#tip"):
            break
    assert re.search(r"(longs|shorts) from the price to here: ", page.inner_text("#tip"))

    page.get_by_text("Heatmap", exact=True).click()
    drawn(page, " heatmap ")


def test_zoom_and_back(opened) -> None:
    page = opened()
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    whole = page.evaluate("document.getElementById('plot').layout.yaxis.range")
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    page.wait_for_function("whole => document.getElementById('plot').layout.yaxis.range[1] < whole[1]", arg=whole)
    page.locator("#min").fill("20")
    drawn(page, "20")
    assert page.evaluate("document.getElementById('plot').layout.yaxis.range")[1] < whole[1]  # a control keeps the zoom

    page.click("#reset")
    page.wait_for_function("whole => document.getElementById('plot').layout.yaxis.range[1] === whole[1]", arg=whole)


def test_leverage_classes_add_up(opened) -> None:
    page = opened()
    total = "document.getElementById('plot').data[0].z.flat().reduce((s, v) => s + (v || 0), 0)"
    whole, parts = page.evaluate(total), 0.0
    boxes = page.locator("#classes input")
    assert boxes.count() == 4
    for number in range(4):
        for other in range(4):
            boxes.nth(other).set_checked(other == number)
        drawn(page, f" {number}")
        parts += page.evaluate(total)

    assert parts == pytest.approx(whole, rel=1e-9)


def test_dark_and_light(opened) -> None:
    page = opened("?theme=dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    drawn(page, " light ")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert page.inner_text("#theme") == "Dark"


def test_the_png_button_saves_a_picture(opened, tmp_path) -> None:
    page = opened()
    with page.expect_download() as download:
        page.click("#png")

    assert download.value.suggested_filename == "BTCUSDT-7d-heatmap.png"
    download.value.save_as(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes().startswith(b"\x89PNG")


def test_another_timeframe_is_the_page_beside_it(opened) -> None:
    page = opened()
    page.select_option("#timeframe", "30d")
    page.wait_for_url("**/timeframe=30d/heatmap.html*")
    page.wait_for_selector("#plot[data-drawn]")

    assert "30d" in page.inner_text("#title")


def test_the_address_keeps_what_was_chosen(opened) -> None:
    page = opened("?view=map&min=30&leverage=2.3&theme=light")

    assert page.get_attribute("#plot", "data-drawn") == "BTCUSDT 7d map light 30 2,3"
    assert page.is_checked("#classes input >> nth=2")
    assert not page.is_checked("#classes input >> nth=0")
