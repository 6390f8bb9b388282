"""What a manifest says of the margin brackets behind a map, and that every reader passes it on."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from liq_pipeline.cli.console import print_levels
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.model.margin import LADDER
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.published.publish import Publisher
from liq_pipeline.published.status import read_status
from liq_pipeline.server import answers
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.store import Store
from liq_pipeline.settings import Settings
from liq_pipeline.transform.datasets import level_datasets
from liq_pipeline.warehouse.schema import STORED_AS, STORED_TABLES
from liq_pipeline.warehouse.warehouse import Warehouse

NOTE = "default margin brackets: 1.5 %, at most 50x"


@pytest.fixture
def folder(warehouse: Warehouse, good_run: Settings, tmp_path: Path) -> Path:
    """A published folder with the good run's BTCUSDT, and the same rows as NOSUCHUSDT, which has no brackets."""
    archive = ArchiveSource(
        location=good_run.archive, listing_url=good_run.listing_url, raw_dir=str(good_run.raw_dir),
        bar_minutes=good_run.bar_minutes, since=str(good_run.since),
    )  # fmt: skip
    published = Publisher(folder=str(tmp_path / "published"))
    for symbol in ("BTCUSDT", "NOSUCHUSDT"):
        with warehouse.transaction("BTCUSDT") as tables:
            for table in STORED_TABLES:
                stored = STORED_AS.get(table, table)
                tables.connection.execute(f"UPDATE {stored} SET symbol = $symbol", {"symbol": symbol})
            datasets = level_datasets(tables, symbol, archive, [])
        published.publish(datasets)
    return tmp_path / "published"


def test_the_manifest_says_whose_brackets_and_which_leverages_were_used(folder: Path) -> None:
    own, default = (
        json.loads((folder / "manifests" / "liquidation_levels" / symbol / "7d.json").read_text())
        for symbol in ("BTCUSDT", "NOSUCHUSDT")
    )

    assert (own["margin_brackets"], own["maintenance_margin_pct"], own["max_leverage"]) == ("own", 0.4, 150)
    assert own["model"]["parameters"]["ladder"] == list(LADDER)
    assert (default["margin_brackets"], default["maintenance_margin_pct"], default["max_leverage"]) == (
        "default",
        1.5,
        50,
    )
    assert default["model"]["parameters"]["ladder"] == [3, 5, 7, 10, 15, 20, 25, 35, 50]


def test_the_terminal_and_status_say_it_of_the_symbol_that_has_none(folder: Path, good_run: Settings) -> None:
    found = read_status(folder, good_run.now)
    printed = {}
    for symbol, entry in found.items():
        print_levels(Console(file=(sink := io.StringIO()), width=150), symbol, entry["timeframes"])
        printed[symbol] = sink.getvalue()

    assert {symbol: entry["margin_brackets"] for symbol, entry in found.items()} == {
        "NOSUCHUSDT": "default", "BTCUSDT": "own",
    }  # fmt: skip
    assert NOTE in printed["NOSUCHUSDT"]
    assert "brackets" not in printed["BTCUSDT"]


def test_the_service_says_it_in_levels_summary_and_symbols(folder: Path, good_run: Settings) -> None:
    store = Store(folder)
    said = {item["symbol"]: item["margin_note"] for item in answers.state(store, good_run.now).symbols}
    found = store.read(("liquidation_levels",), "NOSUCHUSDT", "7d")
    asked = Asked(("liquidation_levels",), "NOSUCHUSDT", "7d", good_run.now, "json")
    levels = answers.levels(found, asked, side="", min_usd=0)
    summary = answers.summary(found, asked)

    assert said == {"NOSUCHUSDT": NOTE, "BTCUSDT": ""}
    assert json.loads(levels)["margin_note"] == json.loads(summary)["margin_note"] == NOTE


def test_a_manifest_of_an_older_version_says_nothing(folder: Path, good_run: Settings) -> None:
    for path in folder.glob("manifests/liquidation_levels/NOSUCHUSDT/*.json"):
        old = {name: value for name, value in json.loads(path.read_text()).items() if "margin" not in name}
        path.write_text(json.dumps(old))

    assert read_status(folder, good_run.now)["NOSUCHUSDT"]["margin_brackets"] is None
    assert [item["margin_note"] for item in answers.state(Store(folder), good_run.now).symbols] == ["", ""]


def test_old_brackets_are_said_to_be_old() -> None:
    old = {"margin_brackets": "own", "margin_brackets_known_until": "2024-10-31", "as_of": "2026-06-28T00:00:00Z"}

    assert margin_note(old) == "margin brackets as of 2024-10-31, the newest that are known"
    assert margin_note(old | {"as_of": "2025-02-01T00:00:00Z"}) == ""
    assert margin_note(old | {"margin_brackets_known_until": None}) == ""
