"""The mirror over HTTP: listing pages, objects, sidecars, faults; and nothing outside the folder."""

import hashlib
import http.client
import time
import xml.etree.ElementTree as ET
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from liq_pipeline.simulator.server import ArchiveServer, Fault

METRICS = "data/futures/um/daily/metrics/"
FOLDER = f"{METRICS}BTCUSDT/"
KEY = f"{FOLDER}BTCUSDT-metrics-2026-06-22.zip"
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture(scope="module")
def server(mirror):
    with ArchiveServer(mirror) as running:
        yield running


def get(url, **options):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=10, **options)


def page(server, **query):
    answer = get(f"{server.url}/?{urlencode({name.replace('_', '-'): value for name, value in query.items()})}")
    assert answer.status_code == 200
    return ET.fromstring(answer.content)


def keys(element):
    return [item.findtext(f"{NS}Key") for item in element.iterfind(f"{NS}Contents")]


def test_a_folder_lists_zips_and_sidecars_in_byte_order(server, mirror):
    result = page(server, prefix=FOLDER, delimiter="/")
    files = sorted(path.relative_to(mirror).as_posix() for path in (mirror / FOLDER).iterdir())
    assert keys(result) == files
    assert len(files) == 22
    assert files[0].endswith("BTCUSDT-metrics-1993.zip"), "junk sorts first"
    assert result.findtext(f"{NS}IsTruncated") == "false"
    assert result.find(f"{NS}NextMarker") is None


def test_an_entry_tells_what_changed(server, mirror):
    result = page(server, prefix=KEY)
    item = next(result.iterfind(f"{NS}Contents"))
    data = (mirror / KEY).read_bytes()
    assert item.findtext(f"{NS}ETag") == f'"{hashlib.md5(data).hexdigest()}"'
    assert item.findtext(f"{NS}Size") == str(len(data))
    assert item.findtext(f"{NS}LastModified") == "2026-06-23T08:35:00.000Z"
    assert item.findtext(f"{NS}StorageClass") == "STANDARD"


def test_folders_are_common_prefixes(server):
    result = page(server, prefix=METRICS, delimiter="/")
    found = [item.findtext(f"{NS}Prefix") for item in result.iterfind(f"{NS}CommonPrefixes")]
    assert found == [FOLDER]
    assert keys(result) == []
    assert result.findtext(f"{NS}Prefix") == METRICS


@pytest.mark.parametrize("size", [1, 2, 7, 21, 22, 23])
@pytest.mark.parametrize("delimiter", ["/", ""])
def test_pages_join_to_the_whole(mirror, size, delimiter):
    with ArchiveServer(mirror, page_size=size) as server:
        whole = sorted(path.relative_to(mirror).as_posix() for path in (mirror / FOLDER).iterdir())
        found, marker = [], ""
        for _ in range(len(whole) + 1):
            result = page(server, prefix=FOLDER, delimiter=delimiter, marker=marker)
            found += keys(result)
            if result.findtext(f"{NS}IsTruncated") == "false":
                break
            assert len(keys(result)) == size
            next_marker = result.findtext(f"{NS}NextMarker")
            assert (next_marker is not None) == bool(delimiter), "S3 sends NextMarker only with a delimiter"
            marker = next_marker or keys(result)[-1]
        assert found == whole


def test_folders_page_too(mirror):
    with ArchiveServer(mirror, page_size=1) as server:
        first = page(server, prefix="data/futures/um/daily/", delimiter="/")
        marker = first.findtext(f"{NS}NextMarker")
        assert marker == "data/futures/um/daily/klines/"
        second = page(server, prefix="data/futures/um/daily/", delimiter="/", marker=marker)
        assert second.findtext(f"{NS}CommonPrefixes/{NS}Prefix") == METRICS
        assert second.findtext(f"{NS}IsTruncated") == "false"


