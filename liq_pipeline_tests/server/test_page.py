"""The page in a real browser: every control, three widths, both themes, no complaint in the console."""

from __future__ import annotations

from urllib.parse import parse_qs, urlparse

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=str(chromium), args=quiet)
        yield running
        running.close()


@pytest.fixture
def visit(browser, service):
    contexts, complaints = [], []

    def open_(address: str = "/", width: int = 1280, height: int = 800, base: str = service.url):
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed"))
        page.goto(base + address)
        page.wait_for_selector("#plot[data-drawn]")
        return page

    yield open_
    assert complaints == []
    for context in contexts:
        context.close()


def drawn(page, *wanted: str) -> None:
    page.wait_for_function(
        "wanted => wanted.every(w => document.getElementById('plot').dataset.drawn.includes(w))", arg=list(wanted)
    )


def query(page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def test_every_control_works_and_the_address_follows(visit, tmp_path) -> None:
    page = visit("/?theme=dark")
    assert query(page)["symbol"] == ["BTCUSDT"]
    page.select_option("#symbol", "BTCUSDT")
    page.select_option("#timeframe", "1d")
    drawn(page, "BTCUSDT 1d heatmap dark")
    page.get_by_text("Map", exact=True).click()
    drawn(page, " map ")
    page.locator("#min").fill("25")
    drawn(page, " 25 ")
    page.locator("#classes input").first.uncheck()
    drawn(page, "1,2,3")
    page.click("#theme")
    drawn(page, " light ")
    assert query(page) == {
        "symbol": ["BTCUSDT"], "timeframe": ["1d"], "view": ["map"], "min": ["25"], "leverage": ["1.2.3"],
        "theme": ["light"],
    }  # fmt: skip
    page.click("#reset")
    with page.expect_download() as download:
        page.click("#png")
    assert download.value.suggested_filename == "BTCUSDT-1d-map.png"

    again = visit(page.url.removeprefix(page.url.split("/?")[0]))
    assert again.get_attribute("#plot", "data-drawn") == page.get_attribute("#plot", "data-drawn")


def test_the_old_address_shows_the_map(visit) -> None:
    page = visit("/frontend/liquidation_map.html?timeframe=30")

    drawn(page, "30d map")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280, 2560])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_it_fits_every_width(visit, width, theme, view, tmp_path) -> None:
    page = visit(f"/?theme={theme}&view={view}", width=width, height={360: 740, 1280: 800, 2560: 1440}[width])

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        "[...document.querySelectorAll('#controls select, #controls button, #controls input')]"
        ".map(e => e.getBoundingClientRect()).filter(b => b.width).map(b => [b.left, b.right])"
    )
    assert all(left >= 0 and right <= width for left, right in boxes)
    plot = page.locator("#plot").bounding_box()
    assert plot["height"] >= 340
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.screenshot(path=tmp_path / f"{view}-{width}-{theme}.png")


def test_the_first_paint_is_quick(visit) -> None:
    visit()  # the service has made its answers
    page = visit()

    paints = page.evaluate("performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)")
    assert paints[0] <= 1000


@pytest.mark.parametrize(("hours", "shown", "stale"), [(0, False, False), (20, True, False), (60, True, True)])
def test_old_data_has_a_banner(visit, own_service, hours, shown, stale) -> None:
    service = own_service()
    service.hours = hours
    page = visit(base=service.url)

    assert page.is_visible("#banner") is shown
    if shown:
        assert "data up to 2026-06-28 00:00 UTC" in page.inner_text("#banner")
        assert ("1d leans on old data" in page.inner_text("#banner")) is not stale
        assert ("stale" in (page.get_attribute("#banner", "class") or "")) is stale


def test_a_token_after_the_hash_opens_the_data(visit, own_service) -> None:
    page = visit("/#token=secret", base=own_service(token="secret").url)

    assert "#token=secret" in page.url
