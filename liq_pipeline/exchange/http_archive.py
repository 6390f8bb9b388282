"""The archive over HTTP: S3 listings, sidecars and whole-file downloads (exchange.md 1.2, 1.3, 1.5, 6.1)."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from urllib3.util import Retry

from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable
from liq_pipeline.exchange.keys import SIDECAR, RemoteFile
from liq_pipeline.exchange.transfer import CHUNK_BYTES, MissingObject, TransferError, parse_checksum, write_hashed
from liq_pipeline.network import open_session, through_proxy

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


class HttpArchive:
    """An archive behind HTTP. Safe to use from several threads: each has its own session.

    Args:
        location: base URL of the files.
        listing_url: URL that answers S3 listings; the archive itself by default.
        retry: what is tried again before a body is read (connections, 429, 5xx).
    """

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
        files = [_remote_file(item) for page in self._pages(prefix) for item in page.iterfind("{*}Contents")]
        return sorted(files, key=lambda file: file.key)

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly under `prefix`, over all pages of the listing."""
        return sorted(
            folder.removeprefix(prefix).rstrip("/")
            for page in self._pages(prefix)
            # Not `Prefix` alone: the page's own prefix has the same name.
            for folder in (_text(item, "Prefix") for item in page.iterfind("{*}CommonPrefixes"))
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
        with self._get(self.url(key + SIDECAR), fresh=fresh) as response, _body(key + SIDECAR):
            return parse_checksum(response.content.decode("utf-8", "replace"), key)

    def download(self, key: str, target: Path, *, fresh: bool = False) -> str:
        """Write the whole file `key` to `target` and return its sha256.

        Raises:
            MissingObject: 404.
            TransferError: the body broke off.
        """
        with self._get(self.url(key), fresh=fresh) as response, _body(key):
            return write_hashed(response.iter_content(CHUNK_BYTES), target)

    def _pages(self, prefix: str) -> Iterator[ET.Element]:
        """Yield the pages of a listing (S3, version 1).

        The next page starts behind `NextMarker`, or, where that is absent, behind the last key or folder of the page.
        """
        marker = ""
        while True:
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

    def _page(self, params: dict[str, str]) -> ET.Element:
        try:
            with self._get(self.listing_url, params=params) as response, _body("listing"):
                content = response.content
            page = ET.fromstring(content)
        except (MissingObject, TransferError, ET.ParseError) as error:
            raise self._no_listing(f"{type(error).__name__}: {error}") from error
        if not page.tag.endswith("ListBucketResult"):
            raise self._no_listing(f"<{page.tag}>")
        return page

    def _no_listing(self, what: str) -> ArchiveUnreachable:
        return ArchiveUnreachable(
            f"{self.listing_url} does not list an archive: {what}",
            expected="an S3 ListBucketResult in XML",
            remedy="check the addresses of the archive and its listing (LIQ_ARCHIVE, LIQ_LISTING)",
        )

    def _get(self, url: str, *, params: dict[str, str] | None = None, fresh: bool = False) -> requests.Response:
        # An unknown query string makes a content network ask the bucket again; the bucket ignores it.
        query = params or ({"fresh": "1"} if fresh else None)
        headers = {"Accept-Encoding": "identity"} | ({"Cache-Control": "no-cache"} if fresh else {})
        host = urlsplit(url).netloc
        try:
            response = self._session().get(url, params=query, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise ArchiveUnreachable(
                f"{host} does not answer{through_proxy(url)} ({_root_cause(error)}; asked for {url})",
                remedy="check the network and try again",
            ) from error
        if response.status_code == 200:
            return response
        response.close()
        if response.status_code == 404:
            raise MissingObject(url)
        if response.status_code in (401, 403, 451):
            raise ArchiveForbidden(
                f"{host} refused with HTTP {response.status_code} (asked for {url})",
                remedy="the archive is blocked or fenced from here: try again later or from another network",
            )
        raise ArchiveUnreachable(
            f"{host} answered HTTP {response.status_code} (asked for {url})",
            expected="HTTP 200",
            remedy="try again later",
        )

    def _session(self) -> requests.Session:
        """Return this thread's session: a `Session` is not documented as safe to share."""
        if not hasattr(self._local, "session"):
            self._local.session = open_session(self._retry)
        return self._local.session


@contextmanager
def _body(what: str) -> Iterator[None]:
    """Turn a body that breaks off into a `TransferError`: urllib3's Retry does not cover bodies (exchange.md 6.1)."""
    try:
        yield
    except requests.RequestException as error:
        raise TransferError(f"the body of {what.rsplit('/', 1)[-1]} broke off ({_root_cause(error)})") from error


def _root_cause(error: requests.RequestException) -> str:
    """Return the innermost reason of a requests error, in one line."""
    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None) or (cause.args[0] if cause.args else None), BaseException):
        cause = inner
    return f"{type(cause).__name__}: {cause}"


def _remote_file(item: ET.Element) -> RemoteFile:
    modified = datetime.fromisoformat(_text(item, "LastModified"))
    return RemoteFile(_text(item, "Key"), int(_text(item, "Size")), _text(item, "ETag").strip('"'), modified)


def _text(element: ET.Element, tag: str) -> str:
    return element.findtext(f"{{*}}{tag}") or ""
