"""`heatmap.html` works where it lies: no server, no network."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.published.layout import view_folder
from liq_pipeline.published.publish import Publisher, Views
from liq_pipeline.views.everything import draw_all, shared_files
from liq_pipeline_tests.page import at, cells, choose, colours, drag, drawn, picture, point, rgb, saved
from liq_pipeline_tests.server.test_reached import fits, publish

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def opened(context, pages):
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_(query: str = "", timeframe: str = "7d", folder: Path | None = None):
        page.goto(((folder or pages(timeframe)) / "heatmap.html").as_uri() + query)
        page.wait_for_selector("#plot[data-drawn]")
        return page

    yield open_
    assert complaints == []


def test_it_shows_what_the_service_shows(opened, browser, good_run) -> None:
    from liq_pipeline_tests.server.conftest import Service

    page = opened()
    service = Service(good_run.published_dir, good_run.now)
    served = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    served.goto(f"{service.url}/?symbol=BTCUSDT&timeframe=7d")
    served.wait_for_selector("#plot[data-drawn]")

    assert picture(page) == picture(served)
    for one in (page, served):
        choose(one, "view", "map")
        drawn(one, " map ")
    assert picture(page) == picture(served)
    served.context.close()
    service.stop()


def test_it_reads_zooms_filters_and_resets(opened) -> None:
    page = opened()
    first = picture(page)
    assert "USD" in point(page, 0.5, 0.3)
    drag(page, (0.5, 0.5), (0.3, 0.4))
    page.locator("#min").fill("60")
    drawn(page, " 60 ")
    assert picture(page) != first
    page.locator("#min").fill("0")
    page.mouse.dblclick(*at(page, 0.5, 0.5))

    assert picture(page) == first


def test_the_address_keeps_what_was_chosen(opened) -> None:
    page = opened("?view=map&min=30&leverage=2.3&theme=light")

    assert page.get_attribute("#plot", "data-drawn") == "BTCUSDT 7d map light 30 2,3 both"
    assert page.is_checked("#classes input >> nth=2")
    assert not page.is_checked("#classes input >> nth=0")


def test_it_says_when_it_was_drawn_and_how_short_its_history_is(opened) -> None:
    page = opened(timeframe="30d")

    assert "(when drawn)" in page.inner_text("#status")
    assert "30d asked, 10 days shown, data since 18 Jun" in page.inner_text("#badges")
    opened(timeframe="7d")
    assert "asked" not in page.inner_text("#badges")


def test_another_timeframe_is_the_page_beside_it_with_the_same_choices(opened) -> None:
    page = opened("?view=map&min=20")
    choose(page, "timeframe", "30d")
    page.wait_for_url("**/30d/heatmap.html*")
    page.wait_for_selector("#plot[data-drawn]")

    drawn(page, "BTCUSDT 30d map dark 20")


def test_a_neighbour_that_is_missing_is_told_and_the_page_stays(context, pages, tmp_path) -> None:
    alone = tmp_path / "views" / "BTCUSDT" / "7d"
    shutil.copytree(pages("7d"), alone)
    shutil.copytree(pages("7d").parents[1] / "assets", tmp_path / "views" / "assets")
    page = context.new_page()
    page.goto((alone / "heatmap.html").as_uri())
    page.wait_for_selector("#plot[data-drawn]")
    page.click("#timeframe input[value='30d']")
    page.wait_for_selector("#status.stale")

    assert "../30d/heatmap.html is not there" in page.inner_text("#status")
    assert page.is_checked("#timeframe input[value='7d']")
    assert "7d" in page.inner_text("#title")


def test_without_its_script_the_page_says_what_lacks(context, pages, tmp_path) -> None:
    shutil.copy(pages("7d") / "heatmap.html", tmp_path / "heatmap.html")
    page = context.new_page()
    page.goto((tmp_path / "heatmap.html").as_uri())

    page.get_by_text("keep the folder views together").wait_for(timeout=5000)
    assert "views/assets/" in page.inner_text("#lost")


def test_the_heatmaps_past_is_here_and_of_the_maps_it_is_said_where_it_is(opened) -> None:
    page = opened()
    newest = picture(page)
    page.locator("#at").fill("60")
    assert picture(page) != newest
    page.click("#now")
    assert picture(page) == newest

    choose(page, "view", "map")
    drawn(page, " map ")
    for control in ("#at", "#play", "#now", "#when"):
        assert page.is_hidden(control)
    assert page.inner_text("#past").startswith("This file holds the newest map only.")
    for where in ("the heatmap here", "liq serve", "liq at"):
        assert where in page.inner_text("#past")
    choose(page, "view", "heatmap")
    drawn(page, " heatmap ")
    assert page.is_visible("#at")


def test_the_map_does_not_claim_an_instant_that_only_the_heatmap_shows(opened) -> None:
    page = opened()
    page.locator("#at").fill("60")
    assert "AS OF" in page.inner_text("#badges")
    choose(page, "view", "map")
    drawn(page, " map ")

    assert "AS OF" not in page.inner_text("#badges")
    assert page.inner_text("#status").startswith("data up to 2026-06-28 00:00 UTC")
    assert "not for the past" not in page.inner_text("#reached")
    assert saved(page, "png")[0] == "BTCUSDT-7d-map.png"
    choose(page, "view", "heatmap")
    drawn(page, " heatmap ")
    assert "AS OF" in page.inner_text("#badges")


@pytest.fixture
def with_ranges(published):
    """Return the page of a folder in which ranges of that instant are published; empty: of the levels' own."""

    def make(as_of: str = "") -> Path:
        days = [fits()[0] | {"horizon_hours": hours} for hours in HORIZON_HOURS]
        publish(published, days, as_of)
        now = datetime.fromisoformat("2026-06-28T06:00:00+00:00")
        files, about = draw_all(published, "BTCUSDT", "7d", now)
        Publisher(folder=str(published)).publish_views([Views("BTCUSDT", "7d", files, about)], shared_files())
        return view_folder(published, "BTCUSDT", "7d")

    return make


