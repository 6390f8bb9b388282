"""Publishes that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from liq_pipeline_tests.published.editions import (
    WRITERS,
    Killed,
    visible,
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> dict[str, Killed]:
    """Made once: each takes a process of its own that loads Dagster."""
    return {kind: Killed(kind, tmp_path_factory.mktemp(kind)) for kind in WRITERS}


@pytest.fixture
def torn(tmp_path: Path, killed: dict[str, Killed]) -> Path:
    """A folder whose publish was killed between two renames: one new Parquet file beside its old manifest."""
    new = killed["levels"].new
    for folder in killed["levels"].folders(tmp_path / "killed"):
        found = visible(folder)
        if sum(found[name] == new[name] for name in new) == 1:
            return folder
    raise AssertionError("no kill fell between two renames")
