"""A disk that is full at some point of a run, or read-only: a small file system in memory. Needs root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from liq_pipeline_tests.chaos.stage import Command, Stage, fingerprint
from liq_pipeline_tests.chaos.witness import look

PAGE = 4096
Found = Callable[[str, list[str]], None]


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Callable[[str], None]]:
    """Mount a file system of so many bytes; yield what changes its options."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield lambda options: _mount("-o", f"remount,{options}", str(place))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


def full_disks(stage: Stage, command: Command, many: int, work: Path, found: Found) -> None:
    """Let the disk be full at points spread over a run; then make room and run again."""
    held, needed = used(stage.before), 0
    with small_disk(work / "measured", 2 << 30):
        data = stage.copy(work / "measured" / "data")
        assert command.run(data).returncode == 0
        needed = used(data)
    for number in range(many):
        room = held + (needed - held) * number // many
        with small_disk(work / "disk", (room // PAGE + 8) * PAGE) as remount:
            data = stage.copy(work / "disk" / "data")
            done = command.run(data)
            said = done.stdout + done.stderr
            wrong = look(data / "published", command.editions)
            if done.returncode == 0 and fingerprint(data) != command.end:
                wrong.append("lost: exit code 0 without the end that it leads to")
            if "Traceback" in said:
                wrong.append(f"untyped: {said[-800:]}")
            found(f"{command.name} on a full disk", wrong)
            remount(f"size={2 << 30}")
            done = command.run(data)
            wrong = [] if done.returncode == 0 else [f"lost: exit code {done.returncode}: {done.stderr[-600:]}"]
            if not wrong and (end := fingerprint(data)) != command.end:
                wrong = [f"lost: {name} differs" for name in end if end[name] != command.end.get(name)]
            found(f"{command.name} after room was made", wrong)


def read_only(stage: Stage, command: Command, work: Path, found: Found) -> None:
    """Let the file system be read-only during a run; then writable again."""
    with small_disk(work / "disk", 2 << 30) as remount:
        data = stage.copy(work / "disk" / "data")
        remount("ro")
        done = command.run(data)
        said = done.stdout + done.stderr
        wrong = look(data / "published", command.editions)
        if done.returncode == 0 or "Traceback" in said:
            wrong.append(f"untyped: exit code {done.returncode}: {said[-600:]}")
        found(f"{command.name} on a read-only disk", wrong)
        remount("rw")
        done = command.run(data)
        differs = done.returncode != 0 or fingerprint(data) != command.end
        found(f"{command.name} after it was writable again", ["lost: another end"] if differs else [])


def used(folder: Path) -> int:
    """Return how many bytes of whole pages the files of a folder take."""
    return sum(-(-path.lstat().st_size // PAGE) * PAGE + PAGE for path in folder.rglob("*"))


def _mount(*arguments: str) -> None:
    if not shutil.which("mount") or subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode:
        raise SystemExit("A file system in memory cannot be mounted here. To do: run as root, or make chaos DISKS=0")
