"""Text in and out of the process, whatever encoding the terminal has: symbols may be words of any script."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def speak_any_encoding() -> None:
    """Make sure that no text that is read or printed can raise a UnicodeError. Called once, first thing.

    What a stream cannot encode is printed as Python and JSON escape it (`\\u5e01`). Where file names are not UTF-8 (a C
    locale with `PYTHONUTF8=0`, an old Latin-1 one), `symbol=币安人生USDT` would be no name for a folder: then the
    process starts itself again in UTF-8 mode, with the terminal's encoding kept for what is printed.
    """
    if sys.getfilesystemencoding().lower() != "utf-8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"  # for processes that this one starts
        os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        escape_what_cannot_be_shown(stream)


def escape_what_cannot_be_shown(stream: TextIO | None) -> None:
    """Make a stream escape what its encoding does not know."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")
