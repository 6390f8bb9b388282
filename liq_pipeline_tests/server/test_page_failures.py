"""The page where something is amiss: another name, a request that fails, a service that is away."""

from __future__ import annotations

import pytest

from liq_pipeline_tests.page import choose, drawn, query

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("asked", ["btcusdt", "BtcUsdt", "BTCUSDT", "BTC", "btc"])
def test_a_symbol_may_be_written_as_people_do(visit, asked) -> None:
    page = visit(f"/?symbol={asked}")

    assert query(page)["symbol"] == ["BTCUSDT"]
    assert page.inner_text("#symbol").startswith("BTCUSDT")
    assert "BTCUSDT" in page.inner_text("#title")


@pytest.mark.parametrize(("asked", "said"), [("btcusd", "Meant, perhaps:"), ("xyz", "Published are, for instance:")])
def test_an_unknown_symbol_shows_nothing_and_offers_names_to_click(visit, service, asked, said) -> None:
    page = visit()
    page.goto(f"{service.url}/?symbol={asked}")
    page.wait_for_selector("#nothing button")

    assert page.inner_text("#status") == f"{asked.upper()} is not published here."
    assert said in page.inner_text("#nothing")
    assert "/symbols" not in page.inner_text("body")
    assert not page.is_visible("#plot")
    page.click("#nothing button >> text=All 1 symbols")
    page.wait_for_selector("#picker[open]")
    page.keyboard.press("Escape")
    page.click("#nothing button >> text=BTCUSDT")
    drawn(page, "BTCUSDT 7d")
    assert page.is_visible("#plot")
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
    choose(page, "timeframe", "1d")
    said = {"slow": "Loading", "no answer": "No connection"}.get(fault, "Nothing to show")
    page.wait_for_function("(said) => document.getElementById('status').textContent.startsWith(said)", arg=said)

    for act in (lambda: page.locator("#min").fill("10"), lambda: page.click("#theme"), lambda: page.click("#reset")):
        act()
        assert page.get_attribute("#plot", "data-drawn") is None
    assert "1d" in page.inner_text("#title")
    assert "7d" not in page.inner_text("#title")

    page.unroute("**/liquidations/**")
    choose(page, "timeframe", "30d")
    drawn(page, "BTCUSDT 30d")
    assert "data up to" in page.inner_text("#status")
    visit.complaints.clear()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda route: route.fulfill(status=500, json={"detail": "out of order."}), "Not refreshed: out of order."),
        (lambda route: route.abort(), "No connection, showing data up to 2026-06-28 00:00 UTC"),
    ],
)
def test_a_refresh_that_fails_keeps_the_chart_and_says_so_until_it_is_well(visit, answer, said) -> None:
    page = visit()
    page.clock.install()
    page.reload()
    drawn(page, "7d")
    page.route("**/liquidations/**", answer)
    page.clock.run_for(61_000)
    page.wait_for_selector("#status.stale")

    assert page.inner_text("#status").startswith(said)
    assert "data up to 2026-06-28 00:00 UTC" in page.inner_text("#status")
    assert page.is_visible("#plot")
    page.unroute("**/liquidations/**")
    page.clock.run_for(61_000)
    page.wait_for_selector("#status:not(.stale)")
    visit.complaints.clear()


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_an_instant_ahead_of_the_data_is_said_and_not_claimed(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}&at=2027-01-01T00:00Z")

    assert page.inner_text("#status") == (
        "2027-01-01 00:00 UTC lies ahead of the data: the newest is shown, 2026-06-28 00:00 UTC."
    )
    assert "AS OF" not in page.inner_text("#badges")
    assert page.inner_text("#at-text") == "newest: 2026-06-28 00:00 UTC"


def test_an_instant_before_the_heatmap_is_said_and_not_claimed(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&at=2026-06-20T00:00Z")

    assert page.inner_text("#status").startswith(
        "2026-06-20 00:00 UTC lies before this heatmap, which begins 2026-06-23 01:00"
    )
    assert "AS OF 2026-06-23 01:00" in page.inner_text("#badges")


def test_an_instant_between_two_bars_is_that_of_the_bar_before(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map&at=2026-06-27T12:03Z")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('levels as of')")

    assert "AS OF 2026-06-27 12:00 UTC" in page.inner_text("#badges")


def test_from_an_instant_without_a_map_one_goes_back_to_the_newest(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    page.goto(f"{visit.url}/?symbol=BTCUSDT&timeframe=7d&view=map&at=2025-01-01T00:00Z")
    page.wait_for_function("() => document.getElementById('nothing').textContent.includes('No map of 2025-01-01')")
    page.click("#now")

    drawn(page, "BTCUSDT 7d map")
    assert "at" not in query(page)
    visit.complaints.clear()


def test_a_timeframe_or_an_instant_that_is_none_is_said(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=14d&at=then")
    page.wait_for_selector("#status.ageing")

    assert page.inner_text("#status") == (
        "There is no timeframe “14d” (1d, 7d, 30d, 90d): 7d is shown. “then” is no instant: the newest is shown."
    )
    page.clock.install()
    page.reload()
    drawn(page, "7d")
    page.clock.run_for(12_000)
    assert page.inner_text("#status").startswith("data up to")


def test_a_browser_without_full_screen_has_no_button_and_one_that_refuses_says_so(visit) -> None:
    page = visit()
    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('not now')); }")
    page.click("#full")
    page.wait_for_selector("#status.ageing")
    assert page.inner_text("#status") == "The browser refuses full screen: not now"

    page.add_init_script("Object.defineProperty(document, 'fullscreenEnabled', { value: false });")
    page.reload()
    drawn(page, "7d")
    assert not page.is_visible("#full")
    page.keyboard.press("f")
    page.keyboard.press("?")
    assert "full screen" not in page.inner_text("#sheet")
