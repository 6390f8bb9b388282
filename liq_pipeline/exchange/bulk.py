"""Many daily zips into one Arrow table, in bulk, knowing for every row which file and line it came from.

Type detection and a reader per file cost twenty times the inflating, so files are inflated, freed
of their headers, joined, and read at once with explicit types. Only when that fails are the culprits looked for, by
halving.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from liq_pipeline.errors import FormatError

FILES_PER_READ = 128  # about 5 MB of CSV: large enough to be fast, small enough to stay in cache

MOST_BYTES = 1 << 20  # of one day's CSV: 288 rows are 50 kB, doubled ones 100 kB
MOST_COLUMNS = 1_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the exchange uses

Bad = list[tuple[Path, FormatError]]


@dataclass(frozen=True)
class Layout:
    """What a CSV of one kind must look like.

    Args:
        types: column names, in order, with their types.
        header_always: a file without a header line is an error; otherwise both occur (`strip_header`).
    """

    types: dict[str, pa.DataType]
    header_always: bool

    @property
    def header(self) -> bytes:
        """The header line."""
        return ",".join(self.types).encode()


@dataclass(frozen=True)
class _Body:
    """The data lines of one file, without its header."""

    path: Path
    day: date
    data: bytes
    rows: int
    has_header: bool


@dataclass(frozen=True)
class RowFault:
    """Rows that no good file has: a mask over rows, what was expected, and the error to raise."""

    rows: np.ndarray
    expected: str
    error: type[FormatError] = FormatError


@dataclass(frozen=True)
class Rows:
    """The rows of many files. File `i` owns rows `starts[i]:starts[i + 1]`, in the order of the file."""

    table: pa.Table
    paths: list[Path]
    days: list[date]
    has_header: np.ndarray
    starts: np.ndarray
    _columns: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def per_row(self, per_file: np.ndarray) -> np.ndarray:
        """Spread one value per file over the file's rows."""
        return np.repeat(per_file, np.diff(self.starts))

    def column(self, name: str) -> np.ndarray:
        """Return a column as NumPy; nulls of float columns become NaN."""
        if name not in self._columns:
            self._columns[name] = self.table[name].to_numpy()
        return self._columns[name]

    def without_offenders(self, offences: Sequence[RowFault], bad: Bad) -> Rows:
        """Return the rows of files without an offending row; the other files go to `bad`, with their first such row."""
        culprits: dict[int, FormatError] = {}
        for offence in offences:
            if not offence.rows.any():
                continue
            rows = np.flatnonzero(offence.rows)
            files, first = np.unique(np.searchsorted(self.starts, rows, side="right") - 1, return_index=True)
            for file, row in zip(files.tolist(), rows[first].tolist(), strict=True):
                if file not in culprits:
                    line = row - int(self.starts[file]) + 1 + int(self.has_header[file])
                    culprits[file] = line_error(self.paths[file], line, offence.expected, offence.error)
        if not culprits:
            return self
        bad += [(self.paths[file], culprits[file]) for file in sorted(culprits)]
        keep = np.array([file not in culprits for file in range(len(self.paths))], dtype=bool)
        kept = np.flatnonzero(keep).tolist()
        return Rows(
            self.table.filter(pa.array(self.per_row(keep))),
            [self.paths[file] for file in kept],
            [self.days[file] for file in kept],
            self.has_header[keep],
            np.concatenate([[0], np.cumsum(np.diff(self.starts)[keep])]),
        )


def read_rows(files: Sequence[tuple[date, Path]], layout: Layout) -> tuple[Rows, Bad]:
    """Read daily zips in the order given.

    Args:
        files: day and path of each zip.
        layout: what their CSV must look like.

    Returns:
        The rows of all files that could be read, and the others, each with what is wrong with it.
    """
    bad: Bad = []
    with ThreadPoolExecutor(1) as reader:  # Arrow reads one chunk while Python inflates the next
        reads = []
        for start in range(0, len(files), FILES_PER_READ):
            bodies = []
            for day, path in files[start : start + FILES_PER_READ]:
                try:
                    bodies.append(_body(path, day, layout))
                except FormatError as error:
                    bad.append((path, error))
            reads.append(reader.submit(_read, bodies, layout, bad))
        pieces = [piece for read in reads for piece in read.result()]
    good = [body for _, bodies in pieces for body in bodies]
    table = pa.concat_tables(table for table, _ in pieces) if pieces else pa.schema(layout.types.items()).empty_table()
    return (
        Rows(
            table,
            [body.path for body in good],
            [body.day for body in good],
            np.array([body.has_header for body in good], dtype=bool),
            np.concatenate([[0], np.cumsum([body.rows for body in good], dtype=np.int64)]).astype(np.int64),
        ),
        bad,
    )


