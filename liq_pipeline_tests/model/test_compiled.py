"""Compiled functions are kept where there is a place for it; none is no reason to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import sys
from pathlib import Path
import numpy as np
from liq_pipeline.model.compiled import compiled, keep_compiled_below
from liq_pipeline.model import crossing, lifecycle, heatmap, exposure, ablations
from liq_pipeline.simulator import trading
import liq_pipeline; print(liq_pipeline.__file__)
if len(sys.argv) > 1:
    keep_compiled_below(Path(sys.argv[1]))
from liq_pipeline.simulator.heap import pop
print(pop(np.array([1.0, 2.0, 3.0]), np.array([7, 8, 9]), 3))
"""


@pytest.fixture
def homeless(repository: Path, tmp_path: Path, child_env):
    """Call a compiled function of a package that cannot be written, as a user without a home. Root cannot, either."""
    package = tmp_path / "installed" / "liq_pipeline"
    shutil.copytree(repository / "liq_pipeline", package, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("model", "simulator"):
        (package / room / "__pycache__").write_text("")
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("")

    def call(*arguments: object) -> str:
        environment = child_env(
            HOME=str(nowhere), XDG_CACHE_HOME=str(nowhere / "cache"), PYTHONPATH=str(package.parent),
            PYTHONDONTWRITEBYTECODE="1",
        )  # fmt: skip
        environment.pop("NUMBA_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-c", CALL, *map(str, arguments)], env=environment, capture_output=True, text=True,
            check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert str(package) in done.stdout
        return done.stdout.splitlines()[-1]

    return call


def test_without_any_place_it_is_compiled_in_memory(homeless, tmp_path: Path) -> None:
    assert homeless() == "2"


def test_below_the_folder_that_is_named_it_is_kept(homeless, tmp_path: Path) -> None:
    assert homeless(tmp_path / "data" / "compiled") == "2"

    kept = list((tmp_path / "data" / "compiled").rglob("*.nbi"))
    assert any(path.name.startswith("heap.pop") for path in kept)


def test_a_folder_that_cannot_be_written_is_passed_over(homeless, tmp_path: Path) -> None:
    assert homeless(tmp_path / "nowhere" / "compiled") == "2"


def test_damaged_leftovers_are_passed_over(homeless, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "compiled"
    homeless(folder)
    for path in folder.rglob("*.nb?"):
        path.write_bytes(path.read_bytes()[:10])

    assert homeless(folder) == "2"
