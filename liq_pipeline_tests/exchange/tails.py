"""The newest hours of one symbol behind an archive that ends at a midnight, and REST that answers from tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.exchange.manifest import Entry, manifest_path, save_manifest
from liq_pipeline.exchange.rest import RestAnswer, RestClient
from liq_pipeline.exchange.rest_rows import SymbolFacts, kline_rows, open_interest_rows
from liq_pipeline.exchange.tail import TailReport, read_tail, tail_path, update_tail

KLINES = ArchiveDataset("klines", "15m")
SYMBOL = "XUSDT"
DAY = date(2026, 6, 20)  # labels are instants of snapshots then
MIDNIGHT = datetime(2026, 6, 21, tzinfo=UTC)  # the archive ends here
NOW = MIDNIGHT + timedelta(hours=6)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return MIDNIGHT + minutes * MINUTE


def bars(*minutes: float, close: float = 101) -> pa.Table:
    """Bars of fifteen minutes by when they close."""
    body = []
    for closed in minutes:
        end = round(at(closed).timestamp() * 1000)
        body.append([end - 900_000, 100, 102, 99, close, 10.5, end - 1, 1050, 7, 5.5, 550, 0])
    return kline_rows(body, SYMBOL, "15m", at(10_000))[0]


def snapshots(*minutes: float, contracts: float | None = None) -> pa.Table:
    """Open interest by stamps: of minute n, n thousand contracts."""
    rows = [
        {
            "symbol": SYMBOL, "sumOpenInterest": contracts or 5000 + minute, "sumOpenInterestValue": 1,
            "timestamp": round(at(minute).timestamp() * 1000),
        }
        for minute in minutes
    ]  # fmt: skip
    return open_interest_rows(rows, SYMBOL)[0]


@dataclass
class Answers:
    """Answers with these rows, or an error, and remembers what was asked."""

    table: pa.Table = field(default_factory=lambda: bars())
    server_now: datetime = NOW
    error: Exception | None = None
    status: str | None = None
    asked: list[Any] = field(default_factory=list)

    def klines(self, symbol: str, interval: str, since: datetime, until: datetime, now: datetime) -> RestAnswer:
        return self._answer("klines", symbol, interval, since, until, now)

    def open_interest(self, symbol: str, since: datetime, until: datetime) -> RestAnswer:
        return self._answer("open_interest", symbol, since, until)

    def symbols(self) -> dict[str, SymbolFacts]:
        return {SYMBOL: SymbolFacts(self.status, "PERPETUAL", MIDNIGHT)} if self.status else {}

    def _answer(self, *asked: Any) -> RestAnswer:
        self.asked.append(asked)
        if self.error:
            raise self.error
        return RestAnswer(self.table, self.server_now, {"noted": 3})


def update(client: Answers | None, raw_dir: Path, dataset: ArchiveDataset = KLINES, **more: Any) -> TailReport:
    return update_tail(cast(RestClient, client), dataset, SYMBOL, raw_dir, more.pop("now", NOW), **more)


def archived(raw_dir: Path, dataset: ArchiveDataset = KLINES, **entries: Entry | None) -> None:
    """The archive has a good file of the day, and these others."""
    key = dataset.key(SYMBOL, DAY)
    known = {key: Entry(key, "", "ok", NOW, sha256="a", last_ts=MIDNIGHT)}
    save_manifest(manifest_path(raw_dir, dataset, SYMBOL), known | {one.key: one for one in entries.values() if one})


def entry(day: date, status: str, **more: Any) -> Entry:
    return Entry(KLINES.key(SYMBOL, day), "", status, NOW, **more)


def kept(raw_dir: Path, dataset: ArchiveDataset = KLINES) -> list[float]:
    return [(ts - MIDNIGHT) / MINUTE for ts in read_tail(raw_dir, dataset, SYMBOL)["ts"].to_pylist()]


def write_tail(raw_dir: Path, dataset: ArchiveDataset, rows: pa.Table) -> None:
    path = tail_path(raw_dir, dataset, SYMBOL)
    path.parent.mkdir(parents=True)
    pq.write_table(rows, path)
