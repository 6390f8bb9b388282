"""A journal that is damaged, and a disk that is full: nothing but the journal is touched."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from liq_pipeline.errors import StorageFailed
from liq_pipeline.published.journal import DAMAGED, JOURNAL
from liq_pipeline.server.store import Store
from liq_pipeline_tests.published.editions import (
    LOOKS,
    Killed,
    look_by_store,
    of_symbol,
    publish,
    visible,
)

pytestmark = pytest.mark.whole_run

GOOD = "manifests/liquidation_levels/BTCUSDT/1d.json"
STAGED = "manifests/liquidation_levels/BTCUSDT/.1d.json.tmp"


def _journal(target: object = GOOD, temporary: object = STAGED, version: object = 1, **more: object) -> bytes:
    entry = {"temporary": temporary, "target": target, "size": 7} | more
    return json.dumps({"version": version, "files": [entry]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"not JSON", b"\xff\xfe", b"null", b"[]", b"{}", b"[" * 200_000, b'{"version": NaN, "files": []}',
        b'{"version": 1}', b'{"files": []}', b'{"version": 1, "files": {}}', b'{"version": 1, "files": [{}]}',
        b'{"version": 1, "files": [{"target": "a", "temporary": ".a.tmp"}]}', b" " * 10_000_001,
        _journal(version=2), _journal(version="1"), _journal(version=True), _journal()[:-5],
        _journal(size=8), _journal(size="7"), _journal(size=-1), _journal(size=10**30), _journal(target=None),
        _journal(target="../outside/evil", temporary="../outside/.evil.tmp"),
        _journal(target="a/../../outside/evil", temporary="a/../../outside/.evil.tmp"),
        _journal(target="{outside}/evil", temporary="{outside}/.evil.tmp"),
        _journal(target="link/evil", temporary="link/.evil.tmp"),
        _journal(temporary="../outside/.evil.tmp"), _journal(temporary="{outside}/.evil.tmp"),
        _journal(temporary=GOOD), _journal(target=STAGED), _journal(target=""), _journal(target="."),
        _journal(target=".lock", temporary="..lock.tmp"),
        _journal(target=".withdrawn/a", temporary=".withdrawn/.a.tmp"),
        _journal(target="a\0b", temporary=".a\0b.tmp"), _journal(target="a" * 300, temporary=f".{'a' * 300}.tmp"),
        _journal(target="liquidation_levels", temporary=".liquidation_levels.tmp"),
        _journal(target=f"{GOOD}/a", temporary=f"{GOOD}/.a.tmp"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("who", LOOKS)
def test_a_damaged_journal_is_set_aside_and_nothing_else_is_touched(
    content: bytes, who: str, tmp_path: Path, caplog
) -> None:
    folder, outside = tmp_path / "published", tmp_path / "outside"
    publish(folder, 100.0)
    outside.mkdir()
    (outside / ".evil.tmp").write_bytes(b"7 bytes")
    (folder / "link").symlink_to(outside)
    (folder / STAGED).write_bytes(b"7 bytes")
    content = content.replace(b"{outside}", os.fsencode(outside))
    (folder / JOURNAL).write_bytes(content)
    before = visible(folder)

    with caplog.at_level(logging.WARNING, "liq.published"):
        LOOKS[who](folder)

    assert of_symbol(visible(folder)) == of_symbol(before)
    assert [path.name for path in outside.iterdir()] == [".evil.tmp"]
    assert (folder / DAMAGED).read_bytes() == content
    assert not (folder / JOURNAL).exists()
    assert "cannot be used" in caplog.text
    assert "Traceback" not in caplog.text
    publish(folder, 200.0)
    assert Store(folder).read(("liquidation_levels",), "BTCUSDT", "1d")[0].manifest["current_price"] == 200.0


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda place: place.symlink_to("nowhere")])
def test_a_journal_that_is_no_file_is_set_aside(make: Callable[[Path], None], tmp_path: Path) -> None:
    publish(tmp_path, 100.0)
    before = visible(tmp_path)
    make(tmp_path / JOURNAL)

    look_by_store(tmp_path)

    assert visible(tmp_path) == before
    assert not os.path.lexists(tmp_path / JOURNAL)


def test_a_whole_journal_is_what_the_damaged_ones_differ_from(tmp_path: Path) -> None:
    publish(tmp_path, 100.0)
    (tmp_path / STAGED).write_bytes(b"7 bytes")
    (tmp_path / JOURNAL).write_bytes(_journal())

    look_by_store(tmp_path)

    assert (tmp_path / GOOD).read_bytes() == b"7 bytes"
    assert not (tmp_path / DAMAGED).exists()


def _problem_of(do: Callable[[], None]) -> str:
    try:
        do()
    except StorageFailed as error:
        return error.problem
    return ""


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_a_disk_that_is_full_at_any_flush_leaves_the_old_edition_or_one_to_finish(
    for_good: bool, tmp_path: Path, killed: dict[str, Killed], monkeypatch
) -> None:
    old, new = killed["levels"].old, killed["levels"].new
    fsync, calls = os.fsync, [0]
    number, refused, before_it_counts = 0, True, 0

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == number or (for_good and calls[0] > number):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    while refused:
        number += 1
        folder = tmp_path / "full" / str(number)
        publish(folder, 100.0)
        calls[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            problem = _problem_of(lambda place=folder: publish(place, 200.0))
        assert "the disk is full" in problem or not problem
        refused = bool(problem)
        found = visible(folder)
        if refused and found == old:
            before_it_counts += 1
            assert not (folder / JOURNAL).exists()
            if not for_good:
                assert [path.name for path in folder.rglob(".*")] == [".lock"]
        else:
            assert found == new
        look_by_store(folder)
        assert visible(folder) == found
    assert before_it_counts > len(new)
    assert number - 1 > before_it_counts
