"""Hostile input for the service: manifests and Parquet on its disk.

Each function tries one input and raises AssertionError (or whatever escaped) on an outcome that is not documented.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.errors import LiqError
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.status import read_status
from liq_pipeline.server import answers
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.store import Store
from liq_pipeline_tests.server.hostile_requests import SECONDS, ask, folder, mutated, port
from liq_pipeline_tests.server.small import AS_OF, DATASETS, GOOD, HURT, NOW


@cache
def _originals() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder()).rglob("*") if path.is_file() and HURT in str(path)}


class HastyStore(Store):
    """Does not wait for a publisher."""

    attempts = 2


_VALUES: tuple[Any, ...] = (
    None, True, "x", "", [1], {}, 0, -1, 1e308, -1e308, 10**30, 1e-320, "2026-06-28T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "2026-06-28", "2026-06-28T00:00:00", "٣", "\ud800", "a" * 10_000, [[[]]], "NaN",
    GOOD, "7d",
)  # fmt: skip
_TEXTS = (
    b"", b"[1]", b"null", b'"x"', b"{}", b"[" * 200_000, b'{"as_of":' * 5_000, b"\xff\xfe{}", b"{" * 10, b"1" * 6_000,
    b'{"as_of": "x"}', b"x" * 2_000_000, b" " * 900_000 + b"{}", b'{"as_of": NaN}', b"\x00" * 100, b"\xef\xbb\xbf{}",
)  # fmt: skip


def one_manifest(random: Random) -> None:
    """Damage one manifest; its symbol answers or is said to be damaged, the others answer."""

    def damage(path: Path) -> None:
        place = manifest_path(path)
        plain = place.read_bytes()
        choice = random.random()
        if choice < 0.15:
            place.write_bytes(random.choice(_TEXTS))
        elif choice < 0.5:
            place.write_bytes(mutated(random, plain))
        else:
            content = json.loads(plain)
            for name in random.sample(sorted(content), k=random.choice((1, 1, 2, 5))):
                if random.random() < 0.2:
                    del content[name]
                else:
                    content[name] = random.choice(_VALUES)
            place.write_bytes(json.dumps(content).encode())

    _with_damage(random, damage)


def one_parquet(random: Random) -> None:
    """Damage one Parquet file and let its manifest vouch for it; then as `one_manifest`."""

    def damage(path: Path) -> None:
        plain = path.read_bytes()
        if random.random() < 0.5:
            data = mutated(random, plain)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                pq.write_table(_odd_rows(random, pq.read_table(path, partitioning=None)), Path(scratch) / "x")
                data = (Path(scratch) / "x").read_bytes()
        path.write_bytes(data)
        place = manifest_path(path)
        vouch = json.loads(place.read_text()) | {"sha256": hashlib.sha256(data).hexdigest()}
        if random.random() < 0.5:
            with contextlib.suppress(Exception):  # whatever cannot be counted stays as it was said
                vouch["row_count"] = pq.ParquetFile(path).metadata.num_rows
        place.write_text(json.dumps(vouch))

    _with_damage(random, damage)


def _odd_rows(random: Random, rows: pa.Table) -> pa.Table:
    """Return rows with some values that cannot be true, or columns of another kind."""
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(rows.num_columns)
        field = rows.schema.field(place)
        values = rows.column(place).to_pylist()
        at = random.randrange(max(1, len(values)))
        odd: dict[Callable[[pa.DataType], bool], tuple[Any, ...]] = {
            pa.types.is_floating: (
                None,
                float("nan"),
                float("inf"),
                -float("inf"),
                -1.0,
                0.0,
                1e30,
                1e17,
                1e-9,
                5e-324,
            ),
            pa.types.is_string: (None, "", "x", "long", "short", "\u0000", "a" * 1000),
            pa.types.is_timestamp: (None, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), AS_OF),
        }
        choice = random.random()
        if choice < 0.6 and values and not pa.types.is_dictionary(field.type):
            values[at] = random.choice(next((some for kind, some in odd.items() if kind(field.type)), (None,)))
            rows = rows.set_column(place, field, pa.array(values, field.type))
        elif choice < 0.7:
            rows = rows.remove_column(place)  # not by its name: another may have it, too
        elif choice < 0.8:
            rows = rows.set_column(place, field.name, pa.array([1] * rows.num_rows))
        elif choice < 0.85:
            rows = rows.append_column(random.choice((field.name, "more")), pa.array([[1]] * rows.num_rows))
        elif choice < 0.9:
            rows = rows.slice(0, 0)
        elif choice < 0.95:
            rows = pa.concat_tables([rows, rows])
        elif not pa.types.is_nested(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).dictionary_encode())
        if not rows.num_columns:
            return pa.table({"x": [1]})
    return rows


def _with_damage(random: Random, damage: Callable[[Path], None]) -> None:
    path = dataset_path(folder(), random.choice((*DATASETS, "positions")), HURT, random.choice(list(TIMEFRAMES)))
    originals = _originals()
    began = time.process_time()
    try:
        damage(path)
        _look_at_all(random, path.stem if path.stem in TIMEFRAMES else "7d")
    finally:
        for place in (path, manifest_path(path)):
            place.write_bytes(originals[place])
    assert (seconds := time.process_time() - began) < SECONDS, f"{seconds:.1f} s"


def _look_at_all(random: Random, timeframe: str) -> None:
    store = HastyStore(folder())
    state = answers.state(store, NOW)
    json.loads(answers.as_json({"symbols": state.symbols, "damaged": state.damaged}))
    assert GOOD in [item["symbol"] for item in state.symbols]
    said = read_status(folder(), NOW)
    assert not said[GOOD]["damaged"]
    assert all(entry["notice"] for entry in said.values())
    for datasets, kind, make in (
        (("liquidation_levels",), random.choice(("json", "csv", "parquet")), _levels),
        (("liquidation_levels",), "json", answers.summary),
        (("liquidation_heatmap", "candles"), random.choice(("json", "coinglass")), answers.heatmap),
        (("candles",), "json", answers.candles),
        (("positions",), random.choice(("json", "csv", "parquet")), _levels),
    ):
        moment = AS_OF - timedelta(minutes=random.choice((0, 1, 5, 10, 11))) if datasets == ("positions",) else NOW
        try:
            body = make(store.read(datasets, HURT, timeframe), Asked(datasets, HURT, timeframe, moment, kind))
        except LiqError:
            continue
        if kind in ("json", "coinglass"):
            json.loads(body, parse_constant=_refuse)
    if random.random() < 0.02:
        for target, fine in (("/symbols", (200,)), ("/health", (200,)), ("/metrics", (200,)),
                             (f"/liquidations/levels?symbol={GOOD}", (200,)),
                             (f"/liquidations/heatmap?symbol={HURT}", (200, 404, 503))):  # fmt: skip
            answer, _ = ask(port(), f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert int(answer[9:12]) in fine, (target, answer[:400])


def _levels(edition: Any, asked: Asked) -> bytes:
    return answers.levels(edition, asked, side="", min_usd=0)


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} in an answer")
