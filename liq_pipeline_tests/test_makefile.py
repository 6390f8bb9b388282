"""The Makefile: a checkout that was moved gets a new environment, and cleaning does not take the data."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A checkout with an environment that looks good, and data."""
    folder = tmp_path / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, folder / name)
    (folder / ".venv" / "bin" / "python").symlink_to(shutil.which("true"))
    _command(folder, f"#!{folder}/.venv/bin/python3")
    (folder / ".venv" / ".ready").touch()
    for name in ("raw", "recorded", "published"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "file").write_text("")
    return folder


def _command(folder: Path, first_line: str) -> None:
    (folder / ".venv" / "bin" / "liq").write_text(f"{first_line}\nimport sys\n")


def _make(folder: Path, *arguments: str) -> str:
    # As by hand: a `make` that runs these tests hands its own flags, level and variables on.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PORT"))}
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_good_environment_stays(checkout: Path) -> None:
    assert _make(checkout, "-n", "status").strip() == ".venv/bin/liq status"
    assert (checkout / ".venv" / ".ready").exists()


def test_a_moved_checkout_gets_a_new_environment(checkout: Path, tmp_path: Path) -> None:
    moved = checkout.rename(tmp_path / "moved")

    said = _make(moved, "-n", "status")

    assert "made elsewhere" in said
    assert "-m venv .venv" in said
    assert not (moved / ".venv").exists()
    assert (moved / "data" / "raw" / "file").exists()


def test_so_does_a_copied_one_whose_original_is_still_there(checkout: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(checkout, tmp_path / "copied", symlinks=True)

    assert "made elsewhere" in _make(copied, "-n", "run")
    assert (checkout / ".venv" / ".ready").exists()


def test_so_does_one_whose_python_is_gone(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/no/such/python")

    assert "its Python is gone" in _make(checkout, "-n", "status")


@pytest.mark.parametrize("goal", ["help", "clean-data"])
def test_what_needs_no_environment_leaves_a_moved_one_alone(goal: str, checkout: Path, tmp_path: Path) -> None:
    moved = checkout.rename(tmp_path / "moved")

    _make(moved, goal)

    assert (moved / ".venv").exists()


def test_clean_leaves_the_data(checkout: Path) -> None:
    _make(checkout, "clean")

    assert not (checkout / ".venv").exists()
    assert (checkout / "data" / "raw" / "file").exists()


def test_clean_data_leaves_the_environment_and_what_nothing_can_bring_back(checkout: Path) -> None:
    _make(checkout, "clean-data")

    assert (checkout / ".venv").exists()
    assert not (checkout / "data" / "raw").exists()
    assert not (checkout / "data" / "published").exists()
    assert (checkout / "data" / "recorded" / "file").exists()


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["serve", "PORT=8001"], "liq serve --port 8001"),
        (["serve-demo", "PORT=8001"], "liq serve --demo --port 8001"),
        (["ui", "PORT=3001"], "liq ui --port 3001"), (["serve"], "liq serve"), (["status-demo"], "liq status --demo"),
    ],
)  # fmt: skip
def test_a_port_is_handed_on(arguments: list[str], runs: str, checkout: Path) -> None:
    assert _make(checkout, "-n", *arguments).strip() == f".venv/bin/{runs}"
