"""The open liquidation map: estimated liquidation levels for crypto perpetuals, as data that adds up.

Files from the exchange become tables, tables become positions, positions become levels, levels become files that people
read; every arrow is a Dagster asset with checks on it. `orchestration/wiring.py` shows the whole on one screen.
"""

from __future__ import annotations

from typing import Any


def __dir__() -> list[str]:
    return [*globals(), "defs"]  # Dagster looks for definitions among the members


def __getattr__(name: str) -> Any:
    # `-m liq_pipeline` looks for `defs` here. Lazy: `liq --help` and readers of one module need not load Dagster.
    if name == "defs":
        from liq_pipeline.definitions import defs

        return defs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