def test_a_client_may_ask_for_fewer_but_not_for_more(server):
    assert len(keys(page(server, prefix=FOLDER, max_keys=3))) == 3
    assert page(server, prefix=FOLDER, max_keys=5000).findtext(f"{NS}MaxKeys") == "1000"
    assert get(f"{server.url}/?max-keys=many").status_code == 400


def test_an_unknown_prefix_is_an_empty_page(server):
    assert keys(page(server, prefix=f"{METRICS}NOPEUSDT/", delimiter="/")) == []


def test_objects_and_sidecars_come_byte_for_byte(server, mirror):
    for key in (KEY, f"{KEY}.CHECKSUM"):
        answer = get(f"{server.url}/{key}")
        assert answer.content == (mirror / key).read_bytes()
        assert answer.headers["ETag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'
        assert answer.headers["Last-Modified"] == "Tue, 23 Jun 2026 08:35:00 GMT"
        assert answer.headers["Content-Length"] == str(len(answer.content))


def test_head_has_no_body(server):
    answer = requests.head(f"{server.url}/{KEY}", timeout=10)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) > 1000
    assert answer.content == b""


def test_a_missing_key_is_404_in_xml(server):
    answer = get(f"{server.url}/{FOLDER}BTCUSDT-metrics-2030-01-01.zip")
    assert answer.status_code == 404
    assert ET.fromstring(answer.content).findtext("Code") == "NoSuchKey"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/data/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/data/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/data/..%5c..%5csecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/data/link.txt",
        "/linked/secret.txt",
        "/data",
        "/data/",
        "/.stamp",
        "/data/%00",
        "/" + "a" * 5000,
    ],
)
def test_nothing_outside_the_folder_is_served(tmp_path, path):
    folder = tmp_path / "mirror"
    (folder / "data").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / ".stamp").write_text("secret")
    (folder / "data" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    with ArchiveServer(folder) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        connection.request("GET", path)  # requests would tidy the path
        answer = connection.getresponse()
        assert answer.status == 404
        assert b"secret" not in answer.read()
        connection.close()
        for prefix in ("../", "..", "linked/", "data/../", "/", ".st", ""):
            assert keys(page(server, prefix=prefix)) == []


def test_a_connection_serves_many_requests(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    for _ in range(3):
        connection.request("GET", f"/{KEY}.CHECKSUM")
        answer = connection.getresponse()
        assert (answer.status, answer.version) == (200, 11)
        answer.read()
    connection.close()


def test_a_file_that_is_rewritten_shows_at_once(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"one")
    with ArchiveServer(tmp_path) as server:
        before = get(f"{server.url}/a.zip").headers["ETag"]
        (tmp_path / "a.zip").write_bytes(b"another")
        assert get(f"{server.url}/a.zip").headers["ETag"] != before


class TestFaults:
    """The archive on a bad day."""

    def test_it_is_told_what_is_asked(self, mirror):
        asked = []
        with ArchiveServer(mirror, faults=lambda path: asked.append(path)) as server:
            get(f"{server.url}/{KEY}")
            page(server, prefix=FOLDER)
            assert asked[0] == KEY
            assert asked[1].startswith("?prefix=")
            assert server.requests == [f"/{path}" for path in asked]

    def test_an_outage_that_passes(self, mirror):
        faults = [Fault(status=503, headers=(("Retry-After", "1"),)), None]
        with ArchiveServer(mirror, faults=lambda _: faults.pop(0)) as server:
            answer = get(f"{server.url}/{KEY}")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert get(f"{server.url}/{KEY}").status_code == 200

    def test_a_body_that_breaks_off(self, mirror):
        with (
            ArchiveServer(mirror, faults=lambda _: Fault(truncate=True)) as server,
            pytest.raises(requests.exceptions.ChunkedEncodingError),
        ):
            get(f"{server.url}/{KEY}")

    def test_a_slow_answer(self, mirror):
        with ArchiveServer(mirror, faults=lambda _: Fault(delay_seconds=0.2)) as server:
            start = time.monotonic()
            assert get(f"{server.url}/{KEY}").status_code == 200
            assert time.monotonic() - start >= 0.2
