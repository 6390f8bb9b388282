"""The newest hours: rows of REST, kept until the archive has the same hours.

One Parquet file per symbol and dataset below `raw/rest/`, in the schema of the archive's rows. A row is superseded when
the archive has a good file that covers it; then both are compared, and the archive's row is the one that counts.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liq_pipeline.errors import CalibrationUnclear, FormatError, RestForbidden, RestUnreachable, UnknownSymbol
from liq_pipeline.exchange.calibration import Calibration, calibrate, load_calibration, save_calibration, shifted
from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA, read_dataset
from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.exchange.manifest import good_files, load_manifest, manifest_path, read_stored
from liq_pipeline.exchange.rest import OPEN_INTEREST_HISTORY, RestAnswer, RestClient
from liq_pipeline.system.storage import write_whole, written_whole

CALIBRATION_OVERLAP = timedelta(hours=24)
ASK_AGAIN_AFTER = timedelta(hours=1)  # after a refusal: 451 and bans do not pass in minutes
SILENCE = timedelta(minutes=45)  # without a row for longer than this, the exchange is asked what became of the symbol
REST_ROUNDING = 5e-5  # REST prints fewer decimals than the archive's files (exchange.md 2)
_INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Replacement:
    """What the archive said of rows that REST had given before.

    Attributes:
        compared: rows that both have.
        missing: rows of REST that the archive lacks.
        differing: rows whose value differs by more than REST's rounding.
        largest_difference_pct: of open interest, or of the close, in percent.
    """

    compared: int = 0
    missing: int = 0
    differing: int = 0
    largest_difference_pct: float = 0.0


@dataclass
class TailReport:
    """What became of one symbol's tail.

    Attributes:
        symbol, dataset: whose.
        rows: rows in the tail now.
        fetched: rows that are new in it.
        newest: instant of the newest row; None without any.
        asked: whether REST was asked.
        problem: why there is nothing newer, in words; empty if all is well.
        replaced: rows that the archive has meanwhile.
        calibration: what the stamps of open interest mean; None for klines, or where it is not known.
        calibrated_before: what they meant before, if that changed just now.
        notes: how often each quirk was met.
    """

    symbol: str
    dataset: ArchiveDataset
    rows: int = 0
    fetched: int = 0
    newest: datetime | None = None
    asked: bool = False
    problem: str = ""
    replaced: Replacement = field(default_factory=Replacement)
    calibration: Calibration | None = None
    calibrated_before: int | None = None
    notes: dict[str, int] = field(default_factory=dict)


def tail_path(raw_dir: Path, dataset: ArchiveDataset, symbol: str) -> Path:
    """Return where the tail of a symbol's dataset lies."""
    return raw_dir / "rest" / f"symbol={symbol}" / f"{dataset.slug}.parquet"


def schema_of(dataset: ArchiveDataset) -> pa.Schema:
    """Return the schema of a dataset's rows."""
    return KLINES_SCHEMA if dataset.interval else OPEN_INTEREST_SCHEMA


def read_tail(raw_dir: Path, dataset: ArchiveDataset, symbol: str) -> pa.Table:
    """Return the stored rows, by `ts`; none if there is no file.

    Raises:
        FormatError: the file is damaged.
    """
    path, schema = tail_path(raw_dir, dataset, symbol), schema_of(dataset)
    try:
        rows = read_stored(path, schema)
        if rows["ts"].null_count:
            raise FormatError(f"{path} has rows without a stamp", expected="rows of REST")
    except FileNotFoundError:
        return schema.empty_table()
    except FormatError as error:
        raise FormatError(error.problem, expected="rows of REST", remedy="delete it: it is fetched again") from error
    return rows


def unarchived(raw_dir: Path, dataset: ArchiveDataset, symbol: str, rows: pa.Table) -> pa.Table:
    """Return those of the rows that no good file of the archive covers."""
    return rows.filter(pa.array(~_covered(_coverage(raw_dir, dataset, symbol), rows), pa.bool_()))