def test_how_much_gets_liquidated_on_the_way_is_in_the_page(opened, with_ranges) -> None:
    page = opened("?view=map&curve=reached", folder=with_ranges())
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('from 30 days')")

    assert "is reached within 4 h" in point(page, 0.45, 0.5)
    choose(page, "horizon", "24")
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('24 h: USD')")
    found = colours(page)
    assert found[rgb("#ff9d5c")] > 50
    assert found[rgb("#5cc8ff")] > 50


def test_ranges_of_another_instant_than_the_levels_are_not_shown(opened, with_ranges) -> None:
    page = opened("?view=map&curve=reached", folder=with_ranges("2026-06-27T00:00:00Z"))
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('2026-06-27')")

    assert "is reached" not in point(page, 0.45, 0.5)


def test_where_no_liquidations_are_reported_the_page_says_how_to_get_them(opened) -> None:
    page = opened("?view=map")
    page.wait_for_function("() => document.getElementById('reached').textContent.includes('no reported')")

    assert "liq record" in page.inner_text("#reached")


def test_a_picture_and_rows_can_be_saved(opened, pages) -> None:
    page = opened()
    name, content = saved(page, "png")
    assert name == "BTCUSDT-7d-heatmap.png"
    assert content.startswith(b"\x89PNG")
    rows = cells(page)
    assert len(rows) > 1000
    held = json.loads(saved(page, "json")[1])
    assert held["symbol"] == "BTCUSDT"
    assert [str(row["usd"]) for row in held["rows"]] == [row["usd"] for row in rows]

    choose(page, "view", "map")
    levels = pq.read_table(pages("7d") / "../../../liquidation_levels/BTCUSDT/7d.parquet", partitioning=None)
    assert len(cells(page)) == levels.num_rows
    total = pc.sum(levels["notional_usd"]).as_py()
    assert sum(int(row["usd"]) for row in cells(page)) == pytest.approx(total, rel=1e-5)


def test_the_parquet_file_beside_the_page_is_what_parquet_gives(opened, pages) -> None:
    page = opened()
    _, content = saved(page, "parquet")

    assert content == (pages("7d") / "../../../liquidation_levels/BTCUSDT/7d.parquet").read_bytes()


def test_where_the_parquet_file_is_missing_the_page_stays_and_says_so(context, pages, tmp_path) -> None:
    shutil.copytree(pages("7d").parent.parent, tmp_path / "views")
    page = context.new_page()
    page.goto((tmp_path / "views" / "BTCUSDT" / "7d" / "heatmap.html").as_uri())
    drawn(page, "BTCUSDT")
    page.click("#save")
    page.click("#parquet")
    page.wait_for_selector("#status.stale")

    said = page.inner_text("#status")
    assert said.startswith("Not saved: ../../../liquidation_levels/BTCUSDT/7d.parquet is not there.")
    assert page.url.endswith("heatmap.html")


@pytest.mark.parametrize("query", ["?symbol=ETHUSDT", "?symbol=BTCUSDT&timeframe=30d", "?tf=1d"])
def test_what_a_file_cannot_show_is_said(opened, query) -> None:
    page = opened(query)
    page.wait_for_selector("#status.ageing")

    wanted = "takes no “tf”" if "tf=" in query else "This file is of BTCUSDT 7d; other symbols"
    assert wanted in page.inner_text("#status")


def test_its_own_name_in_the_address_is_no_fault(opened) -> None:
    page = opened("?symbol=btcusdt&timeframe=7d")

    assert page.inner_text("#status").startswith("data up to")
    page.keyboard.press("/")
    assert page.inner_text("#status") == "Other symbols: their own pages, or liq serve"
