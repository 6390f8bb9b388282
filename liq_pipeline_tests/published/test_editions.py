from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from liq_pipeline.errors import LateResult, PublishedDamaged
from liq_pipeline.published.editions import STATE, Editions
from liq_pipeline.published.layout import dataset_path, published_symbols
from liq_pipeline.published.pointer import FILES, POINTERS
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline_tests.cluster.bucket import Bucket

BytesBelow = Callable[[Path], dict[str, bytes]]


def levels(number: int, symbol: str = "BTCUSDT", timeframes: tuple[str, ...] = ("1d", "7d")) -> list[PublishedDataset]:
    """Return datasets of an edition that can be told from another one's."""
    rows = pa.table({"number": [number]})
    as_of = f"2026-06-{number + 1:02d}T00:00:00Z"
    return [PublishedDataset("liquidation_levels", symbol, rows, {"as_of": as_of}, one) for one in timeframes]


def publisher(bucket: Bucket, folder: Path) -> Publisher:
    return Publisher(folder=str(folder), storage=bucket.address)


def test_another_machine_reads_what_was_published(bucket: Bucket, tmp_path: Path, bytes_below: BytesBelow) -> None:
    publisher(bucket, tmp_path / "a").publish(levels(1))

    reader = Editions(bucket.objects(), tmp_path / "b")
    assert reader.fetch() == ["BTCUSDT"]
    assert reader.fetch() == []
    assert published_symbols(tmp_path / "b") == ["BTCUSDT"]
    assert bytes_below(tmp_path / "b") == bytes_below(tmp_path / "a") | {
        f"{STATE}/BTCUSDT.json": (tmp_path / "b" / STATE / "BTCUSDT.json").read_bytes()
    }


