"""What a check looks at, on a copy of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.published.publish import Publisher
from liq_pipeline.settings import Settings
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.warehouse.warehouse import Warehouse


def warehouse_copy(run: Settings, folder: Path) -> Warehouse:
    """Copy the warehouse of a run into a folder."""
    shutil.copytree(run.database.parent, folder / "warehouse")
    return Warehouse(database=str(folder / "warehouse" / run.database.name), lock_timeout_seconds=5)


@contextmanager
def subject_on(run: Settings, warehouse: Warehouse, published: Path) -> Iterator[Subject]:
    """Open what a check looks at."""
    with warehouse.opened("BTCUSDT") as tables:
        yield Subject(
            "BTCUSDT",
            tables,
            ArchiveSource(
                location=run.archive,
                listing_url=run.listing_url,
                raw_dir=str(run.raw_dir),
                bar_minutes=run.bar_minutes,
                since=str(run.since),
            ),
            Publisher(folder=str(published)),
            Clock(fixed=str(run.now)),
        )
