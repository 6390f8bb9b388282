"""The lines of the README and of docs/files.md, run as they stand over what a run published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liq_pipeline import client
from liq_pipeline.settings import Settings
from liq_pipeline_tests.conftest import REPOSITORY

PAGES = "\n".join((REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "docs/files.md"))


def blocks(kind: str) -> list[str]:
    """Return the code blocks of one kind, each once."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(text for name, text in found if name == kind))


@pytest.fixture
def beside_data(good_run: Settings, tmp_path: Path, monkeypatch) -> Path:
    """A working folder in which `data/published` is what a good run published."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "published").symlink_to(good_run.published_dir, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_lines_for_duckdb_pandas_pyarrow_and_polars() -> None:
    text = "".join(blocks("python"))

    assert len(blocks("sql")) == 2
    assert all(f"import {name}" in text for name in ("pandas", "pyarrow", "polars"))


def test_the_sql_gives_the_ten_largest_levels(beside_data: Path) -> None:
    rows = duckdb.sql(blocks("sql")[0]).fetchall()

    assert len(rows) == 10
    assert [usd for *_, usd in rows] == sorted((usd for *_, usd in rows), reverse=True)


def test_the_sql_of_the_past_gives_what_the_client_gives(beside_data: Path) -> None:
    statement = blocks("sql")[1].rstrip().removesuffix(";")
    text = f"SELECT side, leverage, sum(contracts * liquidation_price) FROM ({statement}) GROUP BY ALL"
    found = {(side, leverage): usd for side, leverage, usd in duckdb.sql(text).fetchall()}

    levels = client.liquidation_levels("BTCUSDT", "7d", at="2026-06-25T12:00Z", folder="data/published")
    expected = levels.groupby(["side", "leverage"])["notional_usd"].sum().to_dict()
    assert found == pytest.approx(expected, rel=1e-9)
    assert len(found) == 26


@pytest.mark.parametrize("code", blocks("python"))
def test_each_python_block_reads_the_levels(code: str, beside_data: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)

    levels = names["levels"]
    found = {}
    for name in ("symbol", "timeframe"):
        column = levels[name]
        found[name] = set(column.to_pylist() if hasattr(column, "to_pylist") else column)
    wanted = {"7d"} if "/7d.parquet" in code else {"1d", "7d", "30d", "90d"}
    assert (found["symbol"], found["timeframe"]) == ({"BTCUSDT"}, wanted)


def test_every_file_that_it_names_is_published(beside_data: Path) -> None:
    (listing,) = [block for block in blocks("") if block.startswith("data/published/")]
    for line in listing.splitlines():
        path, *more = re.split(r"\s+(?:and )?", line.removesuffix(" beside it"))
        for name in more:
            assert (
                (beside_data / path if path.endswith("/") else beside_data / Path(path).parent).joinpath(name).exists()
            )
        assert (beside_data / path).exists(), path
