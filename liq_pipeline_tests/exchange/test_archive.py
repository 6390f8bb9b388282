from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3.util.retry
from werkzeug import Response

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, FormatError, SettingsError
from liq_pipeline.exchange import http_archive
from liq_pipeline.exchange.archive import open_archive
from liq_pipeline.exchange.fetch import fetch_file
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS, RemoteFile, inside, klines
from liq_pipeline.exchange.transfer import MOST_BYTES_OF_A_ZIP, MissingObject, TransferError, parse_checksum
from liq_pipeline.settings import BINANCE_ARCHIVE, BINANCE_LISTING

DAYS = [date(2026, 1, day) for day in range(10, 17)]
HASH = "b9ac60cc3ffc1e16db96ca2314120ff7531988108ebef1733ee54234f4fedf7f"


def test_open_archive(tmp_path: Path) -> None:
    real = open_archive(BINANCE_ARCHIVE + "/")
    assert isinstance(real, HttpArchive)
    assert real.listing_url == BINANCE_LISTING
    own = open_archive("http://127.0.0.1:1")
    assert isinstance(own, HttpArchive)
    assert own.listing_url == "http://127.0.0.1:1"
    assert isinstance(open_archive(str(tmp_path)), FolderArchive)
    with pytest.raises(SettingsError, match="cannot be used without checksums"):
        open_archive("http://127.0.0.1:1", needs_checksums=False)
    with pytest.raises(SettingsError, match="neither an http"):
        open_archive(str(tmp_path / "absent"))


@pytest.mark.parametrize("page_size", [1, 2, 3, 14, 1000])
@pytest.mark.parametrize("next_marker", [True, False])
def test_listings_are_read_to_the_last_page(files: Any, server: Any, page_size: int, next_marker: bool) -> None:
    keys = [files.put(day) for day in DAYS]
    server.page_size, server.next_marker = page_size, next_marker
    listed = server.archive().list_files(METRICS.prefix("BTCUSDT"))
    assert [file.key for file in listed if file.key.endswith(".zip")] == keys
    assert len(listed) == 2 * len(keys)
    assert listed[0].last_modified == datetime(2026, 1, 15, 8, 35, tzinfo=UTC)


@pytest.mark.parametrize("page_size", [1, 1000])
def test_folders_are_the_symbols(files: Any, server: Any, page_size: int) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT"]
    for symbol in symbols:
        files.put(DAYS[0], symbol=symbol)
    server.page_size, server.next_marker = page_size, False
    assert server.archive().list_folders(METRICS.root) == symbols
    assert FolderArchive(files.root).list_folders(METRICS.root) == symbols


def test_an_endless_listing_is_noticed(server: Any) -> None:
    page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    server.faults[""] = [Response(page)] * 3
    with pytest.raises(ArchiveUnreachable, match="stands still"):
        server.archive().list_files(METRICS.prefix("BTCUSDT"))


@pytest.mark.parametrize("answer", [Response("<html>"), Response("<html></html>"), Response("gone", 404)])
def test_an_address_that_does_not_list_is_named(server: Any, answer: Response) -> None:
    server.faults[""] = [answer]
    with pytest.raises(ArchiveUnreachable, match="does not list an archive"):
        server.archive().list_files(METRICS.prefix("BTCUSDT"))


def test_a_folder_lists_the_same_as_its_server(files: Any, server: Any) -> None:
    """So that a copy of the archive can stand in for it without fetching everything anew."""
    files.put(DAYS[0])

    def seen(archive: Any) -> list[tuple[str, int, str]]:
        return [(file.key, file.size, file.etag) for file in archive.list_files(METRICS.prefix("BTCUSDT"))]

    assert seen(FolderArchive(files.root)) == seen(server.archive())
    assert FolderArchive(files.root).list_files(klines("5m").prefix("BTCUSDT")) == []


