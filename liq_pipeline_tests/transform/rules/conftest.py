"""A subject of a few rows that were written by hand: what a rule says of it can be computed on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline_tests.warehouse.by_hand import SYMBOL, at, opened_and_filled, undone


@pytest.fixture(scope="module")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with opened_and_filled(tmp_path_factory.mktemp("by_hand")) as tables:
        yield tables


@pytest.fixture
def small(_filled: Tables, tmp_path: Path) -> Iterator[Subject]:
    """Four bars, 00:15 to 00:35; at the newest, open interest is 233 and the price 110. Changes are undone."""
    archive = ArchiveSource(
        location=str(tmp_path), listing_url="", raw_dir=str(tmp_path), bar_minutes=5, since="2026-06-01"
    )
    with undone(_filled):
        yield Subject(SYMBOL, _filled, archive, Publisher(folder=str(tmp_path)), Clock(fixed=str(at(40))))
