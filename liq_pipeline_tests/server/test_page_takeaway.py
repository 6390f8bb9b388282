"""What people take from the page: a link, a picture, rows."""

from __future__ import annotations

import base64
import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from liq_pipeline_tests.page import at, cells, choose, drawn, picture, query, saved, window

pytestmark = pytest.mark.browser


def test_a_copied_link_shows_the_same_picture_elsewhere(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#min").fill("20")
    page.mouse.move(*at(page, 0.4, 0.4))
    page.mouse.wheel(0, -200)
    query(page)
    page.click("#save")
    page.click("#copy")
    page.get_by_text("Copied").wait_for()
    link = page.evaluate("() => navigator.clipboard.readText()")

    other = visit(link.removeprefix(visit.url))
    assert window(other) == pytest.approx(window(page), rel=1e-8)
    assert other.get_attribute("#plot", "data-drawn") == page.get_attribute("#plot", "data-drawn")


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_the_saved_picture_is_the_chart_under_title_and_age(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}", width=1600, height=1000)
    for _ in range(2):
        tall = page.locator("#plot").bounding_box()["height"]
        page.set_viewport_size({"width": 1600, "height": round(page.viewport_size["height"] + 800 - tall)})
        page.wait_for_timeout(200)
    page.mouse.move(0, 0)
    name, content = saved(page, "png")
    found = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    shown = base64.b64decode(picture(page).partition(",")[2])
    chart = np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")).astype(int)

    assert name == f"BTCUSDT-7d-{view}.png"
    assert found.shape == (900, 1600, 3)
    assert chart.shape == (800, 1600, 3)
    assert (np.abs(found[74:874] - chart).max(axis=2) > 8).mean() < 0.001
    background = found[0, 0]
    for top, bottom in ((10, 40), (44, 64), (880, 898)):  # title, age, note
        assert (np.abs(found[top:bottom] - background).max(axis=2) > 60).sum() > 100


def test_leverage_classes_and_sides_add_up(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    total = lambda: sum(int(row["usd"]) for row in cells(page))  # noqa: E731
    whole, parts, sides = total(), 0, 0
    for side in ("long", "short"):
        choose(page, "side", side)
        sides += total()
    choose(page, "side", "both")
    boxes = page.locator("#classes input")
    for number in range(4):
        for other in range(4):
            boxes.nth(other).set_checked(other == number)
        parts += total()

    assert whole > 0
    assert sides == whole
    assert parts == whole


def test_the_rows_of_the_heatmap_are_those_in_sight(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    everything = len(cells(page))
    page.locator("#min").fill("50")
    large = cells(page)
    page.locator("#min").fill("0")
    page.mouse.move(*at(page, 0.4, 0.4))
    page.mouse.wheel(0, -400)
    sight = window(page)
    near = cells(page)

    assert 0 < len(large) < everything
    assert 0 < len(near) < everything
    assert all(float(row["price_high"]) >= sight["y0"] and float(row["price_low"]) <= sight["y1"] for row in near)


@pytest.mark.parametrize("instant", ["", "&at=2026-06-27T12:00Z"])
def test_rows_of_the_map_come_from_the_service(visit, service, instant) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view=map&side=long{instant}")
    wanted = service.get(f"/liquidations/levels?symbol=BTCUSDT&timeframe=7d&side=long{instant}").json()
    count = len(wanted["long_liquidations"])

    assert len(list(csv.DictReader(io.StringIO(saved(page, "csv")[1].decode())))) == count
    assert json.loads(saved(page, "json")[1])["long_liquidations"] == wanted["long_liquidations"]
    name, content = saved(page, "parquet")
    assert pq.read_table(io.BytesIO(content)).num_rows == count
    assert name.endswith(".parquet")


def test_rows_of_the_map_are_those_of_the_leverage_classes_that_are_on(visit, service) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map&leverage=1.3")
    everything = service.get("/liquidations/levels?symbol=BTCUSDT&timeframe=7d").json()
    wanted = sorted(
        row["leverage"]
        for side in ("long_liquidations", "short_liquidations")
        for row in everything[side]
        if 10 < row["leverage"] <= 25 or row["leverage"] > 50
    )
    held = json.loads(saved(page, "json")[1])
    parquet = pq.read_table(io.BytesIO(saved(page, "parquet")[1]))

    assert sorted(parquet["leverage"].to_pylist()) == wanted
    assert sorted(float(row["leverage"]) for row in cells(page)) == wanted
    assert sorted(row["leverage"] for side in ("long", "short") for row in held[f"{side}_liquidations"]) == wanted


def test_the_rows_of_the_heatmap_are_plain_ascii(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")
    content = saved(page, "csv")[1]

    assert content.isascii()
    assert {row["leverage_class"] for row in csv.DictReader(io.StringIO(content.decode()))} == {
        "<=10x", "11-25x", "26-50x", ">50x",
    }  # fmt: skip


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_the_menu_says_what_each_file_holds_and_where_programs_get_it(visit, service, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}&side=long")
    page.click("#save")
    said = page.inner_text("#save-menu")

    for words in {
        "heatmap": ("cells in sight, as filtered", "the whole heatmap, not filtered", "as published: not filtered"),
        "map": ("levels, longs, all leverages",),
    }[view]:
        assert words in said
    assert said.count("levels, longs, all leverages") == (3 if view == "map" else 0)
    answer = service.get(page.get_attribute("#endpoint", "href")).json()
    assert (answer["symbol"], answer["timeframe"]) == ("BTCUSDT", "7d")
    if view == "map":
        assert not answer["short_liquidations"]
    assert service.get(page.get_attribute("#docs", "href")).status_code == 200


def test_the_menu_names_the_classes_that_are_on_and_the_address_has_them(visit, service) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map&leverage=0.3&min=20")
    page.click("#save")
    answer = service.get(page.get_attribute("#endpoint", "href")).json()

    assert page.inner_text("#save-menu").count("levels, both sides, leverage ≤ 10x, > 50x, all amounts") == 3
    assert {row["leverage"] > 50 for row in answer["long_liquidations"]} == {True, False}
    assert not [row for row in answer["long_liquidations"] if 10 < row["leverage"] <= 50]


@pytest.mark.parametrize("view", ["heatmap", "map"])
def test_nothing_is_saved_where_all_leverages_are_off(visit, view) -> None:
    page = visit(f"/?symbol=BTCUSDT&timeframe=7d&view={view}&leverage=none")
    page.click("#save")
    page.click("#csv")

    assert page.inner_text("#status") == "Nothing to save: all leverage filters are off."


def test_a_heatmap_of_the_past_is_saved_up_to_then(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&at=2026-06-27T12:00Z")
    name, content = saved(page, "json")

    assert name == "BTCUSDT-7d-heatmap-20260627T1200Z.json"
    assert json.loads(content)["as_of"] == "2026-06-27T12:00:00Z"
    assert "up to the instant shown" in page.locator("#json").text_content()
    assert saved(page, "parquet")[0] == "BTCUSDT-7d-heatmap.parquet"


def test_the_heatmaps_json_and_parquet_come_from_the_service(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d")

    assert json.loads(saved(page, "json")[1])["symbol"] == "BTCUSDT"
    assert "notional_usd_10x" in pq.read_table(io.BytesIO(saved(page, "parquet")[1])).column_names


def test_where_rows_cannot_be_had_it_says_so(visit) -> None:
    page = visit("/?symbol=BTCUSDT&timeframe=7d&view=map")
    page.route("**/liquidations/levels?*format=csv*", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    page.click("#save")
    page.click("#csv")
    page.wait_for_selector("#status.stale")

    assert page.inner_text("#status") == "Not saved: busy"
    drawn(page, "BTCUSDT")
    visit.complaints.clear()
