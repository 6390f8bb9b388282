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
        "wanted => wanted.every(w => document.getElementById('plot').dataset.drawn?.includes(w))", arg=list(wanted)
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


def ranges(page) -> str:
    return page.evaluate(
        "(({xaxis, yaxis, yaxis2}) => JSON.stringify([xaxis, yaxis, yaxis2 || {}].map(a => a.range)))"
        "(document.getElementById('plot').layout)"
    )


def picture(page) -> bytes:
    page.mouse.move(0, 0)
    return page.locator("#plot").screenshot(animations="disabled")


def zoom(page, how: str) -> None:
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    at = lambda part: (box["x"] + box["width"] * part, box["y"] + box["height"] * part)  # noqa: E731
    before = ranges(page)
    page.mouse.move(*at(0.3))
    if how == "wheel":
        page.mouse.wheel(0, -400)
    else:
        if how == "pan":
            page.keyboard.down("Shift")
        page.mouse.down()
        page.mouse.move(*at(0.6), steps=4)
        page.mouse.up()
        page.keyboard.up("Shift")
    wait_for_ranges(page, before, same=False)


def wait_for_ranges(page, wanted: str, same: bool) -> None:
    page.wait_for_function(
        "([wanted, same]) => { const {xaxis, yaxis, yaxis2} = document.getElementById('plot').layout;"
        "return (JSON.stringify([xaxis, yaxis, yaxis2 || {}].map(a => a.range)) === wanted) === same }",
        arg=[wanted, same],
    )
    page.wait_for_timeout(400)  # a wheel's last redraw


@pytest.mark.parametrize("back", ["button", "double click"])
@pytest.mark.parametrize("how", ["box", "wheel", "pan"])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_a_zoom_and_then_a_reset_give_the_first_picture_again(opened, view, how, back) -> None:
    page = opened(f"?view={view}")
    page.wait_for_timeout(400)
    whole, first = ranges(page), picture(page)

    zoom(page, how)
    assert picture(page) != first
    if back == "button":
        page.click("#reset")
    else:
        box = page.locator("#plot .nsewdrag").first.bounding_box()
        page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_for_ranges(page, whole, same=True)
    page.locator("h1").click()  # no button keeps its focus ring

    assert picture(page) == first


@pytest.mark.parametrize("control", ["slider", "theme", "leverage"])
def test_a_control_keeps_the_zoom_until_it_is_reset(opened, control) -> None:
    page = opened()
    whole = ranges(page)
    zoom(page, "box")
    zoomed = ranges(page)
    if control == "slider":
        page.locator("#min").fill("20")
        drawn(page, " 20 ")
    elif control == "theme":
        page.click("#theme")
        drawn(page, " light ")
    else:
        page.locator("#classes input").first.uncheck()
        drawn(page, "1,2,3")
    assert ranges(page) == zoomed

    page.click("#reset")
    wait_for_ranges(page, whole, same=True)


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_the_price_stands_on_the_axis_and_not_on_the_newest_candles(opened, view) -> None:
    page = opened(f"?view={view}")
    plot = page.locator("#plot .nsewdrag").first.bounding_box()
    label = page.locator("#plot .annotation").bounding_box()

    if view == "heatmap":
        assert label["x"] + label["width"] <= plot["x"] + 1
    else:
        assert label["y"] >= plot["y"] + plot["height"] - 1


def test_a_timeframe_longer_than_the_data_says_so_in_the_title(opened) -> None:
    assert "30d asked, 10 days shown, data since 18 Jun" in opened(timeframe="30d").inner_text("#title")
    assert "asked" not in opened(timeframe="7d").inner_text("#title")
    assert "30d asked, 10 days shown" in opened("?view=map", timeframe="30d").inner_text("#title")


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


def test_it_is_dark_unless_asked(browser, pages) -> None:
    for wish in ("light", "dark", "no-preference"):
        context = browser.new_context(color_scheme=wish, offline=True)
        page = context.new_page()
        page.goto((pages("7d") / "heatmap.html").as_uri())
        page.wait_for_selector("#plot[data-drawn]")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        context.close()


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
    page.wait_for_url("**/30d/heatmap.html*")
    page.wait_for_selector("#plot[data-drawn]")

    assert "30d" in page.inner_text("#title")


def test_the_address_keeps_what_was_chosen(opened) -> None:
    page = opened("?view=map&min=30&leverage=2.3&theme=light")

    assert page.get_attribute("#plot", "data-drawn") == "BTCUSDT 7d map light 30 2,3"
    assert page.is_checked("#classes input >> nth=2")
    assert not page.is_checked("#classes input >> nth=0")
