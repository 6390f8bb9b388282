"""The demo: the whole chain on a simulated exchange, and its settings for `ui`, `status` and `serve`."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.system.storage import check_writable

DEMO_FOLDER = "demo"


def demo_mirror(console: Console, settings: Settings) -> Any:
    """Return the simulated exchange's mirror, made on first use."""
    check_writable(settings.data_dir)
    from liq_pipeline.model.compiled import keep_compiled_below
    from liq_pipeline.simulator.demo import build_demo_mirror

    keep_compiled_below(settings.compiled_dir)
    place = settings.data_dir / DEMO_FOLDER
    recorded = settings.model_copy(update={"data_dir": place}).recorded_dir
    return build_demo_mirror(place / "exchange", progress=console.print, recorded=recorded)


def demo_settings(settings: Settings, mirror: Any, archive: str) -> Settings:
    """Return settings for the demo's data and clock."""
    return load_settings(
        symbols=",".join(mirror.symbols),
        bar="5m",
        since=mirror.since,
        now=mirror.now,
        archive=archive,
        no_checksums=False,
        listing="",
        storage="",  # simulated data belongs in no bucket
        data_dir=settings.data_dir / DEMO_FOLDER,
        dagster_home=settings.data_dir / DEMO_FOLDER / "dagster_home",
        source_label="simulated",
        jobs=settings.jobs,
    )
