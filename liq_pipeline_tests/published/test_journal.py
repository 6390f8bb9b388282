"""A publish that is killed, at whatever call, leaves one edition to whoever looks next: all old files, or all new."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from liq_pipeline.published.journal import JOURNAL, finish_interrupted
from liq_pipeline.published.layout import published_folders
from liq_pipeline.published.publish import Publisher
from liq_pipeline.published.status import read_status
from liq_pipeline.server.store import MixedEdition, Store
from liq_pipeline_tests.published.editions import (
    AS_OF,
    LOOKS,
    TIMEFRAMES,
    WRITERS,
    Files,
    Killed,
    killed_at_every_call,
    look_by_store,
    of_symbol,
    publish,
    visible,
)

NOBODY = 65534


def _check_manifests(files: Files) -> None:
    for name, content in files.items():
        if name.startswith("manifests/"):
            told, place = json.loads(content)["sha256"], name.removeprefix("manifests/").removesuffix(".json")
            told = {f"{place}.parquet": told} if isinstance(told, str) else {f"{place}/{n}": v for n, v in told.items()}
            assert told == {file: hashlib.sha256(files[file]).hexdigest() for file in told}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("who", LOOKS)
def test_after_a_kill_at_any_call_whoever_looks_next_finds_one_edition(
    kind: str, who: str, killed: dict[str, Killed], tmp_path: Path
) -> None:
    old, new = killed[kind].old, killed[kind].new
    mixed, seen = 0, []
    for folder in killed[kind].folders(tmp_path):
        found = visible(folder)
        assert found.keys() == old.keys()
        assert all(content in (old[name], new[name]) for name, content in found.items()), "a torn file"
        mixed += found not in (old, new)

        LOOKS[who](folder)

        found = of_symbol(visible(folder))
        assert found in (old, new), f"killed before call {folder.name}: files of two editions"
        _check_manifests(found)
        assert not (folder / JOURNAL).exists()
        seen.append(found == new)
    assert mixed >= len(of_symbol(new)) // 2, "the kills between renames are what this is about"
    assert seen == sorted(seen), "once it counts, the new edition stays"
    assert seen[0] is False
    assert seen[-1] is True
    print(f"{kind}, {who}: {len(seen) - 1} kills, {mixed} of them left two editions side by side")


def test_a_first_publish_that_was_killed_gives_all_files_or_none(tmp_path: Path, killed: dict[str, Killed]) -> None:
    (tmp_path / "nothing").mkdir()

    folders = killed_at_every_call(tmp_path / "nothing", tmp_path / "killed", "levels")

    for folder in folders:
        look_by_store(folder)
        assert visible(folder) in ({}, killed["levels"].new)
    print(f"first publish: {len(folders) - 1} kills")


def test_whoever_finishes_may_be_killed_too(torn: Path, tmp_path: Path, killed: dict[str, Killed]) -> None:
    folders = killed_at_every_call(torn, tmp_path / "again", "finish")

    assert len(folders) > len(killed["levels"].new)
    for folder in folders:
        finish_interrupted(folder)
        assert visible(folder) == killed["levels"].new
    print(f"finishing: {len(folders) - 1} kills")


def test_the_next_publish_leaves_no_temporary_file(tmp_path: Path, killed: dict[str, Killed]) -> None:
    for folder in killed["levels"].folders(tmp_path):
        publish(folder, 100.0)
        assert [path.name for path in folder.rglob(".*")] == [".lock"]


def test_a_withdrawn_symbol_does_not_come_back(torn: Path) -> None:
    Publisher(folder=str(torn)).withdraw("BTCUSDT")
    look_by_store(torn)

    assert not published_folders(torn, "BTCUSDT")
    assert not (torn / JOURNAL).exists()


def test_the_service_answers_with_the_new_edition(torn: Path) -> None:
    store = Store(torn)

    prices = [store.read(("liquidation_levels",), "BTCUSDT", timeframe)[0] for timeframe in TIMEFRAMES]

    assert [edition.manifest["current_price"] for edition in prices] == [200.0] * 3
    assert [edition.rows["current_price"].to_pylist() for edition in prices] == [[200.0]] * 3


def test_a_service_that_kept_the_old_edition_does_not_serve_it_beside_the_new(torn: Path) -> None:
    store, place = Store(torn), (("liquidation_levels",), "BTCUSDT", "30d")
    journal = (torn / JOURNAL).rename(torn / "later")
    assert store.read(*place)[0].manifest["current_price"] == 100.0
    assert store.kept(*place)

    journal.rename(torn / JOURNAL)

    assert store.kept(*place) is None
    assert store.read(*place)[0].manifest["current_price"] == 200.0


def test_a_journal_whose_writer_is_at_work_is_left_alone(torn: Path) -> None:
    before, store = visible(torn), Store(torn)

    with FileLock(torn / ".lock"):
        read_status(torn, AS_OF)
        with pytest.raises(MixedEdition):
            store.read(("liquidation_levels",), "BTCUSDT", "1d")
        assert visible(torn) == before
        assert (torn / JOURNAL).exists()

    assert store.read(("liquidation_levels",), "BTCUSDT", "1d")[0].manifest["current_price"] == 200.0


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Take this process the right to write below a folder, root as well."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for place in places:
            place.chmod(0o755 if place.is_dir() else 0o644)


def test_who_may_not_write_is_told_that_a_publish_is_not_finished(torn: Path) -> None:
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are closed to other users
        Path(open_to_all).chmod(0o755)
        folder = torn.rename(Path(open_to_all) / "published")
        before, store = visible(folder), Store(folder)
        with _read_only(folder):
            with pytest.raises(PermissionError):
                (folder / "probe").touch()
            with pytest.raises(MixedEdition, match=r"an interrupted publish is not finished yet: .* does not match"):
                store.read(("liquidation_levels",), "BTCUSDT", "1d")
            whole = store.read(("liquidation_levels",), "BTCUSDT", "30d")
            told = read_status(folder, AS_OF)["BTCUSDT"]
        assert whole[0].manifest["current_price"] == 100.0
        assert "an interrupted publish is not finished yet: liquidation_levels BTCUSDT 1d" in told["notice"]
        assert list(told["timeframes"]) == ["7d", "30d"]
        assert visible(folder) == before

        assert store.read(("liquidation_levels",), "BTCUSDT", "1d")[0].manifest["current_price"] == 200.0


def test_a_second_publish_of_the_same_edition_writes_nothing(tmp_path: Path, monkeypatch) -> None:
    publish(tmp_path, 100.0)
    before = {path: path.stat() for path in [tmp_path, *tmp_path.rglob("*")]}
    renamed: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, to: renamed.append(str(to)))

    publish(tmp_path, 100.0)

    assert not renamed
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if path.name != ".lock":
            assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before[path].st_mtime_ns, before[path].st_ino)


def test_without_a_journal_a_look_costs_one_stat(tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []
    stat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda place: (asked.append(str(place)), stat(place))[1])
    monkeypatch.setattr(os, "open", None)

    finish_interrupted(tmp_path)

    assert asked == [str(tmp_path / JOURNAL)]
