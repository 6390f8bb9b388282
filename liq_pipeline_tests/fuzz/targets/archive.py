"""The archive: daily zips, sidecars, listings, the manifest of what was fetched."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange.formats import (
    KLINES_LAYOUT,
    METRICS_LAYOUT,
    Parsed,
    read_klines,
    read_open_interest,
)
from liq_pipeline.exchange.keys import METRICS, inside, lies_under
from liq_pipeline.exchange.manifest import MANIFEST_SCHEMA, Entry, load_manifest, to_table
from liq_pipeline.exchange.quirks import blank_bad_prints
from liq_pipeline.exchange.row_rules import KLINE_NUMBERS, kline_faults
from liq_pipeline.exchange.s3 import NotAListing, parse_file, parse_page, text_of
from liq_pipeline.exchange.transfer import TransferError, parse_checksum
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.mutators import NUMBERS, mutate

DAY = date(2026, 1, 11)
MIDNIGHT = datetime(2026, 1, 11, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "archive"
USUAL, UNUSUAL = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    metrics, klines = metrics_csv(), klines_csv()
    return [
        _zips(
            workspace, f"BTCUSDT-metrics-{DAY}", metrics, lambda path: read_open_interest([path], "BTCUSDT"), _metrics
        ),
        _zips(workspace, f"BTCUSDT-5m-{DAY}", klines, lambda path: read_klines([path], "BTCUSDT", "5m"), _klines),
        Target(
            "checksum",
            [_SIDECAR.encode(), b"*".join(_SIDECAR.encode().split(b" "))],
            _checksum,
            _sidecar,
            (TransferError,),
        ),
        Target("listing", [_GOOD_LISTING, _listing(Random(2))], _read_listing, _listing, (NotAListing,)),
        Target("raw-manifest", [_manifest(1), _manifest(40)], _ManifestReader(workspace), is_file=True),
    ]


def metrics_csv(count: int = 12) -> bytes:
    """A good metrics file, or the beginning of one."""
    rows = [
        f"{MIDNIGHT + timedelta(minutes=5 * n):%Y-%m-%d %H:%M:%S},BTCUSDT,{80_000 + n}.5,"
        f"{7_000_000_000 + n}.25,1.1,1.2,1.3,1.4"
        for n in range(1, count + 1)
    ]
    return "\n".join([METRICS_LAYOUT.header.decode(), *rows, ""]).encode()


def klines_csv(count: int = 12, header: bytes = KLINES_LAYOUT.header) -> bytes:
    """A good kline file, or the beginning of one."""
    start = int(MIDNIGHT.timestamp() * 1000)
    rows = [
        f"{start + n * 300_000},100,{102 + n},99,101,10.5,{start + (n + 1) * 300_000 - 1},1050.5,7,5.5,550.5,0"
        for n in range(count)
    ]
    return b"\n".join([*([header] if header else []), *(row.encode() for row in rows), b""])


def zipped(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """One CSV in a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.csv"), content, method)
    return out.getvalue()


def zip_maker(name: str, seeds: list[bytes]) -> Callable[[Random], bytes]:
    """Return what draws zips: bad rows in a good zip, now and then an unusual or a damaged one."""

    def make(rng: Random) -> bytes:
        content = mutate(rng, rng.choice(seeds), seeds) if rng.random() < 0.9 else rng.choice(seeds)
        if rng.random() < 0.002:
            content = content * 3000  # it inflates to much
        methods = USUAL if rng.random() < 0.99 else UNUSUAL
        data = bytearray(zipped(name if rng.random() < 0.97 else "other", content[: 4 << 20], rng.choice(methods)))
        if rng.random() < 0.1:  # a header that lies
            at = data.rindex(b"PK\x01\x02") + rng.choice((8, 10, 16, 20, 24, 28, 30, 34, 42))
            struct.pack_into("<H", data, at, rng.randrange(65536))
        return bytes(data)

    return make


def _zips(
    workspace: Path, name: str, seed: bytes, read: Callable[[Path], Parsed], judge: Callable[[pa.Table], None]
) -> Target:
    path = workspace / f"{name}.zip"
    kind = name.split("-")[1]
    real = [found.read_bytes() for found in sorted(SHARED.rglob(f"BTCUSDT-{kind}-{DAY}.zip"))[:1]]
    seeds = [seed, seed.split(b"\n", 1)[1] if kind != "metrics" else seed]

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        parsed = read(path)
        if not all(isinstance(error, FormatError) for _, error in parsed.bad):
            raise Broken("a bad file without an error of ours")
        if len(parsed.bad) + len(parsed.facts) != 1:
            raise Broken("a file that is neither good nor bad")
        judge(parsed.table)
        if parsed.bad:
            raise parsed.bad[0][1]

    return Target(f"zip-{kind}", [*real, zipped(name, seed)], parse, zip_maker(name, seeds), is_file=True)