def update_tail(
    client: RestClient | None,
    dataset: ArchiveDataset,
    symbol: str,
    raw_dir: Path,
    now: datetime,
    *,
    patient: bool = False,
) -> TailReport:
    """Drop what the archive has meanwhile, fetch what it does not have yet, and store it. Nothing good is ever lost.

    Args:
        client: REST; None if it is off.
        dataset: open interest or klines.
        symbol: whose.
        raw_dir: the local copy of the archive; its manifest tells what the archive has.
        now: the instant up to which rows are known.
        patient: after a refusal, do not ask for an hour.

    Raises:
        FormatError: the stored tail is damaged.
    """
    report = TailReport(symbol, dataset)
    stored = read_tail(raw_dir, dataset, symbol)
    coverage = _coverage(raw_dir, dataset, symbol)
    covered = _covered(coverage, stored)
    report.replaced = _compare(raw_dir, dataset, symbol, stored.filter(pa.array(covered, pa.bool_())))
    rows = stored.filter(pa.array(~covered, pa.bool_()))
    try:
        rows = pa.concat_tables([rows, _fetch(client, report, coverage, rows, raw_dir, now, patient)])
    except (RestForbidden, RestUnreachable, CalibrationUnclear, UnknownSymbol) as error:
        report.problem = str(error)
        if isinstance(error, RestForbidden) and report.asked:
            _remember_refusal(raw_dir, now, str(error))
    report.rows, report.fetched = rows.num_rows, rows.num_rows - (stored.num_rows - int(covered.sum()))
    report.newest = pc.max(rows["ts"]).as_py()
    if report.fetched or covered.any():
        _store(tail_path(raw_dir, dataset, symbol), rows.sort_by("ts"))
    return report


def _fetch(
    client: RestClient | None,
    report: TailReport,
    coverage: dict[date, datetime],
    rows: pa.Table,
    raw_dir: Path,
    now: datetime,
    patient: bool,
) -> pa.Table:
    """Return rows of REST behind what is here; where there are none, `report.problem` says why."""
    nothing = rows.schema.empty_table()
    if client is None:
        report.problem = "REST is off (LIQ_REST)"
    elif not coverage:
        report.problem = "the archive has nothing yet to go on from"
    elif now - coverage[max(coverage)] > OPEN_INTEREST_HISTORY:
        report.problem = (
            f"the archive's files end at {coverage[max(coverage)]:%Y-%m-%d %H:%M} UTC; REST goes back "
            f"{OPEN_INTEREST_HISTORY.days} days only, and a hole between them would be guesswork"
        )
    elif patient and (refused := refusal(raw_dir, now)):
        report.problem = refused
    if client is None or report.problem:
        return nothing
    archived_until = coverage[max(coverage)]
    since = max(archived_until, pc.max(rows["ts"]).as_py() or archived_until)
    report.asked = True
    if report.dataset.interval:
        answer = client.klines(report.symbol, report.dataset.interval, since, now, now)
        fresh = answer.table
    else:
        answer = _open_interest(client, report, archived_until, since, raw_dir, now)
        assert report.calibration
        fresh = shifted(answer.table, report.calibration)
    with suppress(FileNotFoundError):
        _refusal_path(raw_dir).unlink()
    report.notes = answer.notes
    until = min(now, answer.server_now)
    later = pc.greater(fresh["ts"], pa.scalar(since, _INSTANT))
    fresh = fresh.filter(pc.and_(later, pc.less_equal(fresh["ts"], pa.scalar(until, _INSTANT))))
    if not fresh.num_rows and now - since > SILENCE:
        facts = client.symbols().get(report.symbol)
        status = facts.status if facts else "not listed any more"
        report.problem = f"REST has nothing of {report.symbol} since {since:%Y-%m-%d %H:%M} UTC; its status: {status}"
    return fresh


