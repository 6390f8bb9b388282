"""`liq at`: the map at an instant of the past, on the terminal and as a file."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline import client
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.settings import Settings

AT = "2026-06-25T12:00Z"


def test_totals_and_the_largest_levels_are_printed(liq, good_run) -> None:
    done = liq("at", AT, "--data", good_run.data_dir)

    assert done.code == 0
    assert "BTCUSDT: estimated liquidation levels as of 2026-06-25T12:00:00Z, price" in done.out
    rows = client.liquidation_levels("BTCUSDT", "90d", at=AT, folder=good_run.published_dir)
    for side in ("long", "short"):
        assert f"{rows.loc[rows['side'] == side, 'notional_usd'].sum():,.0f}" in done.out
    assert "exposure, not a forecast" in done.out


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_file_holds_every_row(kind: str, liq, good_run, tmp_path) -> None:
    out = tmp_path / f"past.{kind}"
    done = liq("at", AT, "--timeframe", "7d", "--out", out, "--data", good_run.data_dir)

    expected = client.liquidation_levels("BTCUSDT", "7d", at=AT, folder=good_run.published_dir)
    assert (done.code, done.out) == (
        0,
        f"{out}: {len(expected)} estimated liquidation levels as of 2026-06-25T12:00:00Z\n",
    )
    read = {
        "parquet": pd.read_parquet,
        "csv": pd.read_csv,
        "json": lambda path: pd.DataFrame(json.loads(path.read_text())),
    }
    found = read[kind](out)
    found["as_of"] = pd.to_datetime(found["as_of"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["noon"], 2, "SettingsError: 'noon' is not an instant"),
        ([AT, "--out", "x.txt"], 2, "SettingsError: --out x.txt names no known kind of file"),
        ([AT, "--symbols", "XUSDT"], 1, "NotPublished: XUSDT is not published"),
        (["2020-01-01"], 1, "NoData: BTCUSDT has no bar that closed by 2020-01-01"),
        ([AT, "--out", "/proc/x.csv"], 1, "StorageFailed"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments, code, said, liq, good_run) -> None:
    done = liq("at", *arguments, "--data", good_run.data_dir)

    assert done.code == code
    assert done.err.startswith(said)
    assert "Traceback" not in done.err


def test_nothing_published_is_said(liq, tmp_path) -> None:
    done = liq("at", AT, "--data", tmp_path)

    assert done.code == 1
    assert "is not published in" in done.err


def test_a_symbol_that_is_younger_than_the_instant_is_left_out_and_the_others_are_told(
    liq, good_run: Settings, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    published = shutil.copytree(good_run.published_dir, data / "published")
    place = dataset_path(published, "positions", "BTCUSDT")
    young = dataset_path(published, "positions", "AAAUSDT")
    for root in (published, published / "manifests"):
        shutil.copytree(root / "liquidation_levels" / "BTCUSDT", root / "liquidation_levels" / "AAAUSDT")
    young.parent.mkdir(parents=True)
    rows = pq.read_table(place, partitioning=None)
    rows = rows.set_column(rows.column_names.index("symbol"), "symbol", pa.array(["AAAUSDT"] * rows.num_rows))
    later = rows.filter(pc.greater(rows["ts"], pa.scalar(datetime(2026, 6, 25, tzinfo=UTC), rows["ts"].type)))
    pq.write_table(later, young)
    manifest = manifest_path(place)
    own = manifest_path(young)
    own.parent.mkdir(parents=True)
    sha = hashlib.sha256(young.read_bytes()).hexdigest()
    own.write_text(json.dumps(json.loads(manifest.read_bytes()) | {"sha256": sha, "symbol": "AAAUSDT"}))

    done = liq("at", "2026-06-22T12:00Z", "--symbols", "BTCUSDT,AAAUSDT", "--data", data)

    assert done.code == 0, done.err
    assert "BTCUSDT: estimated liquidation levels as of 2026-06-22T12:00:00Z" in done.out
    assert "left out: AAAUSDT has no bar that closed by 2026-06-22 12:00:00 UTC" in done.out
    assert liq("at", "2026-06-22T12:00Z", "--symbols", "AAAUSDT", "--data", data).code == 1
