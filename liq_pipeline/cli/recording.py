"""What `liq record` does: keep the stream of forced orders until somebody stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from liq_pipeline.clock import now_by
from liq_pipeline.exchange.connection import Timeouts
from liq_pipeline.exchange.recorded import RecordingFolder
from liq_pipeline.exchange.recorder import Recorder
from liq_pipeline.settings import Settings

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 0}  # asked to end by a service manager is a good end


def record(settings: Settings, report: Callable[[str], None], pace: Timeouts | None = None) -> int:
    """Record until Ctrl-C or SIGTERM; return the exit code (130, 0). Nothing that was received is lost by either.

    Args:
        settings: symbols, stream, data folder, clock.
        report: told in lines what happens.
        pace: how long things take.

    Raises:
        SettingsError: an address or symbols that cannot be used.
        RecorderBusy: another recorder holds the folder.
        RecordingFailed: the folder cannot be written.
    """
    folder = RecordingFolder(settings.recorded_dir, report)
    recorder = Recorder(settings.stream, settings.symbols, folder, lambda: now_by(settings), report, pace)
    with folder:
        code = asyncio.run(_until_stopped(recorder))
    report(f"Stopped: {recorder.recorded.total()} forced orders are in {settings.recorded_dir} (exit code {code})")
    return code


async def _until_stopped(recorder: Recorder) -> int:
    loop, work = asyncio.get_running_loop(), asyncio.create_task(recorder.run())
    codes: list[int] = []

    def stop(code: int) -> None:
        if not codes:  # a second signal does not disturb the last write
            codes.append(code)
            work.cancel()

    for number, code in EXIT_CODES.items():
        with suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt, which cancels all the same
            loop.add_signal_handler(number, stop, code)
    with suppress(asyncio.CancelledError):
        await work
    return codes[0] if codes else EXIT_CODES[signal.SIGINT]