def test_non_ascii_symbols_are_percent_encoded(files: Any, server: Any, tmp_path: Path) -> None:
    key = files.put(DAYS[0], symbol="币安人生USDT")
    archive = server.archive()
    assert archive.url(key).isascii()
    assert archive.read_checksum(key) == archive.download(key, tmp_path / "copy")


def test_parse_checksum() -> None:
    key = "somewhere/BTCUSDT-1h-2023-01.zip"
    assert parse_checksum(f"{HASH}  BTCUSDT-1h-2023-01.zip\n", key) == HASH
    assert parse_checksum(f"{HASH.upper()} *BTCUSDT-1h-2023-01.zip", key) == HASH
    assert parse_checksum(HASH, key) == HASH


@pytest.mark.parametrize("text", ["", "\n", "<html>Access denied</html>", HASH[:-1], f"{HASH}  OTHER.zip"])
def test_a_sidecar_that_is_no_checksum_is_an_error(text: str) -> None:
    with pytest.raises(TransferError):
        parse_checksum(text, "BTCUSDT-1h-2023-01.zip")


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_names_the_host(files: Any, server: Any, status: int, tmp_path: Path) -> None:
    key = files.put(DAYS[0])
    server.faults[key] = [Response("no", status)]
    with pytest.raises(ArchiveForbidden, match=rf"localhost:\d+ refused with HTTP {status}"):
        server.archive().download(key, tmp_path / "copy")
    assert server.asked.count(key) == 1


