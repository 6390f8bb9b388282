from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3.util.retry
from werkzeug import Response

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, SettingsError
from liq_pipeline.exchange.archive import METRICS, FolderArchive, HttpArchive, klines, open_archive
from liq_pipeline.exchange.transfer import MissingObject, TransferError, parse_checksum
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


def test_503_is_tried_again(files: Any, server: Any, tmp_path: Path) -> None:
    key = files.put(DAYS[0])
    server.faults[key] = [Response("slow down", 503)] * 2
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
