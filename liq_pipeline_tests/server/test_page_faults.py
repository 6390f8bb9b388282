"""What goes wrong is said on the page, and never hidden behind an old chart."""

from __future__ import annotations

import pytest

from liq_pipeline_tests.page import choose, drawn, query

pytestmark = pytest.mark.browser


def test_an_unknown_symbol_shows_nothing_and_offers_similar_ones(visit, service) -> None:
    page = visit()
    page.goto(f"{service.url}/?symbol=btcusd")
    page.wait_for_selector("#status button")

    assert "BTCUSD is not published" in page.inner_text("#status")
    assert not page.is_visible("#plot")
    page.click("#status button >> text=BTCUSDT")
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
