"""The page in a real browser: every control, three widths, both themes, no complaint in the console."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlparse

import pytest

from liq_pipeline.published.layout import dataset_path, manifest_path

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

    open_.complaints = complaints
    yield open_
    assert complaints == []
    for context in contexts:
        context.close()


def drawn(page, *wanted: str) -> None:
    page.wait_for_function(
        "wanted => wanted.every(w => document.getElementById('plot').dataset.drawn?.includes(w))", arg=list(wanted)
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


def test_the_saved_picture_says_all_that_the_title_line_says(visit, own_service, published) -> None:
    for dataset in ("liquidation_heatmap", "candles"):
        manifest = manifest_path(dataset_path(published, dataset, "BTCUSDT", "30d"))
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"source_label": "simulated"}))
    page = visit("/?timeframe=30d", base=own_service(folder=published).url)
    page.evaluate(
        "const real = Plotly.toImage;"
        "Plotly.toImage = (...a) => { window.titled = a[0].layout.title.text; return real(...a); }; null"
    )
    with page.expect_download():
        page.click("#png")

    assert page.evaluate("window.titled").split("<br>")[0] == (
        "BTCUSDT 30d · estimated liquidation heatmap  ·  SIMULATED DATA  ·  30d asked, 10 days shown, data since 18 Jun"
    )


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


@pytest.mark.parametrize("asked", ["btcusdt", "BtcUsdt", "BTCUSDT"])
def test_a_symbol_may_be_written_in_any_case(visit, asked) -> None:
    page = visit(f"/?symbol={asked}")

    assert query(page)["symbol"] == ["BTCUSDT"]
    assert page.input_value("#symbol") == "BTCUSDT"
    assert "BTCUSDT" in page.inner_text("#title")


def test_an_unknown_symbol_shows_nothing_and_offers_similar_ones(visit, service) -> None:
    page = visit()
    page.goto(f"{service.url}/?symbol=btcusd")
    page.wait_for_selector("#banner button")

    assert "BTCUSD is not published" in page.inner_text("#banner")
    assert not page.is_visible("#plot")
    page.click("#banner button >> text=BTCUSDT")
    drawn(page, "BTCUSDT 7d")
    assert page.is_visible("#plot")
    assert not page.is_visible("#banner")
    assert query(page)["symbol"] == ["BTCUSDT"]
    visit.complaints.clear()  # the browser writes each 404 to the console


@pytest.mark.parametrize("fault", ["500", "html", "no answer", "slow"])
def test_a_request_that_fails_leaves_no_chart_of_something_else(visit, fault) -> None:
    page = visit("/?timeframe=7d")
    answer = {
        "500": lambda route: route.fulfill(status=500, json={"detail": "out of order"}),
        "html": lambda route: route.fulfill(status=502, body="<html>bad gateway"),
        "no answer": lambda route: route.abort(),
        "slow": lambda route: None,
    }[fault]
    page.route("**/liquidations/**", answer)
    page.select_option("#timeframe", "1d")
    said = "Loading" if fault == "slow" else "Nothing to show."
    page.wait_for_function("said => document.getElementById('subtitle').textContent.startsWith(said)", arg=said)

    for touch in (lambda: page.locator("#min").fill("10"), lambda: page.click("#theme"), lambda: page.click("#reset")):
        touch()
        assert not page.is_visible("#plot")
    assert "1d" in page.inner_text("#title")
    assert "7d" not in page.inner_text("#title")

    page.unroute("**/liquidations/**")
    page.select_option("#timeframe", "30d")
    drawn(page, "BTCUSDT 30d")
    assert page.is_visible("#plot")
    assert not page.is_visible("#banner")
    visit.complaints.clear()


def test_a_refresh_that_fails_keeps_the_chart_and_says_so(visit) -> None:
    page = visit()
    page.route("**/liquidations/**", lambda route: route.fulfill(status=500, json={"detail": "out of order"}))
    page.clock.install()
    page.reload()
    page.unroute("**/liquidations/**")
    page.select_option("#timeframe", "1d")
    drawn(page, "1d")
    page.route("**/liquidations/**", lambda route: route.fulfill(status=500, json={"detail": "out of order"}))
    page.clock.run_for(61_000)
    page.wait_for_selector("#banner:not([hidden])")

    assert "Not refreshed: out of order" in page.inner_text("#banner")
    assert "data up to 2026-06-28 00:00 UTC" in page.inner_text("#banner")
    assert page.is_visible("#plot")
    visit.complaints.clear()


def test_the_interface_is_described_on_a_page_of_our_own(browser, service) -> None:
    context = browser.new_context()
    page, asked, complaints = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{service.url}/docs")
    page.get_by_text("/liquidations/levels").click()
    page.get_by_role("button", name="Execute").click()
    page.wait_for_selector(".response-col_status:has-text('200')")

    assert complaints == []
    assert not [url for url in asked if not url.startswith((service.url, "data:"))]
    context.close()
