"""`liq` in processes that are forked from one that has loaded all that a run loads: most of a short run is imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# Loaded here, in the process that is forked; nothing of it starts a thread before it is used.
import dagster  # noqa: F401
import numba  # noqa: F401

import liq_pipeline.orchestration.wiring
import liq_pipeline.orchestration.workers
import liq_pipeline.views.everything  # noqa: F401


def start(arguments: Sequence[object], out: Path) -> ForkServerProcess:
    """Start `liq` with these arguments; what it says goes into a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_liq, args=([str(one) for one in arguments], str(out)))
    process.start()
    return process


def _liq(arguments: list[str], out: str) -> None:
    from liq_pipeline.cli.main import main

    said = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    sys.argv = ["liq", *arguments]
    main()
