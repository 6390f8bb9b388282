"""What large arrays took goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEFT = """
import sys
import numpy as np
from liq_pipeline.system.memory import give_back_large_arrays

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

if sys.argv[1] == "True":
    give_back_large_arrays()
before = resident()
np.ones(3_900_000)  # 31 MB: from here on glibc keeps arrays of this size
arrays, between = [], []
for _ in range(10):
    arrays.append(np.ones(2_000_000))
    between.append(np.ones(1000))  # small, and kept: what lies below it cannot go back
del arrays
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library of Linux")
@pytest.mark.parametrize(("is_asked", "most"), [(True, 20), (False, 1000)])
def test_what_large_arrays_took_goes_back_though_small_ones_lie_between(is_asked: bool, most: float) -> None:
    done = subprocess.run([sys.executable, "-c", LEFT, str(is_asked)], capture_output=True, text=True, check=True)

    assert float(done.stdout) < most
    assert is_asked or float(done.stdout) > 100, "without it they stay: else it may go"