def read_member(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the one CSV that a zip holds, inflated; the zip's own checksum is verified on the way.

    Args:
        path: the zip.
        most_bytes: that it may inflate to.

    Raises:
        FormatError: not a zip, damaged, packed in an unusual way, too large, or not exactly one CSV of the same name.
    """
    name = path.name.removesuffix(".part")
    expected = name.removesuffix(".zip") + ".csv"
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if [member.filename for member in members] != [expected]:
                shown = str([member.filename for member in members[:3]])[:200]
                raise FormatError(
                    f"{name} holds {len(members)} files, {shown}", expected=f"exactly one file, {expected}"
                )
            if members[0].compress_type not in METHODS:
                method = f"{name} cannot be unzipped: it is packed by method {members[0].compress_type}"
                raise FormatError(method, expected="method 8 (deflate) or 0 (stored)")
            with archive.open(members[0]) as file:
                content = file.read(most_bytes + 1)
    except FormatError:
        raise
    except FileNotFoundError as error:
        raise FormatError(f"{path} is gone", remedy="run again: it will be fetched anew") from error
    except Exception as error:  # a damaged zip raises whatever it likes: OSError, struct.error, NotImplementedError ...
        reason = str(error) or type(error).__name__
        raise FormatError(f"{name} cannot be unzipped: {reason[:200]}", expected="a sound zip") from error
    if len(content) > most_bytes:
        raise FormatError(f"{name} inflates to more than {most_bytes:,} bytes", expected="the rows of one day")
    return content


def refuse_wide(lines: Iterable[str], most_columns: int = MOST_COLUMNS) -> None:
    """Refuse a CSV whose first row, which sets its columns, is very wide: pandas takes a second per 3,000 of them.

    Args:
        lines: of the CSV, at least the first ones.
        most_columns: that the row may have.

    Raises:
        ValueError: it has more, or cannot be read.
    """
    try:
        first = next((row for row in csv.reader(lines) if "".join(row).strip() or len(row) > 1), [])
    except csv.Error as error:
        raise ValueError(f"first row: {error}") from error
    if len(first) > most_columns:
        raise ValueError(f"its first row has {len(first):,} cells, more than {most_columns:,}")


def strip_header(data: bytes, layout: Layout, name: str) -> tuple[bytes, bool]:
    """Return the data lines, and whether a header stood before them.

    Kline files come with and without a header, with no rule that holds (exchange.md 1.6): the header is there when the
    first field is not a number. Metrics files always have one. A header must be the known one: else the columns
    cannot be told apart.

    Raises:
        FormatError: no header where there must be one, or an unknown one.
    """
    first_line = data[: data.find(b"\n")] if b"\n" in data else data
    if first_line == layout.header:
        return data[len(first_line) + 1 :], True
    if not layout.header_always and first_line.split(b",", 1)[0].isdigit():
        return data, False
    raise FormatError(
        f"{name}, line 1: {first_line[:200].decode('utf-8', 'replace')!r}",
        expected=f"the header {layout.header.decode()!r}" + ("" if layout.header_always else ", or numbers"),
    )


def line_error(path: Path, line: int, expected: str, error: type[FormatError] = FormatError) -> FormatError:
    """Return an error that names a file, the number of a line (from 1) and its text."""
    text = read_member(path).replace(b"\r\n", b"\n").split(b"\n")[line - 1][:200].decode("utf-8", "replace")
    return error(f"{path.name.removesuffix('.part')}, line {line}: {text!r}", expected=expected)


def _body(path: Path, day: date, layout: Layout) -> _Body:
    name = path.name.removesuffix(".part")
    content = read_member(path)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
        if b"\r" in content:  # some readers end a line there, others do not
            raise FormatError(f"{name} has a carriage return inside a line", expected="lines that end with a line feed")
    data, has_header = strip_header(content, layout, name)
    data = data.rstrip(b"\n")
    if not data:
        raise FormatError(f"{name} holds no rows", expected="one row per bar of the day")
    return _Body(path, day, data + b"\n", data.count(b"\n") + 1, has_header)


def _read(bodies: list[_Body], layout: Layout, bad: Bad) -> list[tuple[pa.Table, list[_Body]]]:
    """Read the bodies at once; on failure halve, until the culprit is alone."""
    if not bodies:
        return []
    try:
        table = _read_csv(b"".join(body.data for body in bodies), layout)
        if table.num_rows == sum(body.rows for body in bodies):  # a stray quote can swallow line ends
            return [(table, bodies)]
    except pa.ArrowException:
        pass
    if len(bodies) == 1:
        bad.append((bodies[0].path, _first_unreadable_line(bodies[0], layout)))
        return []
    half = len(bodies) // 2
    return _read(bodies[:half], layout, bad) + _read(bodies[half:], layout, bad)


def _read_csv(data: bytes, layout: Layout) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(column_names=list(layout.types), block_size=1 << 21),
        parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
        # Only an empty cell, quoted or not, is null; any other text that is no number is an error (exchange.md 1.6).
        convert_options=pyarrow.csv.ConvertOptions(column_types=layout.types, null_values=[""]),
    )


def _first_unreadable_line(body: _Body, layout: Layout) -> FormatError:
    columns = f"{len(layout.types)} cells: {', '.join(f'{name} ({kind})' for name, kind in layout.types.items())}"
    for number, line in enumerate(body.data.rstrip(b"\n").split(b"\n"), start=1 + int(body.has_header)):
        try:
            if _read_csv(line + b"\n", layout).num_rows == 1:
                continue
        except pa.ArrowException:
            pass
        return line_error(body.path, number, columns)
    return FormatError(f"{body.path.name} cannot be read as CSV", expected=columns)
