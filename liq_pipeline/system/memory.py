"""How memory that is no longer used goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

LARGE_BYTES = 4 << 20
_M_MMAP_THRESHOLD = -3  # mallopt(3)


def give_back_large_arrays() -> None:
    """Let the C library map arrays from 4 MB on one by one, so that each goes back to the system when it is freed.

    By itself glibc raises that limit to 32 MB with the first large array that is freed (mallopt(3), "dynamic mmap
    threshold"); what is then freed between others stays with the process. Where there is no glibc, nothing is done.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # musl has no mallopt
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
