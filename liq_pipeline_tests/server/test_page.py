"""The page in a real browser: what it shows, says and keeps; no complaint in the console."""

from __future__ import annotations

import json
import re

import pytest

from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline_tests.page import choose, colours, drawn, picture, point, query, rgb, window

pytestmark = pytest.mark.browser


def test_every_choice_is_in_the_address_and_a_link_shows_the_same_picture(visit) -> None:
    page = visit()
    assert query(page) == {"symbol": ["BTCUSDT"], "timeframe": ["7d"]}
    choose(page, "timeframe", "1d")
    drawn(page, "BTCUSDT 1d heatmap dark")
    choose(page, "side", "short")
    page.locator("#classes input").first.uncheck()
    for slider, value in (("min", 25), ("low", 10), ("high", 80), ("power", 60)):
        page.locator(f"#{slider}").fill(str(value))
    page.check("#swept")
    page.click("#theme")
    page.click("#clock")
    page.keyboard.press("+")
    drawn(page, "1d heatmap light 25 1,2,3 short")
    found = query(page)
    zoom = found.pop("zoom")
    assert found == {
        "symbol": ["BTCUSDT"], "timeframe": ["1d"], "side": ["short"], "leverage": ["1.2.3"], "min": ["25"],
        "low": ["10"], "high": ["80"], "power": ["60"], "swept": ["1"], "theme": ["light"], "clock": ["local"],
    }  # fmt: skip
    assert len(zoom[0].split(",")) == 4

    again = visit(page.url.removeprefix(page.url.split("/?")[0]))
    assert window(again) == pytest.approx(window(page), rel=1e-8)
    assert again.get_attribute("#plot", "data-drawn") == page.get_attribute("#plot", "data-drawn")


def test_the_maps_choices_are_in_the_address_too(visit) -> None:
    page = visit("/?timeframe=7d")
    choose(page, "view", "map")
    drawn(page, " map ")
    choose(page, "curve", "reached")
    choose(page, "horizon", "24")

    assert query(page) == {
        "symbol": ["BTCUSDT"], "timeframe": ["7d"], "view": ["map"], "curve": ["reached"], "horizon": ["24"],
    }  # fmt: skip
    again = visit(page.url.removeprefix(page.url.split("/?")[0]))
    assert picture(again) == picture(page)


def test_habits_are_remembered_and_a_link_wins_over_them(visit) -> None:
    page = visit()
    page.click("#theme")
    page.locator("#min").fill("30")
    query(page)

    page.goto(visit.url)
    drawn(page, " light 30 ")
    page.goto(f"{visit.url}/?symbol=BTCUSDT&timeframe=7d&min=0&theme=dark")
    drawn(page, " dark 0 ")
    query(page)  # a link changes no habit
    page.goto(f"{visit.url}/?symbol=BTCUSDT&timeframe=7d")
    drawn(page, " light 0 ")


def test_the_view_and_the_maps_curve_are_habits(visit) -> None:
    page = visit()
    choose(page, "view", "map")
    choose(page, "curve", "reached")
    choose(page, "horizon", "24")
    query(page)

    page.goto(visit.url)
    drawn(page, " map ")
    assert page.is_checked("#curve input[value='reached']")
    assert page.is_checked("#horizon input[value='24']")
    page.goto(f"{visit.url}/?symbol=BTCUSDT&timeframe=7d")
    drawn(page, " heatmap ")


@pytest.mark.parametrize("wish", ["light", "dark", "no-preference"])
def test_it_is_dark_unless_asked(visit, wish) -> None:
    page = visit(color_scheme=wish)

    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_a_nonsense_address_shows_the_plain_page(visit) -> None:
    page = visit("/?timeframe=8d&view=x&min=nan&low=300&high=-1&power=1e9&leverage=a.9&side=up&at=then&zoom=1,2,x,4")

    assert page.get_attribute("#plot", "data-drawn") == "BTCUSDT 7d heatmap dark 0 0,1,2,3 both"


def test_filters_change_the_picture_and_ask_nothing_again(visit) -> None:
    page, asked = visit(), []
    page.on("request", lambda request: asked.append(request.url))
    seen = [picture(page)]
    for act in (
        lambda: page.locator("#min").fill("40"), lambda: page.locator("#min").fill("0"),
        lambda: page.locator("#high").fill("60"), lambda: page.locator("#low").fill("20"),
        lambda: page.locator("#power").fill("50"), lambda: choose(page, "side", "long"),
        lambda: page.locator("#classes input").nth(2).uncheck(), lambda: page.check("#swept"),
        lambda: page.click("#theme"),
    ):  # fmt: skip
        act()
        seen.append(picture(page))

    assert seen[2] == seen[0]
    assert len(set(seen)) == len(seen) - 1
    assert asked == []


def test_the_colour_scale_says_where_it_is_capped(visit) -> None:
    page = visit()
    assert page.inner_text("#high-text").endswith("▶")
    brightest = {name for name in colours(page) if name == rgb("#fcffa4")}
    assert brightest

    page.locator("#high").fill("200")
    assert "▶" not in page.inner_text("#high-text")


def test_all_filters_off_says_so(visit) -> None:
    page = visit()
    for number in range(4):
        page.locator("#classes input").nth(number).uncheck()
    drawn(page, " 0  both")

    assert "all leverage filters are off" in page.inner_text("#badges")
    assert query(page)["leverage"] == ["none"]
    page.reload()
    drawn(page, " 0  both")


