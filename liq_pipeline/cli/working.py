"""`liq worker`: take runs of a cluster from its queue."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import Annotated

import typer

from liq_pipeline.cli.app import Data, app
from liq_pipeline.errors import LiqError
from liq_pipeline.settings import load_settings


@app.command()
def worker(
    data: Data = None,
    slots: Annotated[int, typer.Option("--slots", min=1, max=256, help="Runs at once.")] = 1,
    name: Annotated[str, typer.Option("--name", help="Among the workers of this machine.")] = "",
) -> None:
    """Work on runs of a cluster, from its queue, until stopped (docs/scale.md)."""
    settings = load_settings(data_dir=data)
    if find_spec("dagster_celery") is None:
        raise LiqError("a worker needs packages that are not installed", remedy="pip install 'liq_pipeline[scale]'")
    from liq_pipeline.orchestration.worker import become_worker

    become_worker(settings, slots, name or socket.gethostname())
