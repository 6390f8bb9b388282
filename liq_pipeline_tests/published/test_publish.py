"""Published files are replaced whole, and left alone when nothing changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from liq_pipeline.published.layout import SCHEMA_VERSION, dataset_path, manifest_path
from liq_pipeline.published.manifests import MAX_BYTES, read_intact_manifest, read_manifest
from liq_pipeline.published.publish import PublishedDataset, Publisher, parquet_bytes, rounded
from liq_pipeline.published.schemas import LEVELS_SCHEMA, OI_DELTA_SCHEMA
from liq_pipeline.warehouse.schema import table_columns

AS_OF = "2026-06-01T00:00:00+00:00"
OLD, NEW = pa.table({"x": [1, 2]}), pa.table({"x": [1, 2, 3]})


def _datasets(rows: pa.Table) -> list[PublishedDataset]:
    return [PublishedDataset("levels", "BTCUSDT", rows, {"as_of": AS_OF}, timeframe) for timeframe in ("1d", "7d")]


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(folder=str(tmp_path / "published"), source_label="simulated", code_version="1.2.3")


def test_the_layout_is_plain_so_that_any_reader_opens_it(tmp_path: Path) -> None:
    assert dataset_path(Path("p"), "levels", "BTCUSDT", "7d") == Path("p/levels/BTCUSDT/7d.parquet")
    assert dataset_path(Path("p"), "oi_delta", "BTCUSDT") == Path("p/oi_delta/BTCUSDT/oi_delta.parquet")


def test_rows_come_back_as_they_were_published(publisher: Publisher) -> None:
    path, _ = publisher.publish(_datasets(OLD))

    assert pq.read_table(path, partitioning=None).equals(OLD)


def test_the_manifest_tells_what_the_file_is(publisher: Publisher) -> None:
    path, _ = publisher.publish(_datasets(OLD))

    assert read_manifest(path) == {
        "schema_version": SCHEMA_VERSION,
        "dataset": "levels",
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "timeframe": "1d",
        "row_count": 2,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "source_label": "simulated",
        "code_version": "1.2.3",
        "as_of": AS_OF,
    }


def test_where_nothing_is_published_there_is_no_manifest(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "levels" / "BTCUSDT" / "7d.parquet") is None


def test_a_second_publication_of_the_same_rows_touches_nothing(publisher: Publisher, bytes_below) -> None:
    paths = publisher.publish(_datasets(OLD))
    files = [*paths, *(manifest_path(path) for path in paths)]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    publisher.publish(_datasets(OLD))

    assert {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files} == before


def test_no_temporary_file_stays(publisher: Publisher) -> None:
    publisher.publish(_datasets(OLD))
    publisher.publish(_datasets(NEW))

    left = [path.name for path in Path(publisher.folder).rglob("*") if path.is_file()]
    assert set(left) == {"1d.parquet", "1d.json", "7d.parquet", "7d.json", ".lock"}


@pytest.mark.parametrize("renames", [0, 1, 2, 3, 4])
def test_a_kill_leaves_whole_files_and_the_next_run_finishes(renames: int, publisher: Publisher, bytes_below) -> None:
    """Killed after so many of the renames, the journal's and four: before the second, all files are the good ones."""
    publisher.publish(_datasets(OLD))
    before = bytes_below(Path(publisher.folder))
    code = (
        "import os\nfrom pathlib import Path\nimport pyarrow as pa\n"
        "from liq_pipeline.published.publish import PublishedDataset, Publisher\n"
        f"left, replace = [{renames}], Path.replace\n"
        "def dying(self, target):\n"
        "    if not left[0]: os.kill(os.getpid(), 9)\n"
        "    left[0] -= 1\n"
        "    return replace(self, target)\n"
        "Path.replace = dying\n"
        "rows = pa.table({'x': [1, 2, 3]})\n"
        f"Publisher(folder={publisher.folder!r}, source_label='simulated', code_version='1.2.3').publish("
        f"[PublishedDataset('levels', 'BTCUSDT', rows, {{'as_of': {AS_OF!r}}}, name) for name in ('1d', '7d')])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -9

    after = bytes_below(Path(publisher.folder))
    assert sum(after[name] != before[name] for name in before) == max(0, renames - 1)
    for name in after.keys() & before.keys():
        if name.endswith(".parquet"):
            assert pq.read_table(Path(publisher.folder) / name, partitioning=None).num_rows in (2, 3)
        else:
            json.loads(after[name])

    publisher.publish(_datasets(NEW))
    for timeframe in ("1d", "7d"):
        path = dataset_path(Path(publisher.folder), "levels", "BTCUSDT", timeframe)
        assert pq.read_table(path, partitioning=None).equals(NEW)
        manifest = read_manifest(path)
        assert manifest
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not list(Path(publisher.folder).rglob("*.tmp"))


def test_a_file_that_cannot_be_staged_leaves_all_files_as_they_were(publisher: Publisher, bytes_below) -> None:
    publisher.publish(_datasets(OLD))
    before = bytes_below(Path(publisher.folder))
    unwritable = PublishedDataset("levels", "BTCUSDT", NEW, {"as_of": object()}, "7d")  # its manifest is not JSON

    with pytest.raises(TypeError):
        publisher.publish([*_datasets(NEW)[:1], unwritable])

    assert bytes_below(Path(publisher.folder)) == before


def test_files_are_flushed_before_they_get_their_names(publisher: Publisher, monkeypatch) -> None:
    flushed: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd))[1]
    )
    renamed: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (renamed.append((str(to), str(self) in flushed)), replace(self, to))[1]
    )

    publisher.publish(_datasets(OLD))

    assert len(renamed) == 4 + 1  # the journal's
    assert all(was_flushed for _, was_flushed in renamed)


