"""Files that users bring: packed, damaged, too large, or not what their names say. Always an error of ours."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liq_pipeline.errors import FormatError, LiqError, NoData
from liq_pipeline.validation import packed
from liq_pipeline.validation.files import instants_of, positive_series, read_frame
from liq_pipeline.validation.truth import truth_rows

CSV = b"ts,open_interest\n2026-01-11T00:05:00Z,5\n2026-01-11T00:10:00Z,6\n2026-01-11T00:15:00Z,7\n"


def _tar(content: bytes, mode: str = "w", names: tuple[str, ...] = ("a.csv",)) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _zip(content: bytes, names: tuple[str, ...] = ("a.csv",)) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return out.getvalue()


PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
    "zip": _zip,
    "tar": _tar,
    "tar.gz": lambda content: _tar(content, "w:gz"),
    "tar.xz": lambda content: _tar(content, "w:xz"),
    "tgz": lambda content: _tar(content, "w:gz"),
}


def _zst(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return sink.getvalue().to_pybytes()


PACK["zst"] = _zst


@pytest.fixture(params=PACK)
def kind(request) -> str:
    return request.param


def test_a_packed_table_is_read_whatever_it_is_packed_with(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"oi.csv.{kind}"
    path.write_bytes(PACK[kind](CSV))
    assert read_frame(path)["open_interest"].tolist() == [5, 6, 7]


def test_a_damaged_one_is_the_right_table_or_an_error_of_ours(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"oi.csv.{kind}"
    whole = PACK[kind](CSV)
    rng = np.random.default_rng(5)
    for _ in range(60):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data if rng.random() < 0.7 else whole[: rng.integers(len(whole))])
        with contextlib.suppress(LiqError):
            read_frame(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not packed at all", b"\0" * 1000])
def test_what_is_packed_by_its_name_only_is_an_error_of_ours(kind: str, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"oi.csv.{kind}"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_frame(path)


def test_what_inflates_to_much_is_refused_before_it_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(packed.inflate, "__defaults__", (1 << 20,))
    path = tmp_path / f"oi.csv.{kind}"
    path.write_bytes(PACK[kind](b"\0" * 30_000_000))
    begin = time.monotonic()
    with pytest.raises(FormatError, match=r"inflates to more than 1,048,576 bytes"):
        read_frame(path)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("names", [(), ("a.csv", "b.csv")])
def test_an_archive_must_hold_one_file(tmp_path: Path, names: tuple[str, ...]) -> None:
    for suffix, content in (("zip", _zip(CSV, names)), ("tar", _tar(CSV, names=names))):
        path = tmp_path / f"oi.{suffix}"
        path.write_bytes(content)
        with pytest.raises(FormatError, match="exactly one file"):
            read_frame(path)


def test_a_folder_in_an_archive_is_no_file(tmp_path: Path) -> None:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.mkdir("data")
        archive.writestr("data/a.csv", CSV)
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        folder, member = tarfile.TarInfo("data"), tarfile.TarInfo("data/a.csv")
        folder.type, member.size = tarfile.DIRTYPE, len(CSV)
        archive.addfile(folder)
        archive.addfile(member, io.BytesIO(CSV))
    for suffix, content in (("zip", zipped), ("tar", tarred)):
        path = tmp_path / f"oi.{suffix}"
        path.write_bytes(content.getvalue())
        assert read_frame(path)["open_interest"].tolist() == [5, 6, 7]


def test_a_tar_of_many_is_read_no_further_than_the_second(tmp_path: Path) -> None:
    path = tmp_path / "oi.tar"
    path.write_bytes(_tar(CSV, names=("a.csv", "b.csv", "c.csv")))
    with pytest.raises(FormatError, match=r"holds a\.csv, b\.csv\. Expected: exactly one file"):
        read_frame(path)


@pytest.mark.parametrize("header", ["ts, ts,x", "ts,TS,x", "a,x,x ", "open_interest,ts, Open_Interest"])
def test_columns_of_one_name_are_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "oi.csv"
    path.write_text(f"{header}\n1,2,3\n")
    with pytest.raises(FormatError, match="several columns named"):
        read_frame(path)


@pytest.mark.parametrize("before", ["", "\n \n", '"a\nb",'])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_very_wide_table_is_refused_at_once(tmp_path: Path, kind: str, before: str) -> None:
    path = tmp_path / f"oi.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({f"c{n}": [1] for n in range(5_000)}), path)
    else:
        content = (before + "time,side," * 15_000).encode()
        path.write_bytes(gzip.compress(content) if kind == "csv.gz" else content)
    begin = time.process_time()
    with pytest.raises(FormatError, match=r"(cells|columns), more than 1,000"):
        read_frame(path)
    assert time.process_time() - begin < 2  # pandas alone: twenty


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"\0" * 64])
def test_a_parquet_file_that_is_none_is_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "oi.parquet"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="cannot be read"):
        read_frame(path)


def test_a_small_parquet_file_of_very_many_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "oi.parquet"
    rows = pa.table(
        {"ts": pa.repeat(pa.scalar(0, pa.int64()), 26_000_000), "open_interest": pa.repeat(1.0, 26_000_000)}
    )
    pq.write_table(rows, path)
    with pytest.raises(FormatError, match="holds 52,000,000 cells"):
        read_frame(path)


def test_a_folder_or_nothing_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(LiqError, match=r"is no file|does not exist"):
            read_frame(path)


@pytest.mark.parametrize(
    "stamps",
    [[1e300, 1e300, 1e300], [np.inf, 1.7e9, 1.7e9], [-1.0, 0.0, 5.0], [np.nan] * 3, ["never"] * 3, ["9999-12-31"] * 3,
     [2**63 - 1] * 3, [True, False, True], ["58190-01-01"] * 3, [[1], [2], [3]]],
)  # fmt: skip
def test_stamps_that_are_none_are_never_taken_for_one(tmp_path: Path, stamps: list) -> None:
    frame = pd.DataFrame({"ts": stamps, "x": [1, 2, 3]})
    try:
        found, _ = instants_of(frame, tmp_path)
    except FormatError:
        return
    assert found.isna().all() or stamps[1] == 1.7e9


def test_open_interest_that_cannot_be_is_left_out() -> None:
    stamps = pd.Series(pd.date_range("2026-01-11", periods=8, freq="5min"))
    values = pd.Series([1, 2, 3, 0, -1, np.inf, 1e308, np.nan])
    assert positive_series(stamps, values).tolist() == [1, 2, 3]
    with pytest.raises(NoData):
        positive_series(stamps, pd.Series([1e308] * 8))


def test_liquidations_that_cannot_be_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    rows = [f"2026-01-11T0{n}:00:00Z,{usd},{usd}" for n, usd in enumerate(("1", "2", "-3", "inf", "1e300", "nan", "4"))]
    path.write_text("\n".join(["ts,long_usd,short_usd", *rows]) + "\n")
    assert truth_rows(path, "BTCUSDT").usd[:, 0].tolist() == [1, 2, 4]
