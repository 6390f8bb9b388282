"""The manifest: what the archive had and what became of it, one Parquet file per symbol and dataset.

It is the memory of `sync`: with it a second run fetches nothing and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.system.storage import written_whole

_INSTANT = pa.timestamp("us", tz="UTC")
STATUSES = ("ok", "missing", "not_yet", "mismatch", "bad")
MANIFEST_SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "url": pa.string(),
        "status": pa.string(),  # one of STATUSES
        "sha256": pa.string(),  # of what was read last
        "expected_sha256": pa.string(),  # what the sidecar promised
        "unverified": pa.bool_(),  # the file in use was taken without a sidecar
        "kept_sha256": pa.string(),  # of the older good file that stays in use though its successor is not good
        "etag": pa.string(),
        "size": pa.int64(),  # bytes
        "last_modified": _INSTANT,
        "fetched_at": _INSTANT,
        "rows": pa.int64(),
        "first_ts": _INSTANT,
        "last_ts": _INSTANT,
        "message": pa.string(),
    }
)


@dataclass(frozen=True)
class Entry:
    """One day's file. Columns as in `MANIFEST_SCHEMA`."""

    key: str
    url: str
    status: str
    fetched_at: datetime
    sha256: str | None = None
    expected_sha256: str | None = None
    unverified: bool = False
    kept_sha256: str | None = None
    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None
    rows: int | None = None
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    message: str = ""

    @property
    def good_sha256(self) -> str | None:
        """Hash that the file in use must have; None if there is no good file."""
        return self.sha256 if self.status == "ok" else self.kept_sha256

    def same_finding(self, other: Entry | None) -> bool:
        """Tell whether another entry says the same, leaving aside when and from which host it was learnt."""
        return other is not None and replace(other, fetched_at=self.fetched_at, url=self.url) == self


def manifest_path(raw_dir: Path, dataset: ArchiveDataset, symbol: str) -> Path:
    """Return where the manifest of a symbol's dataset lies."""
    return raw_dir / "manifest" / f"symbol={symbol}" / f"{dataset.slug}.parquet"


def load_manifest(path: Path) -> dict[str, Entry]:
    """Read a manifest, by key. A missing or unreadable one is empty: `sync` then recognises files by their sidecars."""
    try:
        table = read_stored(path, MANIFEST_SCHEMA)
    except (FileNotFoundError, FormatError):
        return {}
    # A manifest from before there was such a column knows of verified files only.
    rows = [row | {"unverified": bool(row["unverified"])} for row in table.to_pylist()]
    whole = all(row["key"] and row["status"] in STATUSES and row["fetched_at"] for row in rows)
    return {row["key"]: Entry(**row) for row in rows} if whole else {}


def read_stored(path: Path, schema: pa.Schema) -> pa.Table:
    """Read one of our own Parquet files; columns that it lacks are null.

    Raises:
        FileNotFoundError: there is none.
        FormatError: it is damaged, or holds something else.
    """
    try:
        table = pq.read_table(path, schema=schema, partitioning=None)
        table.validate(full=True)  # text that is none would be noticed only where it is used
        for column in table.columns:
            if pa.types.is_temporal(column.type) and column.null_count < len(column):
                pc.min_max(column).as_py()  # instants that Python cannot hold, too
        return table
    except FileNotFoundError:
        raise
    except Exception as error:  # what Arrow raises about damaged Parquet depends on the byte: OSError, ValueError ...
        raise FormatError(f"{path} cannot be read: {str(error)[:200]}", expected="a Parquet file of ours") from error


def unverified_files(raw_dir: Path, dataset: ArchiveDataset, symbol: str, *, since: date) -> int:
    """Return how many of the files in use, with day >= since, were taken without a checksum."""
    entries = load_manifest(manifest_path(raw_dir, dataset, symbol)).items()
    days = [dataset.day_of(symbol, key) for key, entry in entries if entry.good_sha256 and entry.unverified]
    return sum(1 for day in days if day and day >= since)


def good_files(raw_dir: Path, dataset: ArchiveDataset, symbol: str, *, since: date) -> list[Path]:
    """Return the local files that passed every check at the last sync, with day >= since, by day."""
    entries = load_manifest(manifest_path(raw_dir, dataset, symbol))
    days = {dataset.day_of(symbol, key): key for key, entry in entries.items() if entry.good_sha256}
    return [raw_dir / days[day] for day in sorted(day for day in days if day and day >= since)]


def to_table(entries: dict[str, Entry]) -> pa.Table:
    """Return entries as a table of `MANIFEST_SCHEMA`, by key."""
    rows = [entries[key] for key in sorted(entries)]
    names = [item.name for item in fields(Entry)]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.table({name: columns[name] for name in MANIFEST_SCHEMA.names}, schema=MANIFEST_SCHEMA)


def save_manifest(path: Path, entries: dict[str, Entry]) -> None:
    """Write a manifest so that a reader sees the old one or the new one, never a part."""
    with written_whole(path) as draft:
        pq.write_table(to_table(entries), draft)
