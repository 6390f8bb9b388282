"""The service: requests as bytes, and manifests and Parquet files in its folder. Each input draws one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from liq_pipeline_tests.fuzz.harness import Target
from liq_pipeline_tests.server.hostile_files import one_manifest, one_parquet
from liq_pipeline_tests.server.hostile_requests import one_request


def targets(workspace: Path) -> list[Target]:
    """Return them; they make their own folders."""
    return [
        _target("service-request", one_request, is_file=False),
        _target("service-manifest", one_manifest, is_file=True),
        _target("service-parquet", one_parquet, is_file=True),
    ]


def _target(name: str, one: Callable[[Random], object], *, is_file: bool) -> Target:
    return Target(name, [b"seed"], lambda data: one(Random(data)), lambda rng: rng.randbytes(8), is_file=is_file)
