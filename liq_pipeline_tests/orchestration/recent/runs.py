"""One run, and what it published."""

from __future__ import annotations

from datetime import datetime

from liq_pipeline.orchestration.refresh import SymbolResult, refresh
from liq_pipeline.published.status import read_status
from liq_pipeline.settings import Settings


def run(settings: Settings) -> SymbolResult:
    (result,) = refresh(settings)
    assert not result.errors, result.errors
    return result


def as_of(settings: Settings) -> datetime:
    return datetime.fromisoformat(read_status(settings.published_dir, settings.now)["BTCUSDT"]["as_of"])


def data_files(settings: Settings) -> dict[str, bytes]:
    """Return the published levels and changes, byte by byte."""
    files = [*settings.published_dir.glob("liquidation_levels/**/*.parquet")]
    files += settings.published_dir.glob("oi_delta/**/*.parquet")
    return {str(path.relative_to(settings.published_dir)): path.read_bytes() for path in files}
