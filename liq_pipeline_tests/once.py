"""One call on the warehouse's tables, in a transaction of its own; and another process that holds a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from liq_pipeline.warehouse.warehouse import Warehouse


class once:
    """What `Tables` offers, each call in its own transaction."""

    def __init__(self, warehouse: Warehouse, symbol: str = "BTCUSDT") -> None:
        self._warehouse, self._symbol = warehouse, symbol

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **parameters: Any) -> Any:
            with self._warehouse.transaction(self._symbol) as tables:
                return getattr(tables, name)(*arguments, **parameters)

        return call


@contextmanager
def another_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works on a symbol's file, until the end."""
    code = (
        "import sys, time\n"
        "from liq_pipeline.warehouse.warehouse import Warehouse\n"
        f"with Warehouse(database={str(path)!r}).get_connection('BTCUSDT'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