def test_what_another_process_of_the_machine_fetched_meanwhile_is_no_change_of_this_one(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = publisher(bucket, tmp_path / "a")
    writer.publish(levels(1))
    reader, other = (Editions(bucket.objects(), tmp_path / "b") for _ in range(2))
    reader.fetch()
    listed = reader.symbols() | {"ETHUSDT": "the tag of a pointer that is gone"}
    writer.publish(levels(2))

    assert other.fetch() == ["BTCUSDT"]
    monkeypatch.setattr(reader, "symbols", lambda: listed)
    assert reader.fetch() == []


def test_only_what_changed_is_written_and_fetched(bucket: Bucket, tmp_path: Path) -> None:
    writer = publisher(bucket, tmp_path / "a")
    writer.publish(levels(1))
    reader = Editions(bucket.objects(), tmp_path / "b")
    reader.fetch()
    writer.publish(levels(2, timeframes=("1d",)))

    kept = dataset_path(tmp_path / "b", "liquidation_levels", "BTCUSDT", "7d")
    before = kept.stat().st_mtime_ns
    assert reader.fetch() == ["BTCUSDT"]
    assert kept.stat().st_mtime_ns == before
    assert len(bucket.objects().list(FILES)) == 4 + 2


def test_publishing_the_same_again_makes_no_edition(bucket: Bucket, tmp_path: Path) -> None:
    writer = publisher(bucket, tmp_path / "a")
    writer.publish(levels(1))
    before = bucket.objects().get(f"{POINTERS}BTCUSDT.json")
    writer.publish(levels(1))

    assert bucket.objects().get(f"{POINTERS}BTCUSDT.json") == before


def test_a_late_result_is_refused_and_changes_nothing(bucket: Bucket, tmp_path: Path, bytes_below: BytesBelow) -> None:
    """A worker was cut off from the rest; meanwhile another one did its work."""
    late, other = publisher(bucket, tmp_path / "late"), publisher(bucket, tmp_path / "other")
    late.publish(levels(1))
    with late.following("BTCUSDT"):
        with other.following("BTCUSDT"):
            other.publish(levels(3))
        before = bytes_below(tmp_path / "late")
        Editions(bucket.objects(), tmp_path / "late")  # whatever a reader of that machine fetches changes nothing
        with pytest.raises(LateResult, match="edition 2 is refused: edition 000002"):
            late.publish(levels(2))
        assert bytes_below(tmp_path / "late") == before

    reader = Editions(bucket.objects(), tmp_path / "reader")
    reader.fetch()
    assert bytes_below(tmp_path / "reader")["liquidation_levels/BTCUSDT/1d.parquet"] == levels(3)[0].content()[0]


def test_a_reader_of_the_late_machine_does_not_make_its_result_good(bucket: Bucket, tmp_path: Path) -> None:
    late = publisher(bucket, tmp_path / "late")
    with late.following("BTCUSDT"):
        publisher(bucket, tmp_path / "other").publish(levels(3))
        Editions(bucket.objects(), tmp_path / "late").fetch()
        with pytest.raises(LateResult):
            late.publish(levels(2))


def test_of_two_who_begin_together_one_publishes(bucket: Bucket, tmp_path: Path) -> None:
    writers = [publisher(bucket, tmp_path / name) for name in "ab"]
    both, told = threading.Barrier(2), []

    def work(number: int) -> None:
        with writers[number].following("BTCUSDT"):
            both.wait()
            try:
                writers[number].publish(levels(number + 1))
                told.append("published")
            except LateResult:
                told.append("refused")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["published", "refused"]


def test_no_reader_sees_half_an_edition(bucket: Bucket, tmp_path: Path) -> None:
    done, seen = threading.Event(), []
    publisher(bucket, tmp_path / "a").publish(levels(0))

    def look() -> None:
        reader = Editions(bucket.objects(), tmp_path / "b")
        while not done.is_set():
            reader.fetch()
            paths = [dataset_path(tmp_path / "b", "liquidation_levels", "BTCUSDT", one) for one in ("1d", "7d")]
            seen.append({pa.parquet.read_table(path, partitioning=None)["number"][0].as_py() for path in paths})

    watching = threading.Thread(target=look)
    watching.start()
    writer = publisher(bucket, tmp_path / "a")
    for number in range(1, 15):
        writer.publish(levels(number))
    done.set()
    watching.join()

    assert all(len(numbers) == 1 for numbers in seen)
    assert len({min(numbers) for numbers in seen}) > 1


def test_a_writer_killed_before_the_last_object_changes_nothing(bucket: Bucket, tmp_path: Path) -> None:
    publisher(bucket, tmp_path / "a").publish(levels(1))
    killed = Editions(bucket.objects(), tmp_path / "killed")
    killed.begin("BTCUSDT")
    killed.objects.swap = lambda *_: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        killed.commit("BTCUSDT", {tmp_path / "killed" / "liquidation_levels" / "BTCUSDT" / "1d.parquet": b"half"})

    reader = Editions(bucket.objects(), tmp_path / "reader")
    reader.fetch()
    assert b"half" not in (tmp_path / "reader" / "liquidation_levels" / "BTCUSDT" / "1d.parquet").read_bytes()
    publisher(bucket, tmp_path / "killed").publish(levels(2))


def test_files_that_no_edition_names_are_removed_after_an_hour(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    monkeypatch.setattr("liq_pipeline.published.editions._KEPT", timedelta(seconds=-1))
    writer = publisher(bucket, tmp_path / "a")
    for number in range(8):
        writer.publish(levels(number))

    named = json.loads(bucket.objects().get(f"{POINTERS}BTCUSDT.json")[0])["files"]  # type: ignore[index]
    assert sorted(bucket.objects().list(FILES)) == sorted(file["object"] for file in named.values())


def test_what_was_withdrawn_leaves_every_machine(bucket: Bucket, tmp_path: Path) -> None:
    writer = publisher(bucket, tmp_path / "a")
    writer.publish(levels(1))
    writer.publish(levels(1, "ETHUSDT"))
    reader = Editions(bucket.objects(), tmp_path / "b")
    reader.fetch()
    writer.withdraw("BTCUSDT")

    assert reader.fetch() == ["BTCUSDT"]
    assert published_symbols(tmp_path / "b") == published_symbols(tmp_path / "a") == ["ETHUSDT"]
    writer.publish(levels(5))
    assert reader.fetch() == ["BTCUSDT"]
    assert published_symbols(tmp_path / "b") == ["BTCUSDT", "ETHUSDT"]


def test_a_local_copy_that_lost_a_file_is_completed(bucket: Bucket, tmp_path: Path, bytes_below: BytesBelow) -> None:
    publisher(bucket, tmp_path / "a").publish(levels(1))
    reader = Editions(bucket.objects(), tmp_path / "b")
    reader.fetch()
    whole = bytes_below(tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "liquidation_levels")

    assert reader.fetch() == ["BTCUSDT"]
    assert bytes_below(tmp_path / "b") == whole


def test_an_object_that_is_not_what_its_edition_says_is_never_read(bucket: Bucket, tmp_path: Path) -> None:
    publisher(bucket, tmp_path / "a").publish(levels(1))
    objects = bucket.objects()
    objects.put(next(iter(objects.list(FILES))), b"other bytes")

    with pytest.raises(PublishedDamaged, match="not what it says"):
        Editions(objects, tmp_path / "b").fetch()
    assert not (tmp_path / "b" / "liquidation_levels").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"../../etc/cron.d/x": "published/files/BTCUSDT/1/x"},
        {"/etc/x": "published/files/BTCUSDT/1/x"},
        {".editions/x": "published/files/BTCUSDT/1/x"},
        {"liquidation_levels/BTCUSDT/1d.parquet": "raw/shared/brackets.csv"},
    ],
)
def test_a_pointer_cannot_lead_out_of_the_folder(bucket: Bucket, tmp_path: Path, files: dict[str, str]) -> None:
    entries = {path: {"object": key, "sha256": "0" * 64, "size": 1} for path, key in files.items()}
    pointer = {"version": 1, "symbol": "BTCUSDT", "number": 1, "name": "1", "files": entries}
    bucket.objects().put(f"{POINTERS}BTCUSDT.json", json.dumps(pointer).encode())

    with pytest.raises(PublishedDamaged, match="is no place"):
        Editions(bucket.objects(), tmp_path / "b").fetch()


def test_what_was_published_before_there_was_a_bucket_goes_there_with_the_first_edition(
    bucket: Bucket, tmp_path: Path
) -> None:
    Publisher(folder=str(tmp_path / "a")).publish(levels(1))
    publisher(bucket, tmp_path / "a").publish(levels(2, timeframes=("1d",)))

    reader = Editions(bucket.objects(), tmp_path / "b")
    reader.fetch()
    assert dataset_path(tmp_path / "b", "liquidation_levels", "BTCUSDT", "7d").exists()
