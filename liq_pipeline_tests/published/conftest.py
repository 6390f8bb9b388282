"""Publishes that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from liq_pipeline_tests.conftest import MadeOnce
from liq_pipeline_tests.published.editions import WRITERS, Killed, kill_at_every_call, visible


@pytest.fixture(scope="session")
def killed(made_once: MadeOnce) -> dict[str, Killed]:
    """Made once: each publishes some hundred times."""

    def fill(folder: Path) -> None:
        for kind in WRITERS:
            kill_at_every_call(kind, folder / kind)

    folder = made_once("killed", fill)
    return {kind: Killed(folder / kind) for kind in WRITERS}


@pytest.fixture
def torn(tmp_path: Path, killed: dict[str, Killed]) -> Path:
    """A folder whose publish was killed between two renames: one new Parquet file beside its old manifest."""
    new = killed["levels"].new
    for folder in killed["levels"].folders(tmp_path / "killed"):
        found = visible(folder)
        if sum(found[name] == new[name] for name in new) == 1:
            return folder
    raise AssertionError("no kill fell between two renames")
