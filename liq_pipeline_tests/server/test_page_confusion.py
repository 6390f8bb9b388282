"""What people tripped over who saw the page for the first time: traders, somebody with a spreadsheet, a phone."""

from __future__ import annotations

import pytest

from liq_pipeline_tests.page import choose, colours, drawn, point, query, rgb, window

pytestmark = pytest.mark.browser

MAP = "/?symbol=BTCUSDT&timeframe=7d&view=map"


def test_the_line_above_the_chart_says_how_to_read_it_after_every_choice(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    for timeframe in ("1d", "7d"):
        choose(page, "timeframe", timeframe)
        drawn(page, f" {timeframe} ")
        window(page)
        assert page.inner_text("#readout").startswith("Point at the chart")


@pytest.mark.parametrize("width", [1010, 1280, 1440])
@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_neither_chart_nor_buttons_move_when_a_filter_is_set(visit, width, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}", width=width)
    page.mouse.move(0, 0)

    def places():
        window(page)
        shown = page.locator("#plot, #controls fieldset:visible, #controls .slider:visible").all()
        return [one.bounding_box() for one in shown]

    before = places()
    page.locator("#min").fill("40")
    assert page.is_visible("#plain")
    assert places() == before


def test_bars_under_an_area_have_the_colours_of_the_legend(visit) -> None:
    page = visit(f"{MAP}&theme=dark")
    lowest = page.evaluate("() => JSON.parse(document.getElementById('boot').textContent).style.themes.dark.classes[0]")

    assert colours(page, x=0.07, width=0.25, y=0.6, height=0.35).get(rgb(lowest), 0) > 1000


@pytest.mark.parametrize("written_as", ["2026-06-27T12:00", "2026-06-27 12:00:00", "2026-06-27T12:00Z"])
def test_an_instant_without_a_zone_is_utc_wherever_the_reader_is(visit, written_as) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&at={written_as}", timezone_id="America/New_York")

    assert "AS OF 2026-06-27 12:00 UTC" in page.inner_text("#badges")


@pytest.mark.parametrize("name", ["btc/usdt", "BTC-PERP", "BINANCE:BTCUSDT.P", "Btc-Usdt", "btc"])
def test_names_as_other_programs_write_them(visit, name) -> None:
    page = visit(f"/?symbol={name}&timeframe=7d")
    drawn(page, "BTCUSDT 7d")
    assert query(page)["symbol"] == ["BTCUSDT"]
    page.keyboard.press("/")
    page.locator("#find").fill(name)

    assert page.locator("#found button").first.get_attribute("value") == "BTCUSDT"


def test_what_an_address_holds_and_the_page_does_not_know_is_said(visit) -> None:
    page = visit("/?symbol=BTCUSDT&tf=30d")

    page.wait_for_selector("#status.ageing")
    assert page.inner_text("#status") == "This page takes no “tf”."


def test_while_the_map_of_an_instant_is_asked_for_the_newest_is_not_passed_off_as_it(visit) -> None:
    page = visit(MAP)
    held = []
    page.route("**/liquidations/levels?*at=*", lambda route: held.append(route))  # a method of a list cannot be wrapped
    page.locator("#at").fill("20")
    page.wait_for_selector("#plot.asking")
    assert page.inner_text("#status").startswith("Asking for the map of 2026-06-2")
    held[0].continue_()
    page.wait_for_selector("#plot:not(.asking)")

    assert page.inner_text("#status").startswith("levels as of 2026-06-2")
    assert "AS OF 2026-06-2" in page.inner_text("#badges")


def test_where_the_map_of_an_instant_cannot_be_had_it_stops_asking(visit) -> None:
    page = visit(MAP)
    page.route("**/liquidations/levels?*at=*", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    page.locator("#at").fill("20")
    page.wait_for_selector("#status.stale")
    page.wait_for_timeout(400)

    assert page.locator("#plot.asking").count() == 0
    assert page.inner_text("#status").endswith("busy")
    visit.complaints.clear()


def test_the_price_axis_reads_the_newest_levels_as_the_profile_beside_it(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    beside, axis = point(page, 0.9, 0.3), point(page, 0.98, 0.3)

    assert axis == beside
    assert "no data yet" not in axis


def test_the_maps_button_counts_only_filters_that_the_map_has(visit) -> None:
    page = visit(f"{MAP}&swept=1&high=50", phone=True)
    assert page.inner_text("#more") == "Filters"
    choose(page, "view", "heatmap")
    drawn(page, " heatmap ")

    assert page.inner_text("#more") == "Filters (2)"


def test_a_side_that_is_off_is_not_called_empty(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&side=long")

    assert page.inner_text("#zones").endswith("shorts not shown")


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_a_phones_slider_of_the_past_stays_under_the_finger(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=30d&view={view}&leverage=none", phone=True)
    page.locator("#at").scroll_into_view_if_needed()
    page.evaluate("() => scrollBy(0, 100)")
    page.locator("#at").focus()
    before, wide = page.locator("#at").bounding_box()["y"], page.locator("#badges").bounding_box()["height"]
    page.locator("#at").fill("20")
    page.wait_for_selector("#badges .past")

    assert page.locator("#badges").bounding_box()["height"] > wide
    assert page.locator("#at").bounding_box()["y"] == pytest.approx(before, abs=1)


def test_a_connection_that_is_back_is_used_at_once(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    page.context.set_offline(True)
    choose(page, "timeframe", "1d")
    page.wait_for_selector("#status.stale")
    page.context.set_offline(False)
    drawn(page, "BTCUSDT 1d")

    assert page.inner_text("#status").startswith("data up to")
    visit.complaints.clear()