def test_the_read_out_tells_time_row_sides_leverage_candle_and_the_sum_from_the_price(visit) -> None:
    page = visit()
    said = [point(page, 0.45, height / 20) for height in range(1, 19)]
    whole = " ".join(said)

    assert all(re.match(r"2026-06-\d\d \d\d:\d\d UTC [\d,.]+ – [\d,.]+", line) for line in said)
    for word in (
        r"longs [\d.]+ ?[KMB]? USD \(",
        r"shorts [\d.]+ ?[KMB]? USD \(",
        r"(≤ 10x|11–25x|26–50x|> 50x) [\d.]+",
        r"candle \d\d:\d\d – \d\d:\d\d O [\d,.]+ H [\d,.]+ L [\d,.]+ C [\d,.]+",
        r"(longs|shorts) from the price to here [\d.]+",
    ):
        assert re.search(word, whole)
    page.mouse.move(0, 0)
    page.wait_for_function("() => document.getElementById('readout').textContent.startsWith('Point at')")


def test_the_cross_hair_has_tags_on_both_axes(visit) -> None:
    page = visit()
    point(page, 0.5, 0.5)
    tags = page.evaluate(
        "() => { const o = document.getElementById('over'), c = o.getContext('2d'), w = o.width, h = o.height;"
        "const filled = (...part) => c.getImageData(...part).data.some((v) => v > 0);"
        "return [filled(w - 60, h * 0.4, 60, h * 0.2), filled(w * 0.4, h - 20, w * 0.2, 20)] }"
    )

    assert tags == [True, True]


def test_utc_may_be_local_time(visit) -> None:
    page = visit(timezone_id="Asia/Kolkata")
    utc = point(page, 0.3, 0.5)
    page.click("#clock")
    local = point(page, 0.3, 0.5)

    hours = [int(re.match(r"\d{4}-\d\d-\d\d (\d\d):(\d\d)", text)[1]) * 60 + int(text[14:16]) for text in (utc, local)]
    assert (hours[1] - hours[0]) % 1440 == 330
    assert "UTC" in utc
    assert "UTC+5:30" in local


def test_a_profile_and_the_nearest_zones_stand_beside_the_price_axis(visit) -> None:
    page = visit()
    found = colours(page, x=0.86, width=0.08)

    assert found[rgb("#ff9d5c")] > 500
    assert found[rgb("#5cc8ff")] > 500
    assert re.fullmatch(
        r"Nearest large zones: longs [\d,.]+ – [\d,.]+ \(−[\d.]+ %, [\d.]+ [KMB] USD\) · "
        r"shorts [\d,.]+ – [\d,.]+ \(\+[\d.]+ %, [\d.]+ [KMB] USD\)",
        page.inner_text("#zones"),
    )


def test_the_largest_rows_are_a_table(visit) -> None:
    page = visit()
    page.click("#table summary")
    rows = page.locator("#rows tbody tr")
    rows.first.wait_for()

    assert rows.count() == 20
    assert re.fullmatch(r"(longs|shorts)\t[\d,.]+ – [\d,.]+\t[+−][\d.]+ %\t[\d.]+ ?[KMB]?", rows.first.inner_text())


def test_swept_bands_are_marked_on_request(visit) -> None:
    page = visit()
    plain = picture(page)
    page.check("#swept")
    assert picture(page) != plain
    page.uncheck("#swept")

    assert picture(page) == plain


def test_the_old_address_shows_the_map(visit) -> None:
    page = visit("/frontend/liquidation_map.html?timeframe=30")

    drawn(page, "30d map")


@pytest.mark.parametrize(("hours", "kind"), [(0, ""), (20, "ageing"), (60, "stale")])
def test_old_data_is_told_in_the_line_below_the_title(visit, own_service, hours, kind) -> None:
    service = own_service()
    service.hours = hours
    page = visit(base=service.url)

    assert page.get_attribute("#status", "class") == kind
    assert "data up to 2026-06-28 00:00 UTC" in page.inner_text("#status")
    assert re.search(r"checked \d\d:\d\d UTC, next \d\d:\d\d UTC", page.inner_text("#status"))


def test_a_short_history_and_invented_data_have_badges(visit, own_service, published) -> None:
    for dataset in ("liquidation_heatmap", "candles", "liquidation_levels"):
        manifest = manifest_path(dataset_path(published, dataset, "BTCUSDT", "30d"))
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"source_label": "simulated"}))
    page = visit("/?timeframe=30d", base=own_service(folder=published).url)

    for view in ("heatmap", "map"):
        choose(page, "view", view)
        assert "SIMULATED DATA" in page.inner_text("#badges")
        assert "30d asked, 10 days shown, data since 18 Jun" in page.inner_text("#badges")


def test_a_token_after_the_hash_opens_the_data_and_stays_out_of_links(visit, own_service) -> None:
    page = visit(
        "/#token=secret", base=own_service(token="secret").url, permissions=["clipboard-read", "clipboard-write"]
    )
    page.click("#save")
    page.click("#copy")
    page.get_by_text("Copied").wait_for()

    assert "#token=secret" in page.url
    assert "secret" not in page.evaluate("() => navigator.clipboard.readText()")
