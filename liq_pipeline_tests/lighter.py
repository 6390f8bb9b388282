"""What makes the tests take less time, and changes nothing that they see."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what was imported out of garbage collection: 600,000 objects that stay, looked through again and again."""
    gc.collect()
    gc.freeze()
