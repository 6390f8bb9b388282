"""What REST's stamps of open interest mean, measured on what the archive has, too (exchange.md 3.2).

The documentation says "end time"; since 2026-06-25 it is said not to hold. So nobody is believed: the offset under
which most values equal those of the archive is the right one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.errors import CalibrationUnclear
from liq_pipeline.system.storage import write_whole

OFFSETS_MINUTES = (0, -5, 5)
TOLERANCE = 5e-5  # contracts: REST prints fewer decimals than the archive
LEAST_ROWS = 6
NEWEST_ROWS = 72  # six hours: a change of meaning inside the overlap is judged by what came after it
LEAST_SHARE = 0.9
_MINUTE = np.timedelta64(1, "m")


@dataclass(frozen=True)
class Calibration:
    """A measurement: `instant of the snapshot = stamp + offset_minutes`.

    Attributes:
        offset_minutes: -5, 0 or 5.
        matches, compared: rows whose values agree, of those that tell offsets apart.
        measured_at: when.
        newest_compared: the newest instant that the archive and REST both had.
    """

    offset_minutes: int
    matches: int
    compared: int
    measured_at: datetime
    newest_compared: datetime


def calibrate(rest: pa.Table, archive: pa.Table, now: datetime) -> Calibration:
    """Measure the offset of REST's stamps.

    Only instants at which open interest differs from both neighbours count: values that stand still prove nothing.

    Args:
        rest: rows of open interest by their stamps.
        archive: the archive's rows, by the instants of their snapshots.
        now: when this is measured.

    Raises:
        CalibrationUnclear: too few rows that tell, no offset under which nine tenths agree, or two such offsets.
    """
    instants, values = archive["ts"].to_numpy().astype("datetime64[us]"), archive["open_interest"].to_numpy()
    steps = np.abs(np.diff(values)) > 2 * TOLERANCE
    telling = np.isfinite(values)
    telling[1:] &= steps
    telling[:-1] &= steps
    instants, values = instants[telling], values[telling]
    stamps, seen = rest["ts"].to_numpy().astype("datetime64[us]"), rest["open_interest"].to_numpy()
    found = {}
    for minutes in OFFSETS_MINUTES:
        _, of_archive, of_rest = np.intersect1d(instants, stamps + minutes * _MINUTE, return_indices=True)
        agree = np.abs(values[of_archive] - seen[of_rest])[-NEWEST_ROWS:] <= TOLERANCE
        found[minutes] = (int(agree.sum()), agree.size)
    best = max(OFFSETS_MINUTES, key=lambda minutes: found[minutes][0])
    matches, compared = found[best]
    others = max(found[minutes][0] for minutes in OFFSETS_MINUTES if minutes != best)
    if compared < LEAST_ROWS or matches < LEAST_SHARE * compared or others >= 0.5 * matches:
        tried = ", ".join(
            f"{minutes:+d} min: {found[minutes][0]} of {found[minutes][1]}" for minutes in OFFSETS_MINUTES
        )
        raise CalibrationUnclear(
            f"what REST's stamps of open interest mean cannot be measured (values as in the archive: {tried})",
            expected=f"nine tenths of at least {LEAST_ROWS} rows that the archive has, too",
            remedy="its rows are not used until the archive has more; if it stays, look at docs/exchange.md",
        )
    newest = min(pc.max(archive["ts"]).as_py(), pc.max(rest["ts"]).as_py() + timedelta(minutes=best))
    return Calibration(best, matches, compared, now, newest)


def shifted(rest: pa.Table, calibration: Calibration) -> pa.Table:
    """Return rows by the instants of their snapshots."""
    offset = pa.scalar(calibration.offset_minutes * 60_000_000, pa.duration("us"))
    return rest.set_column(rest.schema.get_field_index("ts"), rest.schema.field("ts"), pc.add(rest["ts"], offset))


def load_calibration(path: Path) -> Calibration | None:
    """Read a stored measurement; None if there is none that can be read: it is measured anew."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name in ("measured_at", "newest_compared"):
            content[name] = datetime.fromisoformat(content[name])
        found = Calibration(**content)
        if type(found.offset_minutes) is not int or found.offset_minutes not in OFFSETS_MINUTES:
            raise ValueError(found.offset_minutes)
        if found.measured_at.tzinfo is None or found.newest_compared.tzinfo is None:
            raise ValueError("a time without a zone")
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Store a measurement, whole or not at all."""
    content = asdict(calibration)
    for name in ("measured_at", "newest_compared"):
        content[name] = content[name].isoformat()
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
