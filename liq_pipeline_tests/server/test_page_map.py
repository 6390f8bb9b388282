"""The map on the page: curves, landmarks, the range slider, "if reached"; and the past of both views."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.if_reached import ReachedFit, ranges
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline_tests.page import at, choose, colours, drawn, picture, point, query, rgb, window

pytestmark = pytest.mark.browser

MAP = "/?symbol=BTCUSDT&timeframe=7d&view=map"
NUMBERS = {"a": 6.5, "b": 1.1, "c1": 0.08, "c2": 0.1, "beta": 0.4, "z10": -0.9, "z50": 0.0, "z90": 0.9}


def test_bars_and_both_areas_are_there(visit) -> None:
    found = colours(visit(MAP))

    for colour in ("#3b528b", "#21918c", "#7ad151", "#fde725", "#ff9d5c", "#5cc8ff"):
        assert any(name == rgb(colour) and count > 30 for name, count in found.items()), colour


def test_the_read_out_tells_row_distance_leverage_and_the_sum_from_the_price(visit) -> None:
    page = visit(MAP)
    low, high = point(page, 0.3, 0.1), point(page, 0.8, 0.5)

    for said, side, sign in ((low, "longs", "−"), (high, "shorts", r"\+")):
        assert re.match(rf"[\d,.]+ – [\d,.]+ {sign}[\d.]+ %", said)
        assert re.search(rf"{side} [\d.]+ ?[KMB]? USD \(.*\) {side} from the price to here [\d.]+ ?[KMB] USD", said)


def test_sums_and_max_pain_are_those_of_the_summary(visit, service) -> None:
    page = visit(MAP)
    summary = service.get("/liquidations/summary?symbol=BTCUSDT&timeframe=7d").json()
    pain = summary["max_pain"]["price"]
    frame = window(page)
    line = page.evaluate("() => document.getElementById('plot').clientWidth")
    axis = 72
    share = (axis + (pain - frame["x0"]) / (frame["x1"] - frame["x0"]) * (line - 2 * axis)) / line

    assert colours(page, x=share - 0.003, width=0.006, y=0.1, height=0.8).get(rgb("#ffb000"), 0) > 50
    page.locator("#from").fill("0")
    said = point(page, 0.0605, 0.5)
    reached = re.search(r"longs from the price to here ([\d.]+) ([KMB])", said)
    assert reached
    assert float(reached[1]) * {"K": 1e3, "M": 1e6, "B": 1e9}[reached[2]] <= summary["long_notional_usd"] * 1.01


def test_the_range_slider_moves_the_edges(visit) -> None:
    page = visit(MAP)
    before, plain = window(page), picture(page)
    page.locator("#from").fill("450")
    page.locator("#to").fill("550")
    after = window(page)

    assert after["x0"] > before["x0"]
    assert after["x1"] < before["x1"]
    assert query(page)["zoom"]
    page.click("#reset")
    assert picture(page) == plain
    assert page.input_value("#from") != "450"


@pytest.fixture
def reported(own_service, published):
    """Return the service where liquidations were reported for that many days."""

    def make(days: float):
        path = dataset_path(published, "liquidation_levels", "BTCUSDT", "90d")
        levels, manifest = pq.read_table(path, partitioning=None), read_manifest(path)
        as_of, price = datetime.fromisoformat(manifest["as_of"]), manifest["current_price"]
        worth = {
            "days_of_truth": days, "cases": 900, "scored_from_day": 14, "coverage_80": 0.79, "range_ratio": 5,
            "crps_gain_over_distance": None, "crps_gain_over_distance_low": None, "crps_gain_over_distance_high": None,
            "fitted_until": manifest["as_of"],
        }  # fmt: skip
        fits = [ReachedFit(source="mine", horizon_hours=hours, parameters=NUMBERS, **worth) for hours in (1, 4, 24)]
        facts = {"as_of": manifest["as_of"], "current_price": price, "fits": [fit.model_dump() for fit in fits]}
        rows = ranges(levels, fits, "BTCUSDT", as_of, price)
        Publisher(folder=str(published)).publish([PublishedDataset("if_reached", "BTCUSDT", rows, facts)])
        return own_service(folder=published).url

    return make


def test_if_reached_is_a_line_with_its_band_and_a_sentence(visit, reported) -> None:
    page = visit(MAP, base=reported(30))
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('30 days')")
    added = picture(page)
    choose(page, "curve", "reached")
    curve = picture(page)
    assert curve != added
    found = colours(page)
    assert found[rgb("#ff9d5c")] > 50
    assert found[rgb("#5cc8ff")] > 50

    said = point(page, 0.4, 0.5)
    wanted = (
        r"if [\d,.]+ is reached within 4 h: ([\d.]+ ?[KMB]?) to ([\d.]+ ?[KMB]?) USD liquidated, half the time below "
        r"([\d.]+ ?[KMB]?) \(estimated, from 30 days of reported liquidations\)"
    )
    low, high, half = (number(text) for text in re.search(wanted, said).groups())
    assert low < half < high
    choose(page, "horizon", "24")
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('24 h: USD')")
    assert "within 24 h" in point(page, 0.41, 0.5)


@pytest.mark.parametrize("x", [0.3, 0.4, 0.7])
def test_a_phones_read_out_is_not_cut_off(visit, reported, x) -> None:
    page = visit(MAP, base=reported(30), phone=True)
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('30 days')")
    page.touchscreen.tap(*at(page, x, 0.5))
    page.wait_for_selector("#readout.read")
    window(page)
    shown, whole = page.evaluate(
        "() => [document.getElementById('readout').clientHeight, document.getElementById('readout').scrollHeight]"
    )

    assert "if reached" in page.inner_text("#readout")
    assert whole <= shown


def number(text: str) -> float:
    value, _, letter = text.partition(" ")
    return float(value) * {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}[letter]


@pytest.mark.parametrize(("days", "said"), [(5, "5.0 of 14 days of reported liquidations"), (None, "no reported")])
def test_where_no_range_is_known_a_line_says_what_lacks_and_how_to_get_it(visit, reported, days, said) -> None:
    page = visit(MAP, base=reported(days) if days else "")
    page.wait_for_function("(said) => document.getElementById('reached').textContent.includes(said)", arg=said)

    assert "liq record" in page.inner_text("#reached")
    choose(page, "curve", "reached")
    assert "is reached" not in point(page, 0.4, 0.5)


def test_the_heatmap_ends_at_an_instant_of_the_past(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    newest, zones = picture(page), page.inner_text("#zones")
    page.locator("#at").fill("100")
    past = picture(page)

    assert past != newest
    assert page.inner_text("#zones") != zones
    instant = page.inner_text("#at-text")
    assert f"AS OF {instant}" in page.inner_text("#badges")
    assert query(page)["at"] == [instant.replace(" UTC", "Z").replace(" ", "T")]
    again = visit(page.url.removeprefix(page.url.split("/?")[0]))
    assert picture(again) == past
    page.click("#now")
    assert picture(page) == newest
    assert "at" not in query(page)


def test_the_map_of_the_past_is_what_the_service_says_of_that_instant(visit, service) -> None:
    page = visit(MAP)
    newest = picture(page)
    with page.expect_response("**/liquidations/levels?*at=*") as answer:
        page.locator("#at").fill("100")
    instant = query(page)["at"][0]
    wanted = service.get(f"/liquidations/levels?symbol=BTCUSDT&timeframe=7d&at={instant}").json()
    page.wait_for_function("() => document.getElementById('status').textContent.includes('levels as of')")

    assert answer.value.status == 200
    assert picture(page) != newest
    assert f"levels as of {instant[:10]} {instant[11:16]} UTC" in page.inner_text("#status")
    assert f"price {wanted['current_price']:,.1f}".rstrip("0").rstrip(".") in page.inner_text("#status")
    assert "from the newest bar on, not for the past" in page.inner_text("#reached")
    page.click("#now")
    page.wait_for_function("() => !document.getElementById('status').textContent.includes('levels as of')")
    assert picture(page) == newest


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_play_goes_on_by_itself_until_it_is_stopped(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}")
    page.locator("#at").fill("100")
    page.click("#play")
    page.wait_for_function("() => Number(document.getElementById('at').value) > 105")
    page.click("#play")
    page.wait_for_timeout(400)
    place = page.input_value("#at")
    page.wait_for_timeout(400)

    assert page.input_value("#at") == place
    assert page.inner_text("#play") == "Play"


def test_an_instant_before_the_data_says_so(visit) -> None:
    page = visit(MAP)
    begin = datetime.fromisoformat("2026-06-28T00:00:00+00:00") - timedelta(days=400)
    page.goto(f"{visit.url}{MAP}&at={begin:%Y-%m-%dT%H:%MZ}")
    page.wait_for_selector("#status.stale")

    assert "No map of" in page.inner_text("#status")
    visit.complaints.clear()


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_an_instant_is_typed_to_go_to(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}&clock=local", timezone_id="Asia/Kolkata")
    page.locator("#when").fill("2026-06-27T17:30")
    page.wait_for_function("() => document.getElementById('badges').textContent.includes('AS OF 2026-06-27 17:30')")

    assert query(page)["at"] == ["2026-06-27T12:00Z"]
    assert page.input_value("#when") == "2026-06-27T17:30"
    page.click("#now")
    assert page.input_value("#when") == ""


def test_escape_leaves_the_list_of_symbols_also_with_a_word_in_the_search(visit) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("btc")
    page.keyboard.press("Escape")

    page.wait_for_selector("#picker", state="hidden")


def test_symbols_are_searched_among_hundreds(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    one = {"timeframes": ["7d"], "current_price": 1.5, "is_stale": False, "notice": "new", "source_label": ""}
    made = [one | {"symbol": f"MADE{place}USDT"} for place in range(499)] + [one | {"symbol": "BTCUSDT"}]
    page.route("**/symbols", lambda route: route.fulfill(json={"symbols": made}))
    with page.expect_response("**/symbols"):
        page.reload()
    drawn(page, "BTCUSDT")
    page.click("#symbol")
    rows = "document.querySelectorAll('#found button').length"
    page.wait_for_function(f"{rows} == 500")  # sixty at once, the rest after
    page.keyboard.type("made49")
    page.wait_for_function(f"{rows} == 10")
    page.locator("#find").fill("nothing")
    page.wait_for_function("document.querySelector('#found').textContent.includes('No published symbol has “NOTHING”')")
    page.locator("#find").fill("btc")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#picker", state="hidden")
    drawn(page, "BTCUSDT")


def test_a_switch_back_shows_what_was_there_at_once(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    choose(page, "timeframe", "1d")
    drawn(page, "1d")
    page.route("**/liquidations/**", lambda route: None)
    choose(page, "timeframe", "7d")

    drawn(page, "BTCUSDT 7d")
