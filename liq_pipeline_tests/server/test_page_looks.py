"""It fits, nothing jumps, and everybody can read it."""

from __future__ import annotations

import re

import pytest

from liq_pipeline.views.page import page_part, page_style
from liq_pipeline_tests.page import drawn

pytestmark = pytest.mark.browser

SHIFTS = """() => { window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => {
  if (!one.hadRecentInput) window.moved += one.value; })).observe({ type: 'layout-shift', buffered: true }); }"""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 390, 768, 1280, 2560])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_it_fits_every_width(visit, width, theme, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&theme={theme}&view={view}", width=width, height=800)
    if width <= 900:
        page.click("#more")

    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        "() => [...document.querySelectorAll('button, #controls input, #past input, #span input')]"
        ".map((e) => e.getBoundingClientRect()).filter((b) => b.width).map((b) => [b.left, b.right])"
    )
    assert len(boxes) > 20
    assert all(left >= 0 and right <= width for left, right in boxes)
    assert page.locator("#plot").bounding_box()["height"] >= 320
    assert page.evaluate("() => document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_nothing_moves_while_it_loads_or_is_used(visit, view, phone) -> None:
    page = visit(f"/?symbol=BTCUSDT&view={view}", phone=phone)
    page.evaluate(SHIFTS)
    page.wait_for_timeout(300)
    page.mouse.move(200, 420)
    page.wait_for_timeout(100)

    assert page.evaluate("() => window.moved") < 0.01


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_word_has_the_contrast_of_level_aa(theme) -> None:
    found = re.findall(r"--(\w+): (#\w{6})", page_part("page/page.css").splitlines()[theme == "light"])
    ours, chart = dict(found), page_style()["themes"][theme]

    for word in ("text", "faint", "warning"):
        for ground in ("bg", "panel"):
            assert contrast(ours[word], ours[ground]) >= 4.5, (word, ground)
    assert contrast(ours["accent"], ours["bg"]) >= 4.5
    for word in ("text", "faint", "long", "short", "price", "warning"):
        assert contrast(chart[word], chart["background"]) >= 4.5, word
    assert contrast(chart["background"], chart["price"]) >= 4.5
    for ground, word in (("#ffb000", "#1b1a22"), ("#b81414", "#ffffff")):
        assert contrast(ground, word) >= 4.5


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_every_control_has_a_name(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&view={view}")
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('button, input, select, [role]')].filter((e) => e.checkVisibility()"
        "&& !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))"
        ".map((e) => e.outerHTML)"
    )

    assert nameless == []
    said = page.get_attribute("#plot", "aria-label")
    assert "BTCUSDT 7d" in said
    assert "Nearest large zones" in said


def test_with_reduced_motion_nothing_is_animated(visit) -> None:
    page = visit(reduced_motion="reduce")
    running = page.evaluate("() => document.getAnimations().length")

    assert running == 0


def test_the_first_paint_and_the_chart_are_quick(visit) -> None:
    visit()  # the service has made its answers
    page = visit()
    paints = page.evaluate("() => performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime)")

    assert paints[0] <= 1000


def test_the_page_asks_for_both_parts_of_its_data_at_once_and_for_nothing_from_elsewhere(visit, service) -> None:
    page, asked = visit(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{service.url}/?symbol=BTCUSDT&timeframe=7d")
    drawn(page, "7d")
    spans = page.evaluate(
        "() => performance.getEntriesByType('resource').filter((e) => /(heatmap|levels)\\?/.test(e.name))"
        ".map((e) => [e.startTime, e.responseEnd])"
    )

    assert len(spans) == 2
    assert max(begun for begun, _ in spans) < min(ended for _, ended in spans)  # neither waits for the other
    assert not [url for url in asked if not url.startswith((service.url, "data:"))]


def test_the_page_is_served_with_a_strict_policy_and_may_be_kept_for_ever(service) -> None:
    page = service.get("/")
    policy = page.headers["content-security-policy"]
    script = re.search(r'src="(/static/page-[0-9a-f]{12}\.js)"', page.text)[1]

    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src" not in policy
    assert "immutable" in service.get(script).headers["cache-control"]
    whole = sum(len(service.get(path, headers={"accept-encoding": "gzip"}, stream=True).raw.read())
                for path in ("/", script, re.search(r'href="(/static/[^"]+css)"', page.text)[1]))  # fmt: skip
    assert whole < 60_000


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