def _own_day(table: pa.Table) -> None:
    ts = table["ts"].to_numpy()
    slack = np.timedelta64(15, "m")
    first, last = np.datetime64(DAY, "us") - slack, np.datetime64(DAY, "us") + np.timedelta64(1, "D") + slack
    if ts.size and (ts.min() < first or ts.max() > last or (np.diff(ts) <= np.timedelta64(0)).any()):
        raise Broken("stamps of another day, or not ascending")


def _metrics(table: pa.Table) -> None:
    _own_day(table)
    check_snapshots(table, table.column_names[2:8])


def check_snapshots(table: pa.Table, columns: Sequence[str]) -> None:
    """Raise `Broken` for a number that open interest and ratios never are; zero contracts are worth zero."""
    for name in columns:
        values = table[name].to_numpy()
        if name == "open_interest_value_usd":
            values = np.where((values == 0) & np.isnan(table["open_interest"].to_numpy()), np.nan, values)
        if not np.array_equal(blank_bad_prints(values), values, equal_nan=True):
            raise Broken(f"{name} that cannot be")


def judge_klines(table: pa.Table) -> None:
    """Raise `Broken` where rows of klines break the rules of rows."""
    for _, expected in kline_faults({name: table[name].to_numpy() for name in KLINE_NUMBERS}):
        raise Broken(f"no {expected}")


def _klines(table: pa.Table) -> None:
    _own_day(table)
    judge_klines(table)


_KEY = METRICS.key("BTCUSDT", DAY)
_SIDECAR = f"{'0123456789abcdef' * 4}  {_KEY.rsplit('/', 1)[-1]}\n"


def _sidecar(rng: Random) -> bytes:
    digest = "".join(rng.choice("0123456789abcdefABCDEFg") for _ in range(rng.choice((64, 64, 64, 63, 65, 0, 4000))))
    blank, name = rng.choice(("  ", " *", "", "\n", "\t")), rng.choice((_KEY.rsplit("/", 1)[-1], _KEY, ""))
    return f"{digest}{blank}{name}".encode()


def _checksum(data: bytes) -> None:
    found = parse_checksum(data.decode("utf-8", "replace"), _KEY)
    if len(found) != 64 or set(found) - set("0123456789abcdef"):
        raise Broken("a checksum that is none")


def _listing(rng: Random) -> bytes:
    def item() -> str:
        key = METRICS.key("BTCUSDT", DAY + timedelta(days=rng.randrange(400)))
        key = rng.choice(
            (key, key, key, key + ".CHECKSUM", key + "/../../../x.zip", "../" + key, key.replace("/", "\\"))
        )
        size = rng.choice(("12345", "12345", "0", rng.choice(NUMBERS).decode("utf-8", "replace")))
        time = rng.choice(("2026-01-15T08:35:00.000Z", "2026-01-15T08:35:00.000Z", "", "0001-01-01T00:00:00+23:59"))
        return (
            f"<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>&quot;x&quot;</ETag>"
            f"<Size>{size}</Size></Contents>"
        )

    head = rng.choice(('<?xml version="1.0" encoding="UTF-8"?>', "", '<?xml version="1.0" encoding="utf-16"?>'))
    items = "".join(item() for _ in range(rng.randrange(6)))
    more = rng.choice(("true", "false"))
    return (
        f'{head}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{more}</IsTruncated>'
        f"{items}<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>"
    ).encode()


_GOOD_LISTING = (
    "<ListBucketResult>"
    f"<Contents><Key>{_KEY}</Key><LastModified>2026-01-15T08:35:00.000Z</LastModified><Size>5</Size></Contents>"
    "</ListBucketResult>"
).encode()


def _read_listing(data: bytes) -> None:
    page, prefix = parse_page(data), METRICS.prefix("BTCUSDT")
    folder = Path("/somewhere")
    for item in page.iterfind("{*}Contents"):
        if lies_under(prefix, text_of(item, "Key")):
            file = parse_file(item)
            if inside(folder, file.key).parent != folder / prefix:
                raise Broken(f"a key outside its folder: {file.key!r}")
            if not 0 <= file.size < 2**63:
                raise Broken("a size that cannot be")
            METRICS.day_of("BTCUSDT", file.key)


def _manifest(count: int) -> bytes:
    entries = [
        Entry(
            METRICS.key("BTCUSDT", DAY + timedelta(days=n)), "somewhere", "ok", MIDNIGHT, "a" * 64, "a" * 64, rows=288
        )
        for n in range(count)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(to_table({entry.key: entry for entry in entries}), sink)
    return bytes(sink.getvalue().to_pybytes())


class _ManifestReader:
    """A manifest is our own file: what is damaged counts as none, and everything is verified anew."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / "manifest.parquet"

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(data)
        for key, entry in load_manifest(self.path).items():
            if not isinstance(key, str) or set(vars(entry)) != set(MANIFEST_SCHEMA.names):
                raise Broken("an entry of another shape")
