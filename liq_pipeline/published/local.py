"""Where readers of this machine read: `data/published`; where there is a bucket (LIQ_STORAGE), a copy of it, kept up.

What belongs here: how a reader comes by a copy that is up to date. What a copy is: `editions`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from liq_pipeline.errors import LiqError
from liq_pipeline.published.editions import Editions
from liq_pipeline.settings import Settings
from liq_pipeline.system.objects import objects_at

READERS_WAIT_SECONDS = 10.0  # for a store that does not answer
LOOK_EVERY_SECONDS = 5.0

log = logging.getLogger("liq.published")


def up_to_date(settings: Settings, wanted: Iterable[str] | None = None) -> Path:
    """Return the published folder, with the newest editions in it.

    Args:
        settings: where it is.
        wanted: symbols; None: all.

    Raises:
        ObjectsUnreachable, ObjectsRefused: the bucket cannot be read; what is here stays as it is.
    """
    if settings.storage:
        _editions(settings).fetch(wanted)
    return settings.published_dir


@contextmanager
def kept_up(settings: Settings, every_seconds: float = LOOK_EVERY_SECONDS) -> Iterator[Path]:
    """Give the published folder, and bring it up to date again and again meanwhile. A failure is logged, and passes."""
    done = threading.Event()
    if not settings.storage:
        yield settings.published_dir
        return
    watcher = threading.Thread(target=_keep_up, args=(_editions(settings), done, every_seconds), daemon=True)
    watcher.start()
    try:
        yield settings.published_dir
    finally:
        done.set()
        watcher.join(READERS_WAIT_SECONDS)


def _keep_up(editions: Editions, done: threading.Event, every_seconds: float) -> None:
    failed = False
    while True:
        try:
            if changed := editions.fetch():
                log.info("new editions: %s", ", ".join(changed))
            if failed:
                log.warning("the object store answers again")
            failed = False
        except (LiqError, OSError) as error:
            if not failed:
                log.warning("published files stay as they are: %s", error)
            failed = True
        if done.wait(every_seconds):
            return


def _editions(settings: Settings) -> Editions:
    return Editions(objects_at(settings.storage, READERS_WAIT_SECONDS), settings.published_dir.absolute())
