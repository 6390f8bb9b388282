"""Serves a mirror over HTTP on loopback, the way the archive and its bucket listing answer (exchange.md 1.2, 1.5).

One origin plays both: `/?prefix=...` lists like S3 version 1, every other path is an object.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from liq_pipeline.simulator.loopback import Handler, Loopback

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\.zip(\.CHECKSUM)?$")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Args:
        status: answer this instead of the truth, e.g. 503 or 403.
        truncate: send half of the body, then hang up.
        delay_seconds: wait before the answer.
        headers: further headers, e.g. (("Retry-After", "1"),).
    """

    status: int | None = None
    truncate: bool = False
    delay_seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


Faults = Callable[[str], Fault | None]


def last_modified(key: str) -> datetime:
    """Return when the exchange would have published a key: 08:35 UTC on the day after the key's day."""
    match = _DAY.search(key)
    try:
        day = datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
    except ValueError:
        day = None
    return (day or datetime(2022, 5, 31, tzinfo=UTC)) + timedelta(days=1, hours=8, minutes=35)


class Mirror:
    """The objects under a folder, by key. Names that begin with a dot are not objects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._etags: dict[Path, tuple[tuple[int, int], str]] = {}
        self._lock = Lock()

    def find(self, key: str) -> Path | None:
        """Return the file of a key, or None; never one outside the folder."""
        parts = key.split("/")
        if any(part.startswith(".") or not part or "\\" in part or "\0" in part for part in parts):
            return None
        try:
            path = self.folder.joinpath(*parts).resolve()
            return path if path.is_relative_to(self.folder) and path.is_file() else None
        except OSError:  # a name too long for the file system
            return None

    def keys(self, prefix: str) -> list[str]:
        """Return every key that begins with `prefix`, in the order of their bytes."""
        base = self.folder
        for part in prefix.split("/")[:-1]:
            if not part or part.startswith(".") or "\\" in part or "\0" in part:
                return []
            base = base / part
        found: list[str] = []
        self._collect(base, found)
        return sorted((key for key in found if key.startswith(prefix)), key=str.encode)

    def _collect(self, base: Path, found: list[str]) -> None:
        if not base.is_dir() or not base.resolve().is_relative_to(self.folder):
            return
        for path in base.iterdir():
            if path.name.startswith("."):
                continue
            if path.is_dir():
                self._collect(path, found)
            elif path.resolve().is_relative_to(self.folder):
                found.append(path.relative_to(self.folder).as_posix())

    def etag(self, path: Path) -> str:
        """Return the quoted MD5 of a file."""
        stat = path.stat()
        state = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            known = self._etags.get(path)
        if known is None or known[0] != state:
            known = (state, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
            with self._lock:
                self._etags[path] = known
        return f'"{known[1]}"'

    def listing(self, prefix: str, delimiter: str, marker: str, max_keys: int) -> str:
        """Return one page of the bucket as XML."""
        entries: dict[str, bool] = {}  # key or common prefix -> whether it is a prefix
        for key in self.keys(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entries[key if cut < 0 else key[: cut + len(delimiter)]] = cut >= 0
        rest = [entry for entry in sorted(entries, key=str.encode) if entry.encode() > marker.encode()]
        page = rest[:max_keys]
        truncated = len(rest) > len(page)
        head = {"Name": "data.binance.vision", "Prefix": prefix, "Marker": marker, "MaxKeys": str(max_keys)}
        if delimiter:
            head["Delimiter"] = delimiter
        head["IsTruncated"] = str(truncated).lower()
        if truncated and delimiter and page:
            head["NextMarker"] = page[-1]  # without a delimiter S3 leaves it out
        xml = [f"<{name}>{escape(value)}</{name}>" for name, value in head.items()]
        xml += [self._contents(entry) for entry in page if not entries[entry]]
        xml += [f"<CommonPrefixes><Prefix>{escape(e)}</Prefix></CommonPrefixes>" for e in page if entries[e]]
        return f'{XML}<ListBucketResult xmlns="{NAMESPACE}">{"".join(xml)}</ListBucketResult>'

    def _contents(self, key: str) -> str:
        path = self.folder / key
        stamp = last_modified(key).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp}</LastModified><ETag>{escape(self.etag(path))}"
            f"</ETag><Size>{path.stat().st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )


class _Handler(Handler):
    server_version = "AmazonS3"
    sys_version = ""

    def do_GET(self) -> None:
        archive = self.server.owner
        url = urlsplit(self.path)
        fault = (archive.faults(self.path.lstrip("/")) if archive.faults else None) or Fault()
        archive.note(self.path)
        if fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault.status:
            self._error(fault.status, "SlowDown" if fault.status == 503 else "Fault", fault)
        elif url.path in ("", "/"):
            self._list(dict(parse_qsl(url.query, keep_blank_values=True)), fault)
        else:
            self._object(unquote(url.path).removeprefix("/"), fault)

    do_HEAD = do_GET

    def _list(self, query: dict[str, str], fault: Fault) -> None:
        limit, archive = query.get("max-keys", "1000"), self.server.owner
        if not limit.isdecimal():
            return self._error(400, "InvalidArgument", fault)
        size = min(int(limit), archive.page_size)
        page = archive.mirror.listing(
            query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", ""), size
        )
        self._send(200, page.encode(), fault, {"Content-Type": "application/xml"})

    def _object(self, key: str, fault: Fault) -> None:
        mirror = self.server.owner.mirror
        path = mirror.find(key)
        if path is None:
            return self._error(404, "NoSuchKey", fault)
        headers = {
            "Content-Type": "application/zip" if key.endswith(".zip") else "binary/octet-stream",
            "ETag": mirror.etag(path),
            "Last-Modified": format_datetime(last_modified(key), usegmt=True),
            "Accept-Ranges": "bytes",
        }
        self._send(200, path.read_bytes(), fault, headers)

    def _error(self, status: int, code: str, fault: Fault) -> None:
        body = f"{XML}<Error><Code>{code}</Code><Message>simulated archive</Message></Error>"
        self._send(status, body.encode(), fault, {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, fault: Fault, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send(body, {**headers, **dict(fault.headers)}, fault.truncate)


class ArchiveServer(Loopback):
    """The archive on 127.0.0.1, as a context manager.

    Args:
        folder: the root of the mirror; read anew at every request.
        port: 0 takes a free one.
        page_size: most entries on a page of the listing.
        faults: asked with the path and query of each request (no leading slash); a Fault spoils the answer.

    Attributes:
        url: the origin, without a trailing slash; valid inside the `with`.
        requests: paths asked for so far, in order.
    """

    handler = _Handler

    def __init__(self, folder: Path, port: int = 0, page_size: int = 1000, faults: Faults | None = None) -> None:
        super().__init__(port)
        self.mirror, self.page_size, self.faults = Mirror(folder), page_size, faults
        self.requests: list[str] = []

    def note(self, path: str) -> None:
        """Remember a request."""
        self.requests.append(path)
