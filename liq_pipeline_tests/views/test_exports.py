"""What programs get holds what the picture shows, in the shape that bots parse."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path, manifest_path, shared_path
from liq_pipeline.views.exports import bot_payload, heatmap_json, levels_csv
from liq_pipeline.views.page import page_assets, service_html
from liq_pipeline.views.payload import heatmap_payload

NAMES = {"heatmap.png", "heatmap-light.png", "map.png", "map-light.png", "heatmap.html"}


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_view_is_published_and_named_in_the_manifest(pages, timeframe) -> None:
    folder = pages(timeframe)
    manifest = json.loads(manifest_path(folder).read_text())

    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == NAMES
    assert manifest["sha256"] == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES}
    assert manifest["as_of"] == "2026-06-28T00:00:00Z"


def test_the_bots_shape(frames) -> None:
    frame, _ = frames("7d")
    found = json.loads(heatmap_json(frame))

    assert found == bot_payload(frame)
    cells, candles, prices = (found[name] for name in ("liquidation_leverage_data", "price_candlesticks", "y_axis"))
    assert all(len(cell) == 3 and 0 <= cell[0] < len(candles) and 0 <= cell[1] < len(prices) for cell in cells)
    assert all(isinstance(row[0], int) and all(isinstance(text, str) for text in row[1:]) for row in candles)
    assert all(float(low) <= float(open_) <= float(high) for _, open_, high, low, _, _ in candles)
    assert prices == sorted(prices)
    assert set(np.diff([row[0] for row in candles])) == {int(frame.column_width)}
    assert sum(cell[2] for cell in cells) == pytest.approx(frame.total.sum(), rel=1e-6)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_bots_rows_are_named_by_their_middle_price_and_each_cell_holds_its_amount(frames, timeframe) -> None:
    frame, _ = frames(timeframe)
    found = bot_payload(frame)

    edges = list(itertools.pairwise(frame.row_edges))
    assert found["y_axis"] == pytest.approx([low + (high - low) / 2 for low, high in edges], rel=1e-9)
    cells = found["liquidation_leverage_data"]
    assert cells
    assert all(usd == pytest.approx(frame.total[column, row], abs=0.51) for column, row, usd in cells)


def test_the_pages_runs_give_the_picture_back(frames) -> None:
    frame, _ = frames("1d")
    payload = json.loads(json.dumps(heatmap_payload(frame)))
    dense = np.zeros((frame.ts.size, payload["rows"]))
    for layer in payload["layers"]:
        for column, run in enumerate(layer["columns"]):
            if run:
                dense[column, run[0] : run[0] + len(run) - 1] += run[1:]

    np.testing.assert_allclose(dense, frame.total, atol=8)


def test_the_csv_holds_every_level(good_run) -> None:
    levels = pq.read_table(
        dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", "30d"), partitioning=None
    )
    rows = list(csv.DictReader(io.StringIO(levels_csv(levels).decode())))

    assert list(rows[0]) == levels.column_names
    assert len(rows) == levels.num_rows
    assert rows[0]["as_of"] == "2026-06-28T00:00:00Z"
    assert float(rows[5]["notional_usd"]) == pytest.approx(levels["notional_usd"][5].as_py())


def test_script_and_style_lie_beside_the_pages_once_and_under_their_digest(good_run, pages) -> None:
    page = (pages("90d") / "heatmap.html").read_text()

    for name, content in page_assets().items():
        lies = shared_path(good_run.published_dir, name)
        assert lies.read_bytes() == content
        assert hashlib.sha256(content).hexdigest()[:12] in name
        assert f'"../../assets/{name}"' in page
        assert (pages("90d") / f"../../assets/{name}").resolve() == lies.resolve()
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_a_page_from_disk_is_small(pages, timeframe) -> None:
    assert (pages(timeframe) / "heatmap.html").stat().st_size < 300_000


def test_no_script_stands_in_a_page(pages) -> None:
    for page in ((pages("7d") / "heatmap.html").read_text(), service_html().decode()):
        scripts = re.findall(r"<script([^>]*)>", page)
        assert [kind for kind in scripts if "type=" not in kind and "src=" not in kind] == []
        assert {kind.split('"')[1] for kind in scripts if "type=" in kind} <= {
            "application/json",
            "application/gzip+base64",
        }
        assert not re.search(r"\son\w+=", page)
