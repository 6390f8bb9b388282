"""Who looks: after each disturbance at everything, and a reader all the while."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Self

from liq_pipeline.errors import LiqError, NotPublished
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.damage import published_files
from liq_pipeline.published.journal import finish_interrupted
from liq_pipeline.server.store import Store
from liq_pipeline_tests.chaos.stage import SYMBOL

READ_TOGETHER = (("liquidation_levels",), ("liquidation_heatmap", "candles"))
PUBLISHED_TOGETHER = (("liquidation_levels", "oi_delta"), ("liquidation_heatmap", "candles"), ("views",))


def look(published: Path, editions: frozenset[str], symbol: str = SYMBOL) -> list[str]:
    """Return what is wrong with what a kill left, as whoever looks next finds it: torn, mixed, or of no edition."""
    finish_interrupted(published)
    files = published_files(published, symbol)
    wrong = [f"torn: {error.problem}" for error in files.damage.values()]
    for group in PUBLISHED_TOGETHER:
        seen = {manifest["as_of"] for (dataset, _), manifest in files.manifests.items() if dataset in group}
        if len(seen) > 1:
            wrong.append(f"mixed: {' and '.join(group)} of {sorted(seen)}")
        wrong.extend(f"of no edition: {instant}" for instant in seen - editions)
    return wrong


class Reader:
    """Reads all the time, each time as somebody new; counts what it saw."""

    def __init__(self, published: Path, editions: frozenset[str], symbols: tuple[str, ...] = (SYMBOL,)) -> None:
        self.seen: Counter[str] = Counter()
        self._published, self._editions, self._symbols = published, editions, symbols
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._ended.is_set():
            store = Store(self._published)
            for symbol, datasets, timeframe in product(self._symbols, READ_TOGETHER, TIMEFRAMES):
                self.seen[self._view(store, datasets, symbol, timeframe)] += 1
            time.sleep(0.2)

    def _view(self, store: Store, datasets: tuple[str, ...], symbol: str, timeframe: str) -> str:
        try:
            edition = store.read(datasets, symbol, timeframe)
        except NotPublished:
            return "nothing"
        except LiqError as error:
            return f"torn: {error.problem}"
        instants = {part.manifest["as_of"] for part in edition}
        return "whole" if len(instants) == 1 and instants <= self._editions else f"mixed: {sorted(instants)}"
