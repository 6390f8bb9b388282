"""A small archive on disk, and the same over a real socket with faults on demand."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from liq_pipeline.exchange import fetch
from liq_pipeline.exchange.http_archive import RETRY, HttpArchive
from liq_pipeline.exchange.keys import METRICS, ArchiveDataset
from liq_pipeline_tests.exchange.feeds import MIRRORS, Feeds, feeds_of

NOW = datetime(2026, 1, 20, 9, tzinfo=UTC)
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
KLINES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PAUSES_SECONDS", (0, 0, 0, 0))


@pytest.fixture
def now() -> datetime:
    return NOW


class Files:
    """Writes daily zips and their sidecars in the layout of the archive."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zip(self, name: str, lines: list[str], *, member: str | None = None) -> Path:
        """A zip of CSV lines under `root`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stem = path.name.removesuffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr(zipfile.ZipInfo(member or f"{stem}.csv"), "\n".join(lines) + "\n")
        return path

    def metrics(self, day: date, rows: list[str], symbol: str = "BTCUSDT") -> Path:
        return self.zip(f"{symbol}-metrics-{day}.zip", [METRICS_HEADER, *rows])

    def klines(self, day: date, rows: list[str], symbol: str = "BTCUSDT", *, header: bool = True) -> Path:
        return self.zip(f"{symbol}-5m-{day}.zip", [KLINES_HEADER, *rows] if header else rows)

    def put(
        self, day: date, rows: list[str] | None = None, dataset: ArchiveDataset = METRICS, symbol: str = "BTCUSDT"
    ) -> str:
        """A listed metrics day with its sidecar; returns its key."""
        key = dataset.key(symbol, day)
        self.zip(key, [METRICS_HEADER, *(rows if rows is not None else metrics_rows(day, symbol=symbol))])
        self.sign(key)
        return key

    def sign(self, key: str, sha256: str | None = None) -> None:
        path = self.root / key
        digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")


def metrics_rows(day: date, count: int = 4, symbol: str = "BTCUSDT", contracts: float = 1000.0) -> list[str]:
    """The first rows of a day, labelled as until 2026-06-24: 00:05, 00:10 ..."""
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - labels are naive
    return [
        f"{start + timedelta(minutes=5 * i)},{symbol},{contracts + i},{(contracts + i) * 50},1.1,1.2,1.3,1.4"
        for i in range(1, count + 1)
    ]


def kline_row(opened: datetime, price: float = 100.0, *, minutes: int = 5, unit: int = 1000) -> str:
    start = round(opened.timestamp()) * unit
    close_time = start + minutes * 60 * unit - 1
    return f"{start},{price},{price + 2},{price - 1},{price + 1},10.5,{close_time},1050.0,7,5.5,550.0,0"


@pytest.fixture
def rows_of_day() -> Callable[..., list[str]]:
    return metrics_rows


@pytest.fixture
def kline() -> Callable[..., str]:
    return kline_row


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "mirror")


class Server:
    """The mirror over HTTP. `faults[key]` are answers that come before the true one, in turn.

    `asked` are keys in turn; `asked_around_caches` those among them that were asked so that no cache answers.
    """

    def __init__(self, http: HTTPServer, files: Files) -> None:
        self.files = files
        self.page_size = 1000
        self.next_marker = True
        self.faults: dict[str, list[Response]] = defaultdict(list)
        self.asked: list[str] = []
        self.asked_around_caches: list[str] = []
        http.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = http.url_for("").rstrip("/")

    def archive(self) -> HttpArchive:
        return HttpArchive(self.url, retry=RETRY.new(backoff_factor=0))

    def _answer(self, request: Request) -> Response:
        key = unquote(request.path).lstrip("/")
        self.asked.append(key)
        if request.headers.get("Cache-Control") == "no-cache" and request.args:
            self.asked_around_caches.append(key)
        if self.faults[key]:
            return self.faults[key].pop(0)
        if not key:
            return Response(self._page(request.args["prefix"], request.args.get("marker", "")))
        path = self.files.root / key
        return Response(path.read_bytes()) if path.is_file() else Response("no such key", 404)

    def _page(self, prefix: str, marker: str) -> str:
        folder = self.files.root / prefix
        found = sorted(prefix + path.name + "/" * path.is_dir() for path in folder.iterdir()) if folder.is_dir() else []
        rest = [key for key in found if key > marker]
        page = rest[: self.page_size]
        more = len(rest) > len(page)
        items = "".join(self._item(key) for key in page)
        next_marker = f"<NextMarker>{escape(page[-1])}</NextMarker>" if more and self.next_marker else ""
        return (
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Prefix>{escape(prefix)}</Prefix>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{next_marker}{items}</ListBucketResult>"
        )

    def _item(self, key: str) -> str:
        if key.endswith("/"):
            return f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
        content = (self.files.root / key).read_bytes()
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-15T08:35:00.000Z</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{len(content)}</Size></Contents>"
        )


@pytest.fixture(scope="session")
def http() -> Iterator[HTTPServer]:
    """One for all tests: stopping takes half a second."""
    with HTTPServer(threaded=True) as http:
        yield http


@pytest.fixture
def server(http: HTTPServer, files: Files) -> Iterator[Server]:
    yield Server(http, files)
    http.clear()


def broken_off(content: bytes) -> Response:
    """An answer whose body ends too early."""
    return Response(iter([content[:50]]), headers={"Content-Length": str(len(content))})


@pytest.fixture
def cut() -> Callable[[bytes], Response]:
    return broken_off


@pytest.fixture(scope="session", params=[MIRRORS[0], MIRRORS[1], MIRRORS[5]], ids="-".join)
def feeds(request: pytest.FixtureRequest, shared_archive: Path) -> Feeds:
    """Real days of one symbol."""
    return feeds_of(shared_archive, *request.param)
