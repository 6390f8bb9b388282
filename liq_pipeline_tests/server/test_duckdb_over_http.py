"""DuckDB's own HTTP client, in an environment of its own, reads published files from the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liq_pipeline.published.layout import dataset_path

pytestmark = pytest.mark.slow

UV = Path(sys.executable).with_name("uv")

READER = """
import json, sys
from pathlib import Path

import duckdb, duckdb_extension_httpfs

(extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("*.duckdb_extension")
connection = duckdb.connect()
connection.execute(f"LOAD '{extension}'")
print(json.dumps([connection.execute(text).fetchall() for text in sys.argv[1:]]))
"""


def read(repository: Path, *queries: str) -> list[list[list[Any]]]:
    """Run queries where DuckDB has its HTTP client, an extension that must fit its version."""
    (package,) = re.findall(r"^duckdb-extension-httpfs==.+$", (repository / "constraints.txt").read_text(), re.M)
    done = subprocess.run(
        [UV, "run", "--isolated", "--no-project", "--quiet", "--python", sys.executable, "--with", package,
         "python", "-c", READER, *queries],
        check=True, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    return json.loads(done.stdout)


def answered(service, status: str) -> float:
    """Return how many requests for files were answered so."""
    text = service.get("/metrics").text
    found = re.findall(rf'liq_requests_total{{endpoint="/files/{{path:path}}",status="{status}".*}} (\S+)', text)
    return float(found[0]) if found else 0.0


def test_levels_lists_of_files_and_the_index_are_read_with_the_rows_that_were_published(
    service, good_run, repository
) -> None:
    files = f"{service.url}/files/liquidation_levels/BTCUSDT"
    query = "SELECT side, count(*), round(sum(notional_usd), 2) FROM {} GROUP BY side ORDER BY side"
    published = {
        timeframe: dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", timeframe)
        for timeframe in ("7d", "30d")
    }

    found = read(
        repository,
        query.format(f"'{files}/7d.parquet'"),
        query.format(f"read_parquet(['{files}/7d.parquet', '{files}/30d.parquet'])"),
        f"SELECT count(*) FROM (SELECT unnest(files) AS f FROM '{service.url}/index.json') WHERE f.dataset = 'candles'",
    )

    one, both = (
        [list(row) for row in duckdb.sql(query.format(f"read_parquet({paths})")).fetchall()]
        for paths in ([str(published["7d"])], [str(path) for path in published.values()])
    )
    assert found[:2] == [one, both]
    index = service.get("/index.json").json()["files"]
    assert found[2] == [[sum(file["dataset"] == "candles" for file in index)]]


def test_a_few_columns_are_read_by_ranges_and_not_as_a_whole(service, good_run, repository) -> None:
    path = dataset_path(good_run.published_dir, "positions", "BTCUSDT")
    whole, parts = answered(service, "200"), answered(service, "206")

    ((row,),) = read(
        repository, f"SELECT count(*), max(close) FROM '{service.url}/files/positions/BTCUSDT/positions.parquet'"
    )

    assert row == list(duckdb.sql(f"SELECT count(*), max(close) FROM '{path}'").fetchone())
    assert answered(service, "206") > parts
    assert answered(service, "200") <= whole + 1  # the HEAD that asks for the size
