"""The page's form holds what the other forms hold."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.views.packed import STEP, heatmap_packed, levels_packed
from liq_pipeline.views.payload import heatmap_payload, levels_payload


def unpacked(content: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    size = int.from_bytes(content[:4], "little")
    header, at, arrays = json.loads(content[4 : 4 + size]), 4 + size, {}
    for name, kind, length in header["arrays"]:
        arrays[name] = np.frombuffer(content, kind, length, at)
        at += arrays[name].nbytes
    assert at == len(content)
    return header, arrays


def cells_of(header: dict, arrays: dict[str, np.ndarray]) -> np.ndarray:
    low, high = np.split(arrays["cells"].astype(np.int64), 2)
    zigzag = (low | high << 8).reshape(2, 4, header["rows"], arrays["columns"].size)
    codes = np.cumsum((zigzag >> 1) ^ -(zigzag & 1), axis=-1)
    return np.where(codes > 0, np.exp((codes - 1) * STEP), 0)


@pytest.mark.parametrize("timeframe", ["1d", "30d"])
def test_cells_come_back_within_a_tenth_of_a_percent(frames, timeframe) -> None:
    frame, _ = frames(timeframe)
    header, arrays = unpacked(heatmap_packed(frame))
    wanted, found = frame.usd.transpose(0, 1, 3, 2), cells_of(header, arrays)

    np.testing.assert_allclose(found[wanted >= 1], wanted[wanted >= 1], rtol=1.001e-3)
    assert not found[wanted < 1].any()
    assert (wanted >= 1).sum() > 1000


def test_facts_columns_and_candles_are_those_of_the_json(frames) -> None:
    frame, _ = frames("7d")
    header, arrays = unpacked(heatmap_packed(frame))
    payload = heatmap_payload(frame)

    assert {name: header[name] for name in payload.keys() & header.keys()} == {
        name: payload[name] for name in payload.keys() - {"columns", "candles", "layers"}
    }
    assert arrays["columns"].tolist() == payload["columns"]
    for place, candle in enumerate(payload["candles"]):
        one = arrays["candles"].reshape(5, -1)[:, place]
        assert np.isnan(one).all() if candle is None else one == pytest.approx(candle, rel=1e-6)


def test_levels_come_back_in_full(good_run) -> None:
    path = dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", "30d")
    rows, manifest = pq.read_table(path, partitioning=None), read_manifest(path)
    header, arrays = unpacked(levels_packed(rows, manifest, "BTCUSDT", "30d", good_run.now))
    payload = levels_payload(rows, manifest, "BTCUSDT", "30d", good_run.now)
    wanted = sorted(
        (place, level["price_low"], level["leverage"], level["notional_usd"])
        for place, side in enumerate(("long", "short"))
        for level in payload[f"{side}_liquidations"]
    )
    found = list(zip(*(arrays[name].tolist() for name in ("side", "bin", "leverage", "usd")), strict=True))

    assert len(found) == len(wanted) > 100
    for (side, bin_, leverage, usd), expected in zip(found, wanted, strict=True):
        assert (side, bin_ * header["bin_width"], leverage, usd) == pytest.approx(expected, rel=1e-6)