def _open_interest(
    client: RestClient, report: TailReport, archived_until: datetime, since: datetime, raw_dir: Path, now: datetime
) -> RestAnswer:
    """Return open interest by its stamps; measure what they mean whenever the archive has grown."""
    path = tail_path(raw_dir, report.dataset, report.symbol).with_name("stamps.json")
    known = load_calibration(path)
    margin = timedelta(minutes=5)  # a stamp may name either end of its five minutes
    if known and known.newest_compared >= archived_until - margin:
        report.calibration = known
        return client.open_interest(report.symbol, since - margin, now + margin)
    begin = archived_until - CALIBRATION_OVERLAP
    answer = client.open_interest(report.symbol, begin, now + margin)
    files = good_files(raw_dir, report.dataset, report.symbol, since=begin.date() - timedelta(days=1))
    found = calibrate(answer.table, read_dataset(report.dataset, files, report.symbol).table, now)
    if known and known.offset_minutes != found.offset_minutes:
        report.calibrated_before = known.offset_minutes
    report.calibration = found
    save_calibration(path, found)
    return answer


def _coverage(raw_dir: Path, dataset: ArchiveDataset, symbol: str) -> dict[date, datetime]:
    """Return, for each day of which the archive has a good file, the instant up to which that file goes."""
    found = {}
    for key, entry in load_manifest(manifest_path(raw_dir, dataset, symbol)).items():
        day = dataset.day_of(symbol, key)
        if day and entry.good_sha256:
            end = datetime.combine(day + timedelta(days=1), time(), UTC)
            found[day] = entry.last_ts or end
    return found


def _covered(coverage: dict[date, datetime], rows: pa.Table) -> np.ndarray:
    """Tell, row by row, whether the archive has it. Midnight belongs to the day that ends there."""
    beginning = datetime.min.replace(tzinfo=UTC)
    return np.array(
        [ts <= coverage.get((ts - timedelta(microseconds=1)).date(), beginning) for ts in rows["ts"].to_pylist()], bool
    )


def _compare(raw_dir: Path, dataset: ArchiveDataset, symbol: str, superseded: pa.Table) -> Replacement:
    """Compare rows of REST with the archive's."""
    if not superseded.num_rows:
        return Replacement()
    first = pc.min(superseded["ts"]).as_py().date() - timedelta(days=1)
    archive = read_dataset(dataset, good_files(raw_dir, dataset, symbol, since=first), symbol).table
    place = pc.index_in(superseded["ts"].combine_chunks(), archive["ts"].combine_chunks())
    ours, theirs = superseded.filter(place.is_valid()), archive.take(place.drop_null())
    differs, largest = np.zeros(ours.num_rows, bool), 0.0
    for column in ("open", "high", "low", "close", "volume") if dataset.interval else ("open_interest",):
        one, other = ours[column].to_numpy(), theirs[column].to_numpy()
        apart = np.where(np.isnan(one) & np.isnan(other), 0.0, np.abs(one - other))
        differs |= ~(apart <= np.fmax(REST_ROUNDING, 1e-9 * np.abs(other)))  # a value that only one has differs, too
        share = 100 * apart[apart > 0] / np.abs(other[apart > 0])
        largest = max(largest, float(np.max(share[np.isfinite(share)], initial=0.0)))
    return Replacement(ours.num_rows, superseded.num_rows - ours.num_rows, int(differs.sum()), largest)


def _store(path: Path, rows: pa.Table) -> None:
    with written_whole(path) as draft:
        pq.write_table(rows, draft)


def _refusal_path(raw_dir: Path) -> Path:
    return raw_dir / "rest" / "refused.json"


def _remember_refusal(raw_dir: Path, now: datetime, problem: str) -> None:
    write_whole(_refusal_path(raw_dir), json.dumps({"at": now.isoformat(), "problem": problem}).encode())


def refusal(raw_dir: Path, now: datetime) -> str:
    """Return what REST said when it refused within the last hour; empty if it did not."""
    try:
        said = json.loads(_refusal_path(raw_dir).read_text(encoding="utf-8"))
        at = datetime.fromisoformat(said["at"])
        if not timedelta(0) <= now - at < ASK_AGAIN_AFTER:
            return ""
        return f"refused at {at:%H:%M} UTC, asked again at {at + ASK_AGAIN_AFTER:%H:%M}: {said['problem']}"
    # OverflowError, TypeError: a time of no calendar, without a zone, or another shape. Then REST is just asked.
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ""
