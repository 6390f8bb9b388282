"""What `liq forget` does: remove what is kept of a symbol that is no longer wanted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from liq_pipeline.errors import SettingsError, SymbolBusy
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.tail import tail_path
from liq_pipeline.orchestration.alert_sensors import alert_desk
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.runs import busy_elsewhere
from liq_pipeline.published.layout import older_folders, published_folders, published_symbols
from liq_pipeline.published.publish import Publisher
from liq_pipeline.settings import Settings
from liq_pipeline.warehouse.schema import TABLES
from liq_pipeline.warehouse.warehouse import Warehouse

_WAIT_SECONDS = 1.0  # for the warehouse: a run is not waited for


@dataclass
class Holdings:
    """What is kept of one symbol.

    Attributes:
        symbol: which.
        published: folders of published files.
        rows: in the warehouse, all tables.
        tail: folders of rows of REST.
        alerts: how many are remembered.
        raw: folders of the archive's files, of their manifest, of their quarantine.
        recorded: folders of recorded forced orders; never removed, nobody could fetch them again.
    """

    symbol: str
    published: list[Path] = field(default_factory=list)
    rows: int = 0
    tail: list[Path] = field(default_factory=list)
    alerts: int = 0
    raw: list[Path] = field(default_factory=list)
    recorded: list[Path] = field(default_factory=list)

    def said(self, *, with_raw: bool) -> list[str]:
        """Return what is removed and what is kept, a line each."""
        removed = {
            "published files": _size(self.published),
            "rows in the warehouse": f"{self.rows:,}" if self.rows else "",
            "rows of REST": _size(self.tail),
            "alerts remembered": str(self.alerts) if self.alerts else "",
            "raw files": _size(self.raw) if with_raw else "",
        }
        kept = {
            "raw files, removed with --raw": "" if with_raw else _size(self.raw),
            "recorded forced orders": _size(self.recorded),
        }
        return [
            *(f"  remove  {what}: {size}" for what, size in removed.items() if size),
            *(f"  keep    {what}: {size}" for what, size in kept.items() if size),
        ]


def find_holdings(settings: Settings, symbol: str) -> Holdings:
    """Find out what is kept of a symbol.

    Raises:
        SettingsError: nothing is kept of such a symbol; the message names similar ones.
        SymbolBusy, WarehouseLocked: a run works on it, or holds the warehouse.
    """
    _refuse_while_busy(settings, symbol)
    raw, warehouse = settings.raw_dir, _warehouse(settings, symbol)
    found = Holdings(
        symbol,
        published=published_folders(settings.published_dir, symbol),
        tail=[folder for folder in [tail_path(raw, METRICS, symbol).parent] if folder.exists()],
        alerts=alert_desk(settings).remembered_of(symbol),
        raw=[*raw.glob(f"**/daily/*/{symbol}"), *raw.glob(f"manifest/symbol={symbol}")],
        recorded=[*settings.recorded_dir.glob(f"*/symbol={symbol}")],
    )
    if warehouse:
        with warehouse.transaction(symbol) as tables:
            found.rows = sum(tables.count(table, symbol) for table in TABLES)
    if not (found.published or found.rows or found.tail or found.alerts or found.raw):
        known = _known(settings)
        close = get_close_matches(symbol, known, n=5) or known[:10]
        raise SettingsError(
            f"nothing is kept of {symbol} in {settings.data_dir}",
            expected=f"one of {', '.join(close)}" if close else "",
            remedy="see `liq status` for what is published",
        )
    return found


def forget(settings: Settings, found: Holdings, *, with_raw: bool) -> None:
    """Remove what was found, what people read first. Interrupted, it can be done again.

    Raises:
        SymbolBusy, WarehouseLocked: a run works on it, or holds the warehouse; nothing was removed.
    """
    _refuse_while_busy(settings, found.symbol)
    publisher, warehouse = _publisher(settings), _warehouse(settings, found.symbol)
    if warehouse:
        with warehouse.transaction(found.symbol):  # whoever would publish the symbol again waits for this lock
            publisher.withdraw(found.symbol)
        warehouse.remove(found.symbol)
    else:
        publisher.withdraw(found.symbol)
    for folder in [*found.tail, *(found.raw if with_raw else [])]:
        shutil.rmtree(folder)
    alert_desk(settings).forget(found.symbol)


def _refuse_while_busy(settings: Settings, symbol: str) -> None:
    if not (settings.home / "dagster.yaml").exists():
        return
    with dagster_instance(settings.home) as instance:
        run = busy_elsewhere(instance, symbol)
    if run:
        raise SymbolBusy(
            f"run {run} works on {symbol}: nothing was removed",
            remedy="wait for it; if it died, mark it as cancelled in `liq ui`",
        )


def _warehouse(settings: Settings, symbol: str) -> Warehouse | None:
    warehouse = Warehouse(
        database=str(settings.database.absolute()),
        lock_timeout_seconds=_WAIT_SECONDS,
        memory_limit=settings.memory_limit,
    )
    return warehouse if warehouse.file_of(symbol).exists() else None


def _publisher(settings: Settings) -> Publisher:
    return Publisher(folder=str(settings.published_dir.absolute()), storage=settings.storage)


def _known(settings: Settings) -> list[str]:
    folders = [*older_folders(settings.published_dir), *settings.raw_dir.glob("*/symbol=*")]
    kept = {folder.name.removeprefix("symbol=") for folder in folders}
    return sorted(kept.union(published_symbols(settings.published_dir)))


def _size(folders: list[Path]) -> str:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    if not files:
        return ""
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return f"{len(files)} files, {megabytes:.1f} MB, in {', '.join(map(str, sorted(folders)))}"
