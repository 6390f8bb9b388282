"""The reference walk, and the real market data where it is there."""

import importlib.util
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def reference_walk():
    """The walk written straight from the specification (`reference_walk.py` beside this file)."""
    spec = importlib.util.spec_from_file_location("reference_walk", Path(__file__).with_name("reference_walk.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference_walk


@pytest.fixture(scope="session")
def shared():
    """The folder of real data beside the repository."""
    if not (SHARED / "archive").is_dir():
        pytest.skip(f"the real market data is not at {SHARED}")
    return SHARED
