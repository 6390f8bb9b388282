"""A publish that is killed, at whatever call, leaves one edition to whoever looks next: all old files, or all new."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock

from liq_pipeline.errors import StorageFailed
from liq_pipeline.published.journal import DAMAGED, JOURNAL, finish_interrupted
from liq_pipeline.published.layout import published_folders
from liq_pipeline.published.publish import PublishedDataset, Publisher, Views
from liq_pipeline.published.schemas import LEVELS_SCHEMA
from liq_pipeline.published.status import read_status
from liq_pipeline.server.store import MixedEdition, Store

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
TIMEFRAMES = ("1d", "7d", "30d")
NOBODY = 65534
Files = dict[str, bytes]


def _levels(price: float, symbol: str = "BTCUSDT") -> list[PublishedDataset]:
    """An edition: every row and every manifest tells its price."""
    found = []
    for timeframe in TIMEFRAMES:
        row = {
            "exchange": "binance", "symbol": symbol, "timeframe": timeframe, "as_of": AS_OF,
            "side": "long", "leverage": 10.0,
            "price_low": price - 10, "price_high": price - 9, "contracts": 1.0, "notional_usd": price,
            "current_price": price, "distance_pct": -9.5,
        }  # fmt: skip
        amounts = ("open_interest_contracts", "long_notional_usd", "short_notional_usd", "long_contracts",
                   "short_contracts", "coverage_pct")  # fmt: skip
        facts = {"as_of": AS_OF.isoformat(), "current_price": price} | dict.fromkeys(amounts, 1.0)
        found.append(
            PublishedDataset("liquidation_levels", symbol, pa.Table.from_pylist([row], LEVELS_SCHEMA), facts, timeframe)
        )
    return found


def _publish(folder: Path, price: float, symbol: str = "BTCUSDT") -> None:
    Publisher(folder=str(folder)).publish(_levels(price, symbol))


def _publish_views(folder: Path, price: float) -> None:
    files = {"map.png": b"png %f" % price, "levels.csv": b"csv %f" % price}
    views = [Views("BTCUSDT", timeframe, files, {"as_of": AS_OF.isoformat()}) for timeframe in TIMEFRAMES]
    Publisher(folder=str(folder)).publish_views(views, {"page.1.js": b"always the same"})


WRITERS: dict[str, Callable[[Path, float], None]] = {"levels": _publish, "views": _publish_views}

# Publishes over copies of a folder; each copy's process is killed before its n-th call that changes something on disk.
_KILLER = """
import os, shutil, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_journal as tests
from liq_pipeline.published.journal import finish_interrupted
before, copies, do = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
number, ended = 0, False
while not ended:
    number += 1
    folder = copies / str(number)
    shutil.copytree(before, folder)
    child = os.fork()
    if not child:
        calls = [0]
        def dying(call):
            def count(*arguments, **named):
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), 9)
                return call(*arguments, **named)
            return count
        for name in ("replace", "rename", "fsync", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        finish_interrupted(folder) if do == "finish" else tests.WRITERS[do](folder, 200.0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, 9), status
    ended = status == 0
"""


def _killed_at_every_call(before: Path, copies: Path, do: str) -> list[Path]:
    """Return one folder for each kill; the last one is of the process that ended by itself."""
    code = _KILLER.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code, before, copies, do], check=False, timeout=200, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return sorted(copies.iterdir(), key=lambda folder: int(folder.name))


def _look_by_store(folder: Path) -> None:
    Store(folder).symbols()


def _look_by_status(folder: Path) -> None:
    read_status(folder, AS_OF)


def _look_by_writer(folder: Path) -> None:
    _publish(folder, 5.0, "ETHUSDT")


LOOKS = {"the service": _look_by_store, "status": _look_by_status, "the next writer": _look_by_writer}


class Killed:
    """What is left of publishes of one kind that were killed at every call, and the editions before and after."""

    def __init__(self, kind: str, place: Path) -> None:
        before, after = place / "before", place / "after"
        WRITERS[kind](before, 100.0)
        WRITERS[kind](after, 200.0)
        self.old, self.new = _visible(before), _visible(after)
        self._folders = _killed_at_every_call(before, place / "killed", kind)

    def folders(self, place: Path) -> list[Path]:
        """Return copies, one for each kill and one of the process that ended by itself."""
        return [Path(shutil.copytree(folder, place / folder.name)) for folder in self._folders]


def _visible(folder: Path) -> Files:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> dict[str, Killed]:
    """Made once: each takes a process of its own that loads Dagster."""
    return {kind: Killed(kind, tmp_path_factory.mktemp(kind)) for kind in WRITERS}


@pytest.fixture
def torn(tmp_path: Path, killed: dict[str, Killed]) -> Path:
    """A folder whose publish was killed between two renames: one new Parquet file beside its old manifest."""
    new = killed["levels"].new
    for folder in killed["levels"].folders(tmp_path / "killed"):
        found = _visible(folder)
        if sum(found[name] == new[name] for name in new) == 1:
            return folder
    raise AssertionError("no kill fell between two renames")


def _of(files: Files, symbol: str = "BTCUSDT") -> Files:
    return {name: content for name, content in files.items() if symbol in name or "assets" in name}


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
        found = _visible(folder)
        assert found.keys() == old.keys()
        assert all(content in (old[name], new[name]) for name, content in found.items()), "a torn file"
        mixed += found not in (old, new)

        LOOKS[who](folder)

        found = _of(_visible(folder))
        assert found in (old, new), f"killed before call {folder.name}: files of two editions"
        _check_manifests(found)
        assert not (folder / JOURNAL).exists()
        seen.append(found == new)
    assert mixed >= len(_of(new)) // 2, "the kills between renames are what this is about"
    assert seen == sorted(seen), "once it counts, the new edition stays"
    assert seen[0] is False
    assert seen[-1] is True
    print(f"{kind}, {who}: {len(seen) - 1} kills, {mixed} of them left two editions side by side")


def test_a_first_publish_that_was_killed_gives_all_files_or_none(tmp_path: Path, killed: dict[str, Killed]) -> None:
    (tmp_path / "nothing").mkdir()

    folders = _killed_at_every_call(tmp_path / "nothing", tmp_path / "killed", "levels")

    for folder in folders:
        _look_by_store(folder)
        assert _visible(folder) in ({}, killed["levels"].new)
    print(f"first publish: {len(folders) - 1} kills")


def test_whoever_finishes_may_be_killed_too(torn: Path, tmp_path: Path, killed: dict[str, Killed]) -> None:
    folders = _killed_at_every_call(torn, tmp_path / "again", "finish")

    assert len(folders) > len(killed["levels"].new)
    for folder in folders:
        finish_interrupted(folder)
        assert _visible(folder) == killed["levels"].new
    print(f"finishing: {len(folders) - 1} kills")


def test_the_next_publish_leaves_no_temporary_file(tmp_path: Path, killed: dict[str, Killed]) -> None:
    for folder in killed["levels"].folders(tmp_path):
        _publish(folder, 100.0)
        assert [path.name for path in folder.rglob(".*")] == [".lock"]


def test_a_withdrawn_symbol_does_not_come_back(torn: Path) -> None:
    Publisher(folder=str(torn)).withdraw("BTCUSDT")
    _look_by_store(torn)

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
    before, store = _visible(torn), Store(torn)

    with FileLock(torn / ".lock"):
        read_status(torn, AS_OF)
        with pytest.raises(MixedEdition):
            store.read(("liquidation_levels",), "BTCUSDT", "1d")
        assert _visible(torn) == before
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
        before, store = _visible(folder), Store(folder)
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
        assert _visible(folder) == before

        assert store.read(("liquidation_levels",), "BTCUSDT", "1d")[0].manifest["current_price"] == 200.0


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
    _publish(folder, 100.0)
    outside.mkdir()
    (outside / ".evil.tmp").write_bytes(b"7 bytes")
    (folder / "link").symlink_to(outside)
    (folder / STAGED).write_bytes(b"7 bytes")
    content = content.replace(b"{outside}", os.fsencode(outside))
    (folder / JOURNAL).write_bytes(content)
    before = _visible(folder)

    with caplog.at_level(logging.WARNING, "liq.published"):
        LOOKS[who](folder)

    assert _of(_visible(folder)) == _of(before)
    assert [path.name for path in outside.iterdir()] == [".evil.tmp"]
    assert (folder / DAMAGED).read_bytes() == content
    assert not (folder / JOURNAL).exists()
    assert "cannot be used" in caplog.text
    assert "Traceback" not in caplog.text
    _publish(folder, 200.0)
    assert Store(folder).read(("liquidation_levels",), "BTCUSDT", "1d")[0].manifest["current_price"] == 200.0


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda place: place.symlink_to("nowhere")])
def test_a_journal_that_is_no_file_is_set_aside(make: Callable[[Path], None], tmp_path: Path) -> None:
    _publish(tmp_path, 100.0)
    before = _visible(tmp_path)
    make(tmp_path / JOURNAL)

    _look_by_store(tmp_path)

    assert _visible(tmp_path) == before
    assert not os.path.lexists(tmp_path / JOURNAL)


def test_a_whole_journal_is_what_the_damaged_ones_differ_from(tmp_path: Path) -> None:
    _publish(tmp_path, 100.0)
    (tmp_path / STAGED).write_bytes(b"7 bytes")
    (tmp_path / JOURNAL).write_bytes(_journal())

    _look_by_store(tmp_path)

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
        _publish(folder, 100.0)
        calls[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            problem = _problem_of(lambda place=folder: _publish(place, 200.0))
        assert "the disk is full" in problem or not problem
        refused = bool(problem)
        found = _visible(folder)
        if refused and found == old:
            before_it_counts += 1
            assert not (folder / JOURNAL).exists()
            if not for_good:
                assert [path.name for path in folder.rglob(".*")] == [".lock"]
        else:
            assert found == new
        _look_by_store(folder)
        assert _visible(folder) == found
    assert before_it_counts > len(new)
    assert number - 1 > before_it_counts


def test_a_second_publish_of_the_same_edition_writes_nothing(tmp_path: Path, monkeypatch) -> None:
    _publish(tmp_path, 100.0)
    before = {path: path.stat() for path in [tmp_path, *tmp_path.rglob("*")]}
    renamed: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, to: renamed.append(str(to)))

    _publish(tmp_path, 100.0)

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
