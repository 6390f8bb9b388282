"""Which objects an edition reads, writes and removes, on a bucket in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline.errors import LateResult, LiqError, PublishedDamaged
from liq_pipeline.published import editions, local
from liq_pipeline.published.editions import Editions, editions_at
from liq_pipeline.published.local import kept_up, up_to_date
from liq_pipeline.published.pointer import sound_edition
from liq_pipeline.settings import load_settings
from liq_pipeline.system.objects import Changed, Listed

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS, MANIFEST = "candles/B/7d.parquet", "manifests/candles/B/7d.json"


class Memory:
    """A bucket that tells what it was asked; `before_get` may change it meanwhile."""

    address = "memory"

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, Listed]] = {}
        self.asked: list[str] = []
        self.before_get: Callable[[str], None] = lambda key: None

    def list(self, prefix: str) -> dict[str, Listed]:
        self.asked.append(f"list {prefix}")
        return {key: listed for key, (_, listed) in self.kept.items() if key.startswith(prefix)}

    def get(self, key: str) -> tuple[bytes, str] | None:
        self.before_get(key)
        self.asked.append(f"get {key}")
        return (self.kept[key][0], self.kept[key][1].tag) if key in self.kept else None

    def put(self, key: str, content: bytes) -> str:
        self.kept[key] = content, Listed(len(content), f"tag of {content!r}", NOW)
        return self.kept[key][1].tag

    def swap(self, key: str, content: bytes, tag: str | None) -> str:
        if (self.kept[key][1].tag if key in self.kept else None) != tag:
            raise Changed
        return self.put(key, content)

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            del self.kept[key]

    def each(self, work: Callable[[Any], object], items: Iterable[Any]) -> None:
        for item in items:
            work(item)

    def edition(self, symbol: str = "B") -> Any:
        return sound_edition(symbol, self.kept[f"published/editions/{symbol}.json"][0], "")

    def files(self) -> set[str]:
        return {key for key in self.kept if key.startswith("published/files/")}


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def machine(memory: Memory, tmp_path: Path) -> Callable[[str], Editions]:
    return lambda name: Editions(memory, tmp_path / name)


def commit(writer: Editions, contents: dict[str, bytes], symbol: str = "B") -> None:
    writer.commit(symbol, {writer.root / path: content for path, content in contents.items()})


def here(reader: Editions) -> dict[str, bytes]:
    return {path.relative_to(reader.root).as_posix(): path.read_bytes() for path in reader.root.rglob("[!.]*")
            if path.is_file() and ".editions" not in path.parts}  # fmt: skip


def test_an_edition_names_what_is_new_and_what_stays(memory: Memory, machine) -> None:
    writer = machine("a")
    commit(writer, {ROWS: b"one", MANIFEST: b"two"})
    first = memory.edition()
    assert (first.number, first.name[:7], first.files[ROWS].size) == (1, "000001-", 3)
    assert memory.kept[first.files[ROWS].object][0] == b"one"

    commit(writer, {ROWS: b"one", MANIFEST: b"three"})
    second = memory.edition()
    assert second.number == 2
    assert second.files[ROWS] == first.files[ROWS]
    assert second.files[MANIFEST].object == f"published/files/B/{second.name}/{MANIFEST}"
    assert memory.files() == {*(file.object for file in (*first.files.values(), *second.files.values()))}

    commit(writer, {ROWS: b"one"})
    assert memory.edition() == second
    writer.withdraw("B")
    third = memory.edition()
    assert (third.number, third.files) == (3, {})
    writer.withdraw("B")
    assert memory.edition() == third


def test_a_reader_looks_at_the_list_alone_while_nothing_changes(memory: Memory, machine) -> None:
    commit(machine("a"), {ROWS: b"one", MANIFEST: b"two"})
    commit(machine("a"), {"candles/C/7d.parquet": b"c"}, "C")
    reader = machine("b")
    assert reader.fetch() == ["B", "C"]
    assert here(reader) == {ROWS: b"one", MANIFEST: b"two", "candles/C/7d.parquet": b"c"}

    memory.asked.clear()
    assert reader.fetch() == []
    assert memory.asked == ["list published/editions/"]
    assert reader.fetch(["C", "UNKNOWN"]) == []

    (reader.root / ROWS).unlink()
    (reader.root / "candles/C/7d.parquet").write_bytes(b"other size")
    assert reader.fetch(["C"]) == ["C"]
    assert not (reader.root / ROWS).exists()
    memory.asked.clear()
    assert reader.fetch(["B"]) == ["B"]
    assert [asked for asked in memory.asked if "files" in asked] == [f"get {memory.edition().files[ROWS].object}"]
    assert (reader.root / ROWS).read_bytes() == b"one"


def test_a_copy_that_nobody_noted_is_compared_by_content(memory: Memory, machine) -> None:
    commit(machine("a"), {ROWS: b"one", MANIFEST: b"two"})
    reader = machine("b")
    for path, content in ((ROWS, b"one"), (MANIFEST, b"TWO")):
        (reader.root / path).parent.mkdir(parents=True)
        (reader.root / path).write_bytes(content)

    assert reader.fetch() == ["B"]
    fetched = [asked for asked in memory.asked if "files" in asked]
    assert fetched == [f"get {memory.edition().files[MANIFEST].object}"]
    assert here(reader) == {ROWS: b"one", MANIFEST: b"two"}


def test_what_an_edition_has_no_more_leaves_the_copy_with_its_empty_folders(memory: Memory, machine) -> None:
    writer, reader = machine("a"), machine("b")
    commit(writer, {ROWS: b"one", MANIFEST: b"two", "candles/B/1d.parquet": b"d"})
    reader.fetch()
    (reader.root / "mine").touch()
    other = machine("c")
    other.fetch()
    other.withdraw("B")
    commit(other, {MANIFEST: b"two"})
    (reader.root / ROWS).unlink()

    assert reader.fetch() == ["B"]

    assert here(reader) == {MANIFEST: b"two", "mine": b""}
    assert (reader.root / "candles").is_dir()
    assert not (reader.root / "candles" / "B").exists()


def test_an_edition_that_was_replaced_while_it_was_fetched_is_not_put_in_place(memory: Memory, machine) -> None:
    writer, reader = machine("a"), machine("b")
    commit(writer, {ROWS: b"one"})
    newer = iter([b"two", b"three"])

    def replaced(key: str) -> None:
        if "files" in key and (content := next(newer, None)):
            commit(writer, {ROWS: content})

    memory.before_get = replaced
    assert reader.fetch() == ["B"]
    assert here(reader) == {ROWS: b"three"}


def test_a_file_that_is_missing_or_another_is_said_and_nothing_changes(memory: Memory, machine) -> None:
    commit(machine("a"), {ROWS: b"one", MANIFEST: b"two"})
    file = memory.edition().files[ROWS].object
    for damage in (lambda: memory.kept.pop(file), lambda: memory.put(file, b"eno")):
        damage()
        with pytest.raises(PublishedDamaged, match=r"edition 000001.* names are missing in memory"):
            machine("b").fetch()
        assert here(machine("b")) == {}


def test_a_symbol_that_nobody_published_is_begun_with_nothing(memory: Memory, machine) -> None:
    writer = machine("a")
    writer.begin("B")
    assert writer.name_of("B") == ""
    other = machine("b")
    commit(other, {ROWS: b"theirs"})
    with pytest.raises(LateResult, match=r"edition 1 is refused: edition 000001.*edition 0 to be the newest still"):
        commit(writer, {ROWS: b"late"})
    writer.end("B")
    writer.end("B")
    writer.fetch()
    commit(writer, {ROWS: b"next"})
    assert memory.edition().number == 2
    assert writer.name_of("B") == memory.edition().name


def test_files_of_a_validation_go_along_and_those_that_are_gone_do_not(memory: Memory, machine) -> None:
    writer = machine("a")
    report = writer.root / "validation" / "B" / "src" / "validation.json"
    report.parent.mkdir(parents=True)
    report.write_bytes(b"report")
    (report.parent / ".draft").write_bytes(b"no")
    (writer.root / "candles" / "B").mkdir(parents=True)
    (writer.root / "candles" / "B" / "1d.parquet").write_bytes(b"older")

    commit(writer, {ROWS: b"one"})  # the first edition takes along what was published before there was a bucket
    assert set(memory.edition().files) == {ROWS, "candles/B/1d.parquet", "validation/B/src/validation.json"}
    (writer.root / "candles" / "B" / "30d.parquet").write_bytes(b"not handed over")
    report.rename(report.with_name("validation.md"))
    commit(writer, {ROWS: b"two"})
    assert set(memory.edition().files) == {ROWS, "candles/B/1d.parquet", "validation/B/src/validation.md"}


def test_each_eighth_edition_removes_what_none_names_for_more_than_an_hour(memory: Memory, machine) -> None:
    """Of the files of seven editions one was written just an hour before the newest, and one a second earlier."""
    writer = machine("a")
    for number in range(1, 8):
        commit(writer, {ROWS: b"%d" % number})
        key = memory.edition().files[ROWS].object
        age = {5: timedelta(hours=1), 6: timedelta(minutes=1)}.get(number, timedelta(hours=1, seconds=1))
        content, listed = memory.kept[key]
        memory.kept[key] = content, replace(listed, modified=NOW - age)
    assert len(memory.files()) == 7
    commit(writer, {ROWS: b"8"})
    assert sorted(memory.kept[key][0] for key in memory.files()) == [b"5", b"6", b"8"]


def test_only_names_that_a_symbol_can_have_are_listed(memory: Memory, machine) -> None:
    for name in ("龙USDT", "B", "A_260925", "../x", ".hidden", "a b", "_x"):
        memory.put(f"published/editions/{name}.json", b"x")
    found = machine("a").symbols()
    assert list(found) == ["A_260925", "B", "龙USDT"]
    assert found["B"] == memory.kept["published/editions/B.json"][1].tag


def test_without_a_bucket_nothing_is_asked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(editions, "objects_at", lambda address: f"at {address}")
    assert editions_at("", tmp_path) is None
    assert editions_at("s3://x", tmp_path).objects == "at s3://x"
    settings = load_settings(data_dir=tmp_path)
    monkeypatch.setattr(local, "_editions", lambda _: pytest.fail("asked"))
    assert up_to_date(settings, ["B"]) == tmp_path / "published"
    with kept_up(settings) as folder:
        assert folder == tmp_path / "published"


def test_a_store_that_fails_is_said_once_and_that_it_answers_again_once(caplog) -> None:
    outcomes = iter([["B"], LiqError("gone"), OSError("gone too"), [], ["C", "D"], LiqError("again")])
    done = threading.Event()

    class Store:
        def fetch(self) -> list[str]:
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                if str(outcome).startswith("again"):
                    done.set()
                raise outcome
            return outcome

    with caplog.at_level(logging.INFO, "liq.published"):
        local._keep_up(Store(), done, 0.0)

    assert [record.getMessage() for record in caplog.records] == [
        "new editions: B", "published files stay as they are: gone.", "the object store answers again",
        "new editions: C, D", "published files stay as they are: again.",
    ]  # fmt: skip
