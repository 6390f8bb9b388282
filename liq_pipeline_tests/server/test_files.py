"""Published files over HTTP: whole, by ranges, conditionally; nothing but what is published; and a list of them."""

from __future__ import annotations

import hashlib
import http.client
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.layout import dataset_path, published_symbols
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.server import models

FILE = "/files/liquidation_levels/BTCUSDT/7d.parquet"


@pytest.fixture
def content(good_run) -> bytes:
    return dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", "7d").read_bytes()


def test_a_file_is_answered_as_it_lies(service, content: bytes) -> None:
    found = service.get(FILE)

    assert (found.status_code, found.content) == (200, content)
    assert found.headers["content-type"] == "application/vnd.apache.parquet"
    assert found.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-3", slice(0, 4)),
        ("bytes=-8", slice(-8, None)),
        ("bytes=100-", slice(100, None)),
        ("bytes=5-5", slice(5, 6)),
    ],
)
def test_a_range_is_a_part(asked: str, part: slice, service, content: bytes) -> None:
    found = service.get(FILE, headers={"Range": asked})

    start, end, _ = part.indices(len(content))
    assert (found.status_code, found.content) == (206, content[part])
    assert found.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"


def test_a_range_beyond_the_end_cannot_be_had(service, content: bytes) -> None:
    found = service.get(FILE, headers={"Range": f"bytes={len(content)}-"})

    assert found.status_code == 416
    assert found.headers["content-range"].endswith(f"*/{len(content)}")


def test_head_has_the_headers_and_no_body(service, content: bytes) -> None:
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=10)
    connection.request("HEAD", FILE)
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["content-length"]) == len(content)


def test_who_has_it_is_told_so(service) -> None:
    first = service.get(FILE)

    assert service.get(FILE, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert service.get(FILE, headers={"If-Modified-Since": first.headers["last-modified"]}).status_code == 304
    assert service.get(FILE, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_range_of_another_edition_is_the_whole(service, content: bytes) -> None:
    found = service.get(FILE, headers={"Range": "bytes=0-3", "If-Range": '"older"'})

    assert (found.status_code, found.content) == (200, content)


@pytest.mark.parametrize(
    "path",
    [".lock", ".journal.json", "../warehouse", "%2e%2e/warehouse", "..%2f..%2fetc%2fpasswd", "%00",
     "liquidation_levels", "liquidation_levels/BTCUSDT/8d.parquet", "liquidation_levels/.x/7d.parquet", "/etc/passwd",
     "x" * 1500, ""],
)  # fmt: skip
def test_nothing_else_is_answered(path: str, service) -> None:
    found = service.get(f"/files/{path}")

    assert found.status_code == 404
    assert found.headers["content-type"] == "application/problem+json"


def test_a_link_out_of_the_folder_is_not_followed(own_service, good_run, tmp_path: Path) -> None:
    (tmp_path / "published" / "candles").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "published" / "candles" / "x.parquet").symlink_to(tmp_path / "secret")
    service = own_service(folder=tmp_path / "published")

    assert service.get("/files/candles/x.parquet").status_code == 404


def test_the_token_guards_files_too(own_service) -> None:
    service = own_service(token="a-secret-token")

    assert service.get(FILE).status_code == service.get("/index.json").status_code == 401
    assert service.get(FILE, headers={"Authorization": "Bearer a-secret-token"}).status_code == 200


def test_the_index_lists_every_file_of_rows(service, good_run) -> None:
    found = service.get("/index.json").json()

    models.Index.model_validate(found, strict=True)
    root = good_run.published_dir
    there = {
        f"/files/{path.relative_to(root).as_posix()}"
        for dataset in SCHEMAS
        for symbol in published_symbols(root, dataset)
        for path in (root / dataset / symbol).glob("*.parquet")
    }
    assert {file["url"] for file in found["files"]} == there
    for file in found["files"]:
        content = service.get(file["url"]).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        table = pq.read_table(root / file["url"].removeprefix("/files/"))
        assert table.num_rows == file["row_count"]
        assert {field.name: str(field.type) for field in table.schema} == found["columns"][file["dataset"]]


def test_pandas_reads_it(service, good_run) -> None:
    rows = pd.read_parquet(service.url + FILE)

    assert rows.equals(pd.read_parquet(dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", "7d")))


def test_polars_reads_what_it_needs_by_ranges(service, good_run) -> None:
    before = service.get("/metrics").text.count('status="206"')
    rows = pl.scan_parquet(f"{service.url}/files/positions/BTCUSDT/positions.parquet").select("ts", "close").collect()

    assert rows.height == pq.read_metadata(dataset_path(good_run.published_dir, "positions", "BTCUSDT")).num_rows
    assert service.get("/metrics").text.count('status="206"') >= before
    assert 'endpoint="/files/{path:path}",status="206"' in service.get("/metrics").text
