"""1,450 daily metrics zips into one table, against inflating them and nothing else, and against pandas file by file."""

from __future__ import annotations

import zipfile
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.data import SYMBOL
from benchmarks.harness import Outcome, against
from liq_pipeline.exchange.formats import METRICS_LAYOUT, read_open_interest

FILES = 1_450
ROWS = 288


def run() -> list[Outcome]:
    """Measure, page cache warm."""
    with TemporaryDirectory(prefix="liq-bench-") as folder:
        files = _write(Path(folder))

        def ours() -> pa.Table:
            return read_open_interest(files, SYMBOL).table

        def inflate() -> int:
            total = 0
            for path in files:
                with zipfile.ZipFile(path) as archive:
                    total += len(archive.read(archive.namelist()[0]))
            return total

        def by_file() -> pd.DataFrame:
            return pd.concat([pd.read_csv(path, parse_dates=["create_time"]) for path in files])

        table, frame = ours(), by_file()
        assert table.num_rows == len(frame) == FILES * ROWS
        np.testing.assert_array_equal(table["open_interest"].to_numpy(), frame["sum_open_interest"].to_numpy())
        np.testing.assert_array_equal(
            table["create_time"].to_numpy().astype("datetime64[us]"),
            frame["create_time"].to_numpy().astype("datetime64[us]"),
        )
        return [
            against("ingest", f"{FILES:,} zips, against inflating them only", ours, inflate, 2.5),
            against("ingest", f"{FILES:,} zips, against pandas.read_csv per file", ours, by_file, 1 / 3),
        ]


def _write(folder: Path) -> list[Path]:
    """Write daily metrics zips as the archive has them: labels 00:05 to next-day 00:00, one header each."""
    rng = np.random.default_rng(13)
    first = date(2021, 12, 1)
    open_interest = 80_000 + np.cumsum(rng.normal(0, 20, FILES * ROWS))
    price = 57_000 * np.exp(np.cumsum(rng.normal(0, 0.001, FILES * ROWS)))
    ratio = 1 + rng.random((FILES * ROWS, 4))
    paths = []
    for number in range(FILES):
        day = first + timedelta(days=number)
        midnight = np.datetime64(day, "s")
        lines = [METRICS_LAYOUT.header.decode()]
        for row in range(ROWS):
            at = number * ROWS + row
            stamp = str(midnight + np.timedelta64(5 * (row + 1), "m")).replace("T", " ")
            ratios = ",".join(f"{value:.8f}" for value in ratio[at])
            lines.append(f"{stamp},{SYMBOL},{open_interest[at]:.16f},{open_interest[at] * price[at]:.16f},{ratios}")
        path = folder / f"{SYMBOL}-metrics-{day}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr(zipfile.ZipInfo(path.stem + ".csv"), "\n".join(lines) + "\n", zipfile.ZIP_DEFLATED)
        paths.append(path)
    return paths
