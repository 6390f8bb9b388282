"""The page's form of a heatmap and of levels: facts as JSON, then arrays, in a fifth of the bytes of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liq_pipeline.model.levels import bin_width
from liq_pipeline.views.frame import HeatmapView
from liq_pipeline.views.payload import heatmap_facts, levels_facts

STEP = 0.002
"""Cells are kept by their logarithm, in steps of this: off by at most 0.1 %."""
_FIELDS = ("open", "high", "low", "close", "volume")


def pack(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a header's length (u32, little-endian), the header as JSON, the arrays.

    The header holds the facts, and under `arrays` the name, dtype and size of each.
    """
    listed = [[name, array.dtype.str, array.size] for name, array in arrays.items()]
    header = json.dumps(
        {**facts, "arrays": listed}, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()
    return b"".join([len(header).to_bytes(4, "little"), header, *(array.tobytes() for array in arrays.values())])


def heatmap_packed(frame: HeatmapView) -> bytes:
    """Return a heatmap at display size.

    `columns` are closing instants (epoch seconds); `candles` five runs over the columns (open, high, low, close,
    volume; NaN where no bar is known). `cells` run over sides, leverage classes, rows and columns: codes, each as the
    zigzag of its difference from the one before it in its row, the low bytes of all before the high bytes. Code 0 is
    nothing, else `exp((code - 1) × cell_step)` USD.
    """
    usd = frame.usd.transpose(0, 1, 3, 2)  # a band is a row: along it amounts change little
    codes = np.where(usd >= 1, 1 + np.rint(np.log(np.maximum(usd, 1)) / STEP), 0).astype(np.int32)
    steps = np.diff(codes, axis=-1, prepend=0)
    zigzag = ((steps << 1) ^ (steps >> 31)).astype(np.uint16)
    return pack(
        heatmap_facts(frame) | {"cell_step": STEP},
        {
            "columns": (frame.ts - np.datetime64(0, "s")).astype("timedelta64[s]").astype("<u4"),
            "candles": np.concatenate([frame.candles[name] for name in _FIELDS]).astype("<f4"),
            "cells": np.concatenate([(zigzag & 255).astype(np.uint8).ravel(), (zigzag >> 8).astype(np.uint8).ravel()]),
        },
    )


def levels_packed(levels: pa.Table, facts: Mapping[str, Any], symbol: str, timeframe: str, now: datetime) -> bytes:
    """Return levels in full: `side` (0 long, 1 short), `bin` (× bin_width is the lower price), `leverage`, `usd`."""
    told = levels_facts(facts, symbol, timeframe, now)
    bins = np.rint(levels["price_low"].to_numpy() / bin_width(told["current_price"])).astype("<i4")
    side = (levels["side"].to_numpy(zero_copy_only=False) == "short").astype(np.uint8)
    leverage = levels["leverage"].to_numpy()
    order = np.lexsort((leverage, bins, side))
    return pack(
        told,
        {
            "side": side[order],
            "bin": bins[order],
            "leverage": leverage[order].astype("<f4"),
            "usd": levels["notional_usd"].to_numpy()[order].astype("<f4"),
        },
    )
