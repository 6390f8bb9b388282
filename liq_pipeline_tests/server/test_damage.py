"""What is damaged on disk is said to be, and hides nothing else; only files of one edition are served together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.manifests import read_manifest, sound_manifest
from liq_pipeline.published.publish import Publisher
from liq_pipeline.published.status import read_status
from liq_pipeline.server import models
from liq_pipeline_tests.server.small import DATASETS, GOOD, HURT, NOW, datasets_of, small_copy


@pytest.fixture
def small(tmp_path, made_once) -> Path:
    return small_copy(tmp_path / "published", made_once)


def manifest_of(folder: Path, dataset: str = "liquidation_levels", timeframe: str = "7d") -> Path:
    return manifest_path(dataset_path(folder, dataset, HURT, timeframe))


def altered(manifest: Path, **facts) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | facts))


ROUTES = {
    "liquidation_levels": "liquidations/levels",
    "liquidation_heatmap": "liquidations/heatmap",
    "candles": "candles",
}
DAMAGED = {
    "as_of is no instant": b'{"as_of": "x"}',
    "a list": b"[1]",
    "null": b"null",
    "deep": b"[" * 200_000,
    "deep objects": b'{"as_of":' * 100_000,
    "not UTF-8": b"\xff\xfe{}",
    "huge": b" " * 2_000_000,
    "digits without end": b"1" * 5_000,
    "NaN": b'{"current_price": NaN}',
    "cut off": b'{"as_of": "2026-06-28T00:0',
    "empty": b"",
}
FACTS = {
    "as_of": ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-06-28T00:00:00", "2026-06-28", 5, None],
    "current_price": ["1", -1, 0, 1e308, 1e-320, None, [1], True],
    "sha256": ["x", None, 5, {"a": "b"}],
    "row_count": [-1, "5", 1.5, 10**30],
    "source_label": [5, "x" * 10_000, ["simulated"]],
    "burn_in_days": ["x", 1e300],
    "first_ts": ["x", 5],
    "symbol": [GOOD, 5],
    "timeframe": ["90d", 7],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_manifest_is_said_and_everything_else_is_served(own_service, small, content) -> None:
    manifest_of(small).write_bytes(content)
    service = own_service(folder=small)

    for path in ("/symbols", "/health"):
        answer = service.get(path)
        assert answer.status_code == 200
        (said,) = answer.json()["damaged"]
        assert (said["symbol"], said["timeframe"]) == (HURT, "7d")
        assert "is damaged" in said["detail"]
    assert service.get("/health").json()["status"] == "degraded"
    assert "liq_damaged_files 1.0" in service.get("/metrics").text
    found = models.Symbols.model_validate(service.get("/symbols").json())
    assert [(one.symbol, len(one.timeframes)) for one in found.symbols] == [(GOOD, 4), (HURT, 3)]

    refused = service.get(f"/liquidations/levels?symbol={HURT}&timeframe=7d")
    assert refused.status_code == 503
    assert "is damaged" in models.Problem.model_validate(refused.json()).detail
    for symbol, timeframe in ((GOOD, "7d"), (HURT, "1d")):
        assert service.get(f"/liquidations/levels?symbol={symbol}&timeframe={timeframe}").status_code == 200


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FACTS.items() for value in values])
def test_a_manifest_of_wrong_types_is_damaged_for_every_reader(small, name, value) -> None:
    path = dataset_path(small, "liquidation_levels", HURT, "7d")
    altered(manifest_path(path), **{name: value})

    with pytest.raises(PublishedDamaged, match=name):
        sound_manifest(path, ("current_price",))
    said = read_status(small, NOW)
    assert name in said[HURT]["damaged"][0]
    assert not said[GOOD]["damaged"]


def test_writers_begin_anew_where_a_manifest_is_damaged(small) -> None:
    path = dataset_path(small, "liquidation_levels", HURT, "7d")
    assert read_manifest(path)
    for content in DAMAGED.values():
        manifest_path(path).write_bytes(content)
        assert read_manifest(path) is None


def test_status_says_what_is_damaged(liq, small) -> None:
    for timeframe in ("1d", "7d", "30d", "90d"):
        manifest_of(small, timeframe=timeframe).write_bytes(b"[1]")
    done = liq("status", "--data", small.parent, "--now", NOW.isoformat())
    said = " ".join(done.out.split())

    assert done.code == 3
    assert HURT in said
    assert "is damaged" in said
    assert f"{GOOD}: data up to 2026-06-28" in said
    told = json.loads(liq("status", "--data", small.parent, "--now", NOW.isoformat(), "--json").out)["symbols"]
    assert (len(told[HURT]["damaged"]), told[HURT]["as_of"], told[GOOD]["damaged"]) == (4, None, [])


def vouched(path: Path, content: bytes, rows: int | None = None) -> None:
    """Replace a file and let its manifest say that all is well."""
    path.write_bytes(content)
    known = {"row_count": rows} if rows is not None else {}
    altered(manifest_path(path), sha256=hashlib.sha256(content).hexdigest(), **known)


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def with_value(table: pa.Table, column: str, value) -> pa.Table:
    values = table[column].to_pylist()
    values[1] = value
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(
    "fault", ["cut off", "not Parquet", "empty", "a byte", "another table", "a column less", "other rows"]
)
def test_broken_parquet_with_a_true_digest_is_said_and_everything_else_is_served(
    own_service, small, dataset, fault
) -> None:
    path = dataset_path(small, dataset, HURT, "7d")
    plain, table = path.read_bytes(), pq.read_table(path, partitioning=None)
    vouched(
        path,
        {
            "cut off": lambda: plain[: len(plain) // 2],
            "not Parquet": lambda: b"PAR1" + b"x" * 500 + b"PAR1",
            "empty": lambda: b"",
            "a byte": lambda: plain[:-6] + b"\xff" + plain[-5:],  # of the footer's length
            "another table": lambda: parquet(pa.table({"x": [1]})),
            "a column less": lambda: parquet(table.drop_columns([table.column_names[4]])),
            "other rows": lambda: parquet(pa.concat_tables([table, table])),
        }[fault](),
    )
    service = own_service(folder=small)
    for _ in range(2):
        refused = service.get(f"/{ROUTES[dataset]}?symbol={HURT}&timeframe=7d")
        assert refused.status_code == 503
        assert f"{dataset}.parquet is damaged" in refused.json()["detail"]
    assert service.get(f"/{ROUTES[dataset]}?symbol={GOOD}&timeframe=7d").status_code == 200
    assert service.get(f"/{ROUTES[dataset]}?symbol={HURT}&timeframe=1d").status_code == 200
    assert [one["symbol"] for one in service.get("/symbols").json()["symbols"]] == [GOOD, HURT]


@pytest.mark.parametrize(
    ("dataset", "column", "value"),
    [
        ("liquidation_levels", "notional_usd", float("nan")),
        ("liquidation_levels", "notional_usd", -1.0),
        ("liquidation_levels", "notional_usd", None),
        ("liquidation_levels", "price_low", 1e9),
        ("liquidation_levels", "side", "sideways"),
        ("liquidation_levels", "symbol", GOOD),
        ("liquidation_heatmap", "notional_usd_10x", float("inf")),
        ("liquidation_heatmap", "price_high", 1e12),
        ("liquidation_heatmap", "timeframe", "90d"),
        ("candles", "low", 1e6),
        ("candles", "close", 0.0),
        ("candles", "ts", None),
    ],
)
def test_rows_that_cannot_be_true_are_not_served(own_service, small, dataset, column, value) -> None:
    path = dataset_path(small, dataset, HURT, "7d")
    vouched(path, parquet(with_value(pq.read_table(path, partitioning=None), column, value)))
    answer = own_service(folder=small).get(f"/{ROUTES[dataset]}?symbol={HURT}&timeframe=7d")

    assert answer.status_code == 503
    assert "is damaged" in answer.json()["detail"]


def test_the_last_good_file_is_served_while_a_damaged_one_lies_there(own_service, small) -> None:
    service = own_service(folder=small)
    before = service.get(f"/liquidations/levels?symbol={HURT}").content
    vouched(dataset_path(small, "liquidation_levels", HURT, "7d"), b"x")

    assert service.get(f"/liquidations/levels?symbol={HURT}").content == before
    Publisher(folder=str(small)).publish(datasets_of(HURT, "7d", price=101.0))
    assert service.get(f"/liquidations/levels?symbol={HURT}").json()["current_price"] == 101.0


def test_a_heatmap_is_never_served_with_candles_of_another_edition(own_service, small) -> None:
    asked = f"/liquidations/heatmap?symbol={HURT}&timeframe=7d"
    _, heatmap, candles = datasets_of(HURT, "7d", as_of=NOW.replace(hour=4), price=120.0)
    running = own_service(folder=small)
    before = running.get(asked).content
    Publisher(folder=str(small), code_version="1").publish([heatmap])  # and the publisher died
    assert running.get(asked).content == before  # the last whole edition
    fresh = own_service(folder=small)
    refused = fresh.get(asked)
    assert (refused.status_code, "two editions" in refused.json()["detail"]) == (503, True)

    Publisher(folder=str(small), code_version="1").publish([heatmap, candles])
    for service in (running, fresh):
        found = service.get(asked).json()
        assert (found["current_price"], found["candles"][-1][3]) == (120.0, 120.0)


@pytest.mark.parametrize(
    ("dataset", "fact"),
    [("candles", "volume"), ("liquidation_heatmap", "source_label"), ("liquidation_heatmap", "current_price"),
     ("liquidation_heatmap", "burn_in_days")],
)  # fmt: skip
def test_the_tag_of_a_heatmap_changes_with_every_part_of_it(own_service, small, dataset, fact) -> None:
    asked = f"/liquidations/heatmap?symbol={HURT}&timeframe=7d"
    service = own_service(folder=small)
    first = service.get(asked)
    assert service.get(asked, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    path = dataset_path(small, dataset, HURT, "7d")
    if fact == "volume":
        vouched(path, parquet(with_value(pq.read_table(path, partitioning=None), "volume", 77.0)))
    else:
        new = {"source_label": "simulated", "current_price": 100.5, "burn_in_days": 3.0}[fact]
        for name in ("liquidation_heatmap", "candles"):
            altered(manifest_path(dataset_path(small, name, HURT, "7d")), **{fact: new})
    second = service.get(asked, headers={"If-None-Match": first.headers["etag"]})

    assert second.status_code == 200
    assert second.headers["etag"] != first.headers["etag"]
    assert second.content != first.content


def test_the_tag_of_levels_changes_with_price_and_label(own_service, small) -> None:
    asked = f"/liquidations/levels?symbol={HURT}&timeframe=7d"
    service = own_service(folder=small)
    tags = {service.get(asked).headers["etag"]}
    for facts in ({"current_price": 100.25}, {"source_label": "simulated"}):
        altered(manifest_of(small), **facts)
        tags.add(service.get(asked).headers["etag"])

    assert len(tags) == 3


@pytest.mark.parametrize(("dataset", "timeframe"), [("liquidation_levels", "7d"), ("candles", "1d"), ("oi_delta", "")])
@pytest.mark.parametrize("plant", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_file_that_is_gone_or_cut_short_is_said_by_status_and_service(
    own_service, liq, small, dataset, timeframe, plant
) -> None:
    service = own_service(folder=small)
    assert "damaged" not in service.get("/symbols").json()

    plant(dataset_path(small, dataset, HURT, timeframe or None))

    for path in ("/symbols", "/health"):
        (said,) = service.get(path).json()["damaged"]
        assert (said["symbol"], said["dataset"], said["timeframe"]) == (HURT, dataset, timeframe)
    assert service.get("/health").json()["status"] == "degraded"
    done = liq("status", "--data", small.parent, "--now", NOW.isoformat())
    assert done.code == 3
    assert f"{dataset} {HURT}" in " ".join(done.out.split())
