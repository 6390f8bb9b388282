"""The archive over HTTP: S3 listings, sidecars and whole-file downloads (exchange.md 1.2, 1.3, 1.5, 6.1)."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from urllib3.util import Retry

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable
from liq_pipeline.exchange import web
from liq_pipeline.exchange.keys import SIDECAR, RemoteFile, lies_under
from liq_pipeline.exchange.s3 import NotAListing, parse_file, parse_page
from liq_pipeline.exchange.s3 import text_of as _text
from liq_pipeline.exchange.transfer import (
    MOST_BYTES_OF_A_SIDECAR,
    MOST_BYTES_OF_A_ZIP,
    MissingObject,
    TransferError,
    parse_checksum,
    write_hashed,
)
from liq_pipeline.system.network import open_session, through_proxy

# Modest on purpose: "no network" is known after about four seconds. The default `retry_after_max` is six hours.
RETRY = Retry(
    total=4,
    backoff_factor=0.3,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods={"GET"},
    retry_after_max=120,
    raise_on_status=False,
)
TIMEOUT_SECONDS = (5, 60)  # connect, read
CALL_SECONDS = 300.0  # for one file in all, the pauses that the exchange asks for included
MOST_BYTES_OF_A_PAGE = 8 << 20  # a page has at most 1,000 entries of some 400 bytes
MOST_PAGES = 200  # 500 days a page


class HttpArchive:
    """An archive behind HTTP. Safe to use from several threads: each has its own session.

    Args:
        location: base URL of the files.
        listing_url: URL that answers S3 listings; the archive itself by default.
        retry: what is tried again before a body is read (connections, 429, 5xx).
    """

    is_folder = False
    needs_checksums = True

    def __init__(self, location: str, listing_url: str | None = None, *, retry: Retry = RETRY) -> None:
        self.location = location.rstrip("/")
        self.listing_url = (listing_url or self.location).rstrip("/")
        self._retry = retry
        self._local = threading.local()

    def url(self, key: str) -> str:
        """Return the URL of a key; symbols may be non-ASCII, so it is percent-encoded."""
        return f"{self.location}/{quote(key, safe='/')}"

    def list_files(self, prefix: str) -> list[RemoteFile]:
        """Return the files directly under `prefix`, by key, over all pages of the listing."""
        items = (item for page in self._pages(prefix) for item in page.iterfind("{*}Contents"))
        files = [self._remote_file(item) for item in items if lies_under(prefix, _text(item, "Key"))]
        return sorted(files, key=lambda file: file.key)

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly under `prefix`, over all pages of the listing."""
        return sorted(
            folder.removeprefix(prefix).rstrip("/")
            for page in self._pages(prefix)
            # Not `Prefix` alone: the page's own prefix has the same name.
            for folder in (_text(item, "Prefix") for item in page.iterfind("{*}CommonPrefixes"))
            if lies_under(prefix, folder.removesuffix("/"))
        )

    def read_checksum(self, key: str, *, fresh: bool = False) -> str:
        """Return the sha256 that the sidecar of `key` promises.

        Args:
            key: key of the zip.
            fresh: go around caches.

        Raises:
            MissingObject: 404.
            TransferError: the sidecar is not a checksum of this file, or broke off.
        """
        content = self._get(self.url(key + SIDECAR), MOST_BYTES_OF_A_SIDECAR, fresh=fresh)
        return parse_checksum(content.decode("utf-8", "replace"), key)

    def download(self, key: str, target: Path, *, fresh: bool = False) -> str:
        """Write the whole file `key` to `target` and return its sha256.

        Raises:
            MissingObject: 404.
            TransferError: the body broke off, or is larger than any day's file.
        """
        return write_hashed([self._get(self.url(key), MOST_BYTES_OF_A_ZIP, fresh=fresh)], target)

    def _pages(self, prefix: str) -> Iterator[ET.Element]:
        """Yield the pages of a listing (S3, version 1).

        The next page starts behind `NextMarker`, or, where that is absent, behind the last key or folder of the page.
        """
        marker = ""
        for _ in range(MOST_PAGES):
            params = {"delimiter": "/", "prefix": prefix} | ({"marker": marker} if marker else {})
            page = self._page(params)
            yield page
            if _text(page, "IsTruncated").lower() != "true":
                return
            keys = [_text(item, "Key") for item in page.iterfind("{*}Contents")]
            folders = [_text(item, "Prefix") for item in page.iterfind("{*}CommonPrefixes")]
            following = _text(page, "NextMarker") or max(keys + folders, default="")
            if following <= marker:
                raise ArchiveUnreachable(
                    f"the listing {self.listing_url} stands still behind {marker!r} (prefix {prefix!r})",
                    expected="pages that advance",
                    remedy="check the listing address (LIQ_LISTING)",
                )
            marker = following
        raise self._no_listing(f"more than {MOST_PAGES} pages of {prefix}")

    def _page(self, params: dict[str, str]) -> ET.Element:
        try:
            page = parse_page(self._get(self.listing_url, MOST_BYTES_OF_A_PAGE, params=params))
        except (MissingObject, TransferError, NotAListing) as error:
            raise self._no_listing(f"{type(error).__name__}: {error}") from error
        return page

    def _remote_file(self, item: ET.Element) -> RemoteFile:
        try:
            return parse_file(item)
        except NotAListing as error:
            raise self._no_listing(str(error)) from error

    def _no_listing(self, what: str) -> ArchiveUnreachable:
        return ArchiveUnreachable(
            f"{self.listing_url} does not list an archive: {what[:300]}",
            expected="an S3 ListBucketResult in XML",
            remedy="check the addresses of the archive and its listing (LIQ_ARCHIVE, LIQ_LISTING)",
        )

    def _get(self, url: str, most_bytes: int, *, params: dict[str, str] | None = None, fresh: bool = False) -> bytes:
        # An unknown query string makes a content network ask the bucket again; the bucket ignores it.
        query = params or ({"fresh": "1"} if fresh else None)
        headers = {"Accept-Encoding": "identity"} | ({"Cache-Control": "no-cache"} if fresh else {})
        host = urlsplit(url).netloc
        try:
            answer = web.get(
                self._session(), url, most_bytes=most_bytes, seconds=CALL_SECONDS, params=query, headers=headers,
                timeout=TIMEOUT_SECONDS,
            )  # fmt: skip
        except web.NoAnswer as error:
            raise ArchiveUnreachable(
                f"{host} does not answer{through_proxy(url)} ({error}; asked for {url})",
                remedy="check the network and try again",
            ) from error
        except web.BrokenOff as error:
            what = "listing" if params else url.rsplit("/", 1)[-1]
            raise TransferError(f"the body of {what} broke off ({error})") from error
        if answer.status == 200:
            return answer.content
        if answer.status == 404:
            raise MissingObject(url)
        if answer.status in (401, 403, 451):
            raise ArchiveForbidden(
                f"{host} refused with HTTP {answer.status} (asked for {url})",
                remedy="the archive is blocked or fenced from here: try again later or from another network",
            )
        raise ArchiveUnreachable(
            f"{host} answered HTTP {answer.status} (asked for {url})",
            expected="HTTP 200",
            remedy="try again later",
        )

    def _session(self) -> requests.Session:
        """Return this thread's session: a `Session` is not documented as safe to share."""
        if not hasattr(self._local, "session"):
            self._local.session = open_session(self._retry)
        return self._local.session
