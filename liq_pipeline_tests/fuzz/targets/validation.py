"""Files that users bring to `liq validate`: tables of any kind, packed in any way."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa

from liq_pipeline.exchange.quirks import LARGEST, SMALLEST
from liq_pipeline.validation.files import FIRST_STAMP, LAST_STAMP, instants_of, positive_series, read_frame
from liq_pipeline.validation.inputs import _bars
from liq_pipeline.validation.truth import truth_rows
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.mutators import mutate

Pack = Callable[[bytes], bytes]


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    stamps = pd.date_range("2026-01-11", periods=40, freq="5min", tz="UTC")
    open_interest = pd.DataFrame({"ts": stamps, "open_interest": np.arange(40) + 5.5})
    truth = pd.DataFrame({"ts": stamps, "long_usd": np.arange(40.0), "short_usd": np.arange(40.0)})
    bars = pd.DataFrame({"ts": stamps, "open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 5.0})
    return [
        _target(workspace, "open-interest", open_interest, _open_interest),
        _target(workspace, "liquidations", truth, _truth),
        _target(workspace, "bars", bars, _read_bars),
    ]


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return out.getvalue()


def _tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _zst(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return bytes(sink.getvalue().to_pybytes())


PACKED: dict[str, Pack] = {
    ".csv": bytes, ".csv.gz": lambda data: gzip.compress(data, 1), ".csv.bz2": bz2.compress, ".csv.zip": _zip,
    ".csv.tar": _tar, ".csv.zst": _zst, ".csv.xz": lambda data: lzma.compress(data, preset=0),
}  # fmt: skip
SUFFIXES = (*PACKED, ".parquet")


def _target(workspace: Path, name: str, frame: pd.DataFrame, judge: Callable[[Path], None]) -> Target:
    """An input's first byte says how it is packed."""
    csv = frame.to_csv(index=False).encode()
    milliseconds = frame.assign(ts=frame["ts"].astype("int64") // 1000).to_csv(index=False).encode()
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)

    def make(rng: Random) -> bytes:
        number = rng.randrange(len(PACKED)) if rng.random() < 0.5 else 0
        return bytes([number]) + PACKED[SUFFIXES[number]](
            mutate(rng, rng.choice((csv, milliseconds)), [csv, milliseconds])
        )

    def parse(data: bytes) -> None:
        number = data[0] % len(SUFFIXES) if data else 0
        path = workspace / f"{name}{SUFFIXES[number]}"
        path.write_bytes(data[1:])
        judge(path)

    seeds = [
        bytes([n]) + (PACKED[suffix](csv) if suffix in PACKED else parquet.getvalue())
        for n, suffix in enumerate(SUFFIXES)
    ]
    return Target(f"validation-{name}", seeds, parse, make, is_file=True)


def _open_interest(path: Path) -> None:
    frame = read_frame(path)
    stamps, _ = instants_of(frame, path)
    known = stamps.dropna()
    if ((known < FIRST_STAMP) | (known >= LAST_STAMP)).any():
        raise Broken("stamps of no time")
    if "open_interest" in frame:
        values = positive_series(stamps, frame["open_interest"]).to_numpy()
        if not ((values >= SMALLEST) & (values <= LARGEST)).all():
            raise Broken("open interest that cannot be")


def _truth(path: Path) -> None:
    usd = truth_rows(path, "BTCUSDT").usd
    if np.isinf(usd).any() or (usd[~np.isnan(usd)] < 0).any() or (usd[~np.isnan(usd)] > LARGEST).any():
        raise Broken("liquidations that cannot be")


def _read_bars(path: Path) -> None:
    frame, _ = _bars(path, 5, "BTCUSDT", "auto", [])
    prices = frame[["open", "high", "low", "close"]].to_numpy(float)
    if not ((prices >= SMALLEST) & (prices <= LARGEST)).all():
        raise Broken("prices that cannot be")
    if "volume" in frame and not frame["volume"].between(0, LARGEST).all():
        raise Broken("volumes that cannot be")
