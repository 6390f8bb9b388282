"""An archive of ten days, and a local copy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline_tests.exchange.sync.local import DAYS, Local


@pytest.fixture
def local(tmp_path: Path, now: datetime) -> Local:
    return Local(tmp_path / "raw", now)


@pytest.fixture
def keys(files: Any) -> list[str]:
    return [files.put(day) for day in DAYS]


@pytest.fixture
def folder(files: Any) -> FolderArchive:
    return FolderArchive(files.root)