def test_404_is_definitive(server: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingObject):
        server.archive().download("absent.zip", tmp_path / "copy")
    assert server.asked == ["absent.zip"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_may_pass_is_tried_again(status: int, files: Any, server: Any, tmp_path: Path) -> None:
    key = files.put(DAYS[0])
    server.faults[key] = [Response("slow down", status)] * 2
    server.archive().download(key, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (files.root / key).read_bytes()


def test_503_for_good_is_an_outage(files: Any, server: Any, tmp_path: Path) -> None:
    key = files.put(DAYS[0])
    server.faults[key] = [Response("slow down", 503)] * 9
    with pytest.raises(ArchiveUnreachable, match="answered HTTP 503"):
        server.archive().download(key, tmp_path / "copy")
    assert server.asked.count(key) == 5


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("21600", 120)])
def test_retry_after_is_heeded_up_to_two_minutes(
    server: Any, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, waited: int
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", waits.append)
    key = files.put(DAYS[0])
    server.faults[key] = [Response("slow down", 429, headers={"Retry-After": asked})]
    server.archive().download(key, tmp_path / "copy")
    assert waits == [waited]


def test_nobody_there() -> None:
    archive = HttpArchive("http://127.0.0.1:1", retry=urllib3.util.Retry(0))
    with pytest.raises(ArchiveUnreachable, match=r"127\.0\.0\.1:1 does not answer"):
        archive.list_files(METRICS.prefix("BTCUSDT"))


# What a listing may say


def _page(*items: str, more: str = "") -> Response:
    contents = "".join(f"<Contents>{item}</Contents>" for item in items)
    return Response(f"<ListBucketResult><IsTruncated>false</IsTruncated>{more}{contents}</ListBucketResult>")


def _item(key: str, size: str = "5", modified: str = "2026-01-15T08:35:00.000Z") -> str:
    return f"<Key>{key}</Key><LastModified>{modified}</LastModified><ETag>x</ETag><Size>{size}</Size>"


FOLDER = METRICS.prefix("BTCUSDT")
OUTSIDE = [
    f"{FOLDER}BTCUSDT-metrics-2026-01-11.zip/../../../evil.zip",
    f"{FOLDER}../evil.zip",
    f"{FOLDER}..",
    f"{FOLDER}.",
    FOLDER,
    f"{FOLDER}sub/evil.zip",
    f"{FOLDER}sub\\evil.zip",
    "/etc/evil.zip",
    "evil.zip",
    "",
]


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_that_does_not_lie_directly_in_its_folder_is_left_out(server: Any, key: str) -> None:
    server.faults[""] = [_page(_item(key), _item(f"{FOLDER}good.zip"))]
    assert [file.key for file in server.archive().list_files(FOLDER)] == [f"{FOLDER}good.zip"]


@pytest.mark.parametrize("key", [*OUTSIDE[:3], "/etc/passwd", "a/../../b", "a\\b", "", "a\0b"])
def test_and_no_path_is_made_of_one_that_leads_out(tmp_path: Path, key: str) -> None:
    with pytest.raises(FormatError, match="does not lie below its folder"):
        inside(tmp_path, key)


def test_nothing_is_written_for_a_key_that_leads_out(files: Any, tmp_path: Path) -> None:
    (files.root / "evil.zip").parent.mkdir(parents=True, exist_ok=True)
    (files.root / "evil.zip").write_bytes(b"evil")
    remote = RemoteFile("data/../../evil.zip", 4, "x", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(FormatError, match="does not lie below its folder"):
        fetch_file(FolderArchive(files.root), remote, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_folders_that_lead_out_are_left_out(server: Any) -> None:
    names = "".join(f"<CommonPrefixes><Prefix>{METRICS.root}{n}/</Prefix></CommonPrefixes>" for n in ("A", "..", "a/b"))
    server.faults[""] = [_page(more=names)]
    assert server.archive().list_folders(METRICS.root) == ["A"]


@pytest.mark.parametrize(
    ("size", "modified"),
    [
        ("", "2026-01-15T08:35:00.000Z"), ("x", "2026-01-15T08:35:00.000Z"), ("-1", "2026-01-15T08:35:00.000Z"),
        (str(2**63), "2026-01-15T08:35:00.000Z"), ("9" * 5000, "2026-01-15T08:35:00.000Z"), ("5", ""),
        ("5", "yesterday"), ("5", "2026-01-15T08:35:00"), ("5", "2026-13-15T08:35:00Z"),
    ],
)  # fmt: skip
def test_a_size_or_a_time_that_cannot_be_read_is_named(server: Any, size: str, modified: str) -> None:
    server.faults[""] = [_page(_item(f"{FOLDER}a.zip", size, modified))]
    with pytest.raises(ArchiveUnreachable, match=r"does not list an archive: .*a\.zip with Size") as error:
        server.archive().list_files(FOLDER)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0" encoding="klingon"?><ListBucketResult/>',
        b'<?xml version="1.0" encoding="utf-7"?><ListBucketResult/>',
        b"<a>" * 200_000,
        b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><ListBucketResult>&d;</ListBucketResult>',
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_a_body_that_is_no_listing_is_named(server: Any, body: bytes) -> None:
    server.faults[""] = [Response(body)]
    with pytest.raises(ArchiveUnreachable, match="does not list an archive"):
        server.archive().list_files(FOLDER)


def test_a_listing_that_goes_on_for_ever_is_ended(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_archive, "MOST_PAGES", 5)
    pages = [
        f"<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>{n:03}</NextMarker></ListBucketResult>"
        for n in range(50)
    ]
    server.faults[""] = [Response(page) for page in pages]
    with pytest.raises(ArchiveUnreachable, match="more than 5 pages"):
        server.archive().list_files(FOLDER)
    assert len(server.asked) == 5


def test_bodies_larger_than_their_kind_are_cut_off(files: Any, server: Any, tmp_path: Path) -> None:
    key = files.put(DAYS[0])
    server.faults[key] = [Response(b"x" * (MOST_BYTES_OF_A_ZIP + 1))]
    server.faults[key + ".CHECKSUM"] = [Response(b"a" * 5000)]
    with pytest.raises(TransferError, match="more than 16,777,216 bytes"):
        server.archive().download(key, tmp_path / "copy")
    with pytest.raises(TransferError, match="more than 4,096 bytes"):
        server.archive().read_checksum(key)
    assert not (tmp_path / "copy").exists()
    (files.root / f"{key}.CHECKSUM").write_bytes(b"a" * 5000)
    with pytest.raises(TransferError, match="larger than 4,096 bytes"):
        FolderArchive(files.root).read_checksum(key)
