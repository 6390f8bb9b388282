"""The archive's files: keys, zips with fixed bytes, sidecars; and the faults that tests plant in them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

ROOT = "data/futures/um/daily"


def metrics_key(symbol: str, day: date) -> str:
    """Return the key of a day of metrics."""
    return f"{ROOT}/metrics/{symbol}/{symbol}-metrics-{day.isoformat()}.zip"


def kline_key(symbol: str, interval: str, day: date) -> str:
    """Return the key of a day of klines."""
    return f"{ROOT}/klines/{symbol}/{interval}/{symbol}-{interval}-{day.isoformat()}.zip"


def write_sidecar(folder: Path, key: str, digest: str) -> None:
    """Write `<sha256>  <zip name>` beside the zip, as the exchange does."""
    path = folder / f"{key}.CHECKSUM"
    path.write_bytes(f"{digest}  {Path(key).name}\n".encode())


def write_bytes(folder: Path, key: str, data: bytes) -> None:
    """Write an object and its sidecar."""
    (folder / key).write_bytes(data)
    write_sidecar(folder, key, hashlib.sha256(data).hexdigest())


def write_zip(folder: Path, key: str, text: str) -> None:
    """Write one CSV as a zip of the same stem, and its sidecar. Equal text gives equal bytes."""
    name = Path(key).stem + ".csv"
    member = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system, member.external_attr = 3, 0o644 << 16  # as on Unix, wherever this runs
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, text.encode(), compresslevel=3)
    write_bytes(folder, key, buffer.getvalue())


def read_lines(folder: Path, key: str) -> list[str]:
    """Return the lines of the one CSV in a zip."""
    with zipfile.ZipFile(folder / key) as archive:
        return archive.read(archive.namelist()[0]).decode().splitlines()


def rewrite_day(folder: Path, key: str, change: Callable[[list[str]], list[str]]) -> None:
    """Replace the lines of a day by `change(lines)`; zip and sidecar agree again, as after the exchange's rewrites."""
    write_zip(folder, key, "\n".join(change(read_lines(folder, key))) + "\n")


def garbage_row(folder: Path, key: str) -> None:
    """Put words where a number should be, in the middle row; only the content is bad."""

    def spoil(lines: list[str]) -> list[str]:
        middle = len(lines) // 2
        cells = lines[middle].split(",")
        return [*lines[:middle], ",".join([*cells[:2], "garbage", *cells[3:]]), *lines[middle + 1 :]]

    rewrite_day(folder, key, spoil)


def corrupt_zip(folder: Path, key: str) -> None:
    """Cut a zip in half; the sidecar is that of the half, so only the zip is bad."""
    data = (folder / key).read_bytes()
    write_bytes(folder, key, data[: len(data) // 2])


def wrong_checksum(folder: Path, key: str) -> None:
    """Leave the zip as it is and make its sidecar stale."""
    write_sidecar(folder, key, hashlib.sha256(b"another file").hexdigest())


def remove_day(folder: Path, key: str) -> None:
    """Remove a zip and its sidecar."""
    (folder / key).unlink()
    (folder / f"{key}.CHECKSUM").unlink()
