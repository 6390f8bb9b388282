"""Where each published file lies, and which folders are of a symbol."""

from __future__ import annotations

from pathlib import Path

from liq_pipeline.published.layout import (
    dataset_path,
    manifest_path,
    older_folder,
    older_folders,
    published_folders,
    published_symbols,
    shared_path,
    view_folder,
)

ROOT = Path("/p")


def test_each_file_has_its_place() -> None:
    assert dataset_path(ROOT, "candles", "B", "7d") == Path("/p/candles/B/7d.parquet")
    assert dataset_path(ROOT, "candles", "B") == Path("/p/candles/B/candles.parquet")
    assert dataset_path(ROOT, "positions", "B", "7d") == Path("/p/positions/B/positions.parquet")
    assert view_folder(ROOT, "B", "7d") == Path("/p/views/B/7d")
    assert shared_path(ROOT, "a.js") == Path("/p/views/assets/a.js")
    assert manifest_path(Path("/p/candles/B/7d.parquet")) == Path("/p/manifests/candles/B/7d.json")
    assert manifest_path(Path("/p/views/B/7d")) == Path("/p/manifests/views/B/7d.json")
    assert older_folder(ROOT, "candles", "B") == Path("/p/candles/symbol=B")


def test_symbols_are_folders_with_names_that_are_text(tmp_path: Path) -> None:
    for name in ("liquidation_levels/ZUSDT", "liquidation_levels/AUSDT", "liquidation_levels/.hidden",
                 "liquidation_levels/symbol=OLD", "liquidation_levels/a\udcffb", "candles/CUSDT"):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "liquidation_levels" / "file").touch()

    assert published_symbols(tmp_path) == ["AUSDT", "ZUSDT"]
    assert published_symbols(tmp_path, "candles") == ["CUSDT"]
    assert published_symbols(tmp_path, "nothing") == []


def test_the_folders_of_a_symbol_begin_with_its_levels(tmp_path: Path) -> None:
    mine = ["liquidation_levels/B", "candles/B", "candles/symbol=B", "manifests/candles/B",
            "manifests/liquidation_levels/B", "views/B"]  # fmt: skip
    for name in (*mine, "candles/C", "candles/symbol=C", ".withdrawn/B", "manifests/candles/C"):
        (tmp_path / name).mkdir(parents=True)

    assert published_folders(tmp_path, "B") == [tmp_path / name for name in mine]
    assert older_folders(tmp_path) == [tmp_path / "candles" / name for name in ("symbol=B", "symbol=C")]
