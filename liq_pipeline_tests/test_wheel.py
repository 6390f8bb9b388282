"""The built package holds all that it needs: it is installed in an empty environment, and the demo runs from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UV = Path(sys.executable).with_name("uv")


def call(*command: str | Path, **options: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=400, check=False, **options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_runs_from_a_wheel_in_an_empty_environment(repository: Path, tmp_path: Path, child_env) -> None:
    source = tmp_path / "source"  # building leaves folders behind
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, files):
        if (repository / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((repository / name).read_bytes())
    call(UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path / "wheel", source)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    python = tmp_path / "env" / "bin" / "python"
    call(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "env")
    call(UV, "pip", "install", "--quiet", "--python", python, "-c", repository / "constraints.txt", wheel)

    place = tmp_path / "elsewhere"
    place.mkdir()
    environment = child_env(PATH="/usr/bin:/bin")
    printed = call(python.with_name("liq"), "demo", cwd=place, env=environment)

    assert "All good: BTCUSDT, ETHUSDT, SOLUSDT published" in printed
    assert (place / "data" / "demo" / "published" / "views" / "BTCUSDT" / "7d" / "map.png").is_file()
    names = call(python, "-c", "import liq_pipeline; print(liq_pipeline.__file__)", cwd=place, env=environment)
    assert str(tmp_path) in names