@pytest.mark.parametrize(
    ("table", "contract"), [("oi_delta", OI_DELTA_SCHEMA), ("liquidation_levels_7d", LEVELS_SCHEMA)]
)
def test_the_published_columns_are_those_of_the_table_in_its_order(table: str, contract: pa.Schema) -> None:
    assert contract.names == [column.name for column in table_columns()[table]]


def test_what_a_run_publishes_has_the_schema_of_the_contract(published: Path) -> None:
    levels = dataset_path(published, "liquidation_levels", "BTCUSDT", "7d")
    deltas = dataset_path(published, "oi_delta", "BTCUSDT")

    assert pq.read_schema(levels).equals(LEVELS_SCHEMA)
    assert pq.read_schema(deltas).equals(OI_DELTA_SCHEMA)


def test_a_manifest_of_the_largest_size_is_read_and_one_byte_more_is_damage(published: Path) -> None:
    path = dataset_path(published, "liquidation_levels", "BTCUSDT", "7d")
    manifest = manifest_path(path)
    whole = manifest.read_bytes()

    manifest.write_bytes(whole + b" " * (MAX_BYTES - len(whole)))
    assert read_intact_manifest(path)
    manifest.write_bytes(whole + b" " * (MAX_BYTES + 1 - len(whole)))
    assert read_intact_manifest(path) is None


@pytest.mark.parametrize(("mantissa", "parts"), [(13, 2**14), (4, 2**5), (22, 2**23)])
def test_rounded_numbers_are_as_near_as_so_many_bits_allow_and_hold_no_more(mantissa: int, parts: int) -> None:
    given = np.random.default_rng(1).lognormal(3, 9, 2000) * np.where(np.arange(2000) % 2, 1, -1)
    found = rounded(given, mantissa)

    assert found.dtype == np.float32
    off = np.abs(found.astype(float) / given - 1)
    assert off.max() <= 1 / parts + 2**-23
    assert off.max() > 0.9 / parts  # it was rounded to the nearest, and not more finely
    assert not (found.view(np.uint32) & np.uint32((1 << (23 - mantissa)) - 1)).any()
    assert np.array_equal(rounded(given), rounded(given, 13))
    exact = np.array([0.0, 1.0, -1.5, 2.0**40])
    assert rounded(exact, mantissa).tolist() == exact.tolist()


def test_each_kind_of_column_is_encoded_in_its_way() -> None:
    """Instants as differences, prices plain, estimates byte by byte, what repeats by a dictionary."""
    rows = pa.table(
        {
            "ts": pa.array([1, 2, 3], pa.timestamp("us", "UTC")), "close": [1.5, 2.5, 3.5],
            "leverage": [5.0, 5.0, 10.0], "estimate": pa.array([0.1, 0.2, 0.3], pa.float32()),
            "side": ["long", "short", "long"], "count": [1, 2, 3],
        }
    )  # fmt: skip
    group = pq.read_metadata(pa.BufferReader(parquet_bytes(rows))).row_group(0)
    columns = {rows.column_names[number]: group.column(number) for number in range(rows.num_columns)}

    assert {column.compression for column in columns.values()} == {"ZSTD"}
    found = {name: {"RLE", *column.encodings} - {"RLE"} for name, column in columns.items()}
    assert found["ts"] == {"DELTA_BINARY_PACKED"}
    assert found["close"] == {"PLAIN"}
    assert found["estimate"] == {"BYTE_STREAM_SPLIT"}
    assert all("RLE_DICTIONARY" in found[name] for name in ("leverage", "side", "count"))


def test_rows_may_be_bytes_or_a_file_that_was_made_before(tmp_path: Path) -> None:
    made = parquet_bytes(NEW)
    (tmp_path / "file").write_bytes(made)
    for rows in (NEW, made, tmp_path / "file"):
        assert PublishedDataset("levels", "B", rows, {}).content() == (made, 3)


def test_a_kept_file_is_never_written_again_and_a_day_is_no_timeframe(publisher: Publisher) -> None:
    day = PublishedDataset("levels_history", "B", OLD, {"as_of": AS_OF, "ü": 1}, "2026-06-01", is_kept=True)
    (path,) = publisher.publish([day])
    text = manifest_path(path).read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema_version": 3,\n')
    assert text.endswith('  "ü": 1\n}\n')
    assert "timeframe" not in json.loads(text)

    publisher.publish([replace(day, rows=NEW)])
    assert pq.read_table(path, partitioning=None).num_rows == 2
    publisher.publish([replace(day, rows=NEW, is_kept=False)])
    assert pq.read_table(path, partitioning=None).num_rows == 3
    with pytest.raises(ValidationError, match="frozen"):
        publisher.folder = "x"  # type: ignore[misc]
