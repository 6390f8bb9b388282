"""The `liq` command: all commands together, and errors that a user can act on as a line and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console

from liq_pipeline.cli import brackets, demo, making, past, reading, working  # noqa: F401 -- registers their commands
from liq_pipeline.cli.app import DATA_LOST, WRONG_USAGE, app
from liq_pipeline.errors import LiqError, SettingsError
from liq_pipeline.system.storage import REASONS, storage_failed
from liq_pipeline.system.terminal import speak_any_encoding


def _stop(error: LiqError) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
    sys.exit(WRONG_USAGE if isinstance(error, SettingsError) else DATA_LOST)


def main() -> None:
    """Run the command; turn errors that a user can act on into a message and an exit code."""
    speak_any_encoding()
    try:
        app()
    except LiqError as error:
        _stop(error)
    except OSError as error:
        if error.errno not in REASONS:
            raise
        _stop(storage_failed(error))
