"""Kills placed by `strace`: before a process enters its n-th rename or fsync. Nothing in the product knows of it."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from liq_pipeline_tests.chaos.stage import Command

CALLS = ("rename", "renameat", "renameat2", "fsync", "fdatasync")
_LINE = re.compile(rf"^(?P<pid>\d+) +(?P<call>{'|'.join(CALLS)})\((?P<rest>.*)")


@dataclass(frozen=True)
class Point:
    """The n-th time that some thread makes a call; and where it was seen to lead."""

    call: str
    number: int
    place: str


def points(command: Command, data: Path, log: Path) -> list[Point]:
    """Run a command in peace and return every rename and fsync below its folder, in order."""
    done = subprocess.run(
        [*traced(log), *command.line(data)], env=command.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command.name} failed under strace: {done.stderr[-2000:]}")
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if match := _LINE.match(line):
            key = match["pid"], match["call"]
            seen[key] += 1
            if str(data) in match["rest"]:
                found.append(Point(match["call"], seen[key], place_of(match["rest"])))
    return found


def spread(found: list[Point], many: int) -> list[Point]:
    """Choose points so that every kind of place gets its share, and within a kind evenly from first to last."""
    kinds: dict[tuple[str, str], list[Point]] = {}
    for point in found:
        kinds.setdefault((point.call, point.place), []).append(point)
    chosen: list[Point] = []
    for kind in sorted(kinds, key=lambda key: len(kinds[key])):
        left = len(kinds) - len({(point.call, point.place) for point in chosen})
        share = max(1, round((many - len(chosen)) / max(1, left)))
        these = kinds[kind]
        step = max(1, len(these) // share)
        chosen.extend(these[step // 2 :: step][:share])
    return chosen


def kill_at(command: Command, data: Path, point: Point, log: Path) -> subprocess.Popen[str]:
    """Start a command that is killed before the point (-9); `struck` tells where it was."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    return subprocess.Popen(
        [*traced(log), "-e", inject, *command.line(data)], env=command.environment(), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def struck(log: Path) -> str | None:
    """Return the call before which a process was killed, and what it was about; None if none was killed."""
    last: dict[str, re.Match[str]] = {}
    for line in log.read_text(errors="replace").splitlines():
        if match := _LINE.match(line):
            last[match["pid"]] = match
        elif "+++ killed by SIGKILL" in line and (match := last.get(line.split()[0])):
            return f"{match['call']} {place_of(match['rest'])}"
    return None


def place_of(rest: str) -> str:
    """Return what a call is about: commit, checkpoint, published or raw files, history."""
    if ".wal" in rest:
        return "commit"
    for name in ("published", "warehouse", "raw", "dagster_home", "recorded"):
        if f"/{name}" in rest:
            return {"warehouse": "checkpoint", "dagster_home": "history"}.get(name, name)
    return "elsewhere"


def traced(log: Path) -> list[str]:
    """Return the command that writes down every rename and fsync of what is run by it."""
    # without --seccomp-bpf: with it, strace 6.1 counts no further than the first call to inject into
    return ["strace", "-f", "-q", "-y", "-s", "4096", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
