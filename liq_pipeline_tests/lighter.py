"""What lets the tests run on a small or busy machine, and changes nothing that they see."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is; what must be quick has a test of its own.
settings.register_profile("any machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what was imported out of garbage collection: 600,000 objects that stay, looked through again and again."""
    gc.collect()
    gc.freeze()
