"""The archive of the exchange: one interface over HTTP and over a folder that mirrors it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from liq_pipeline.errors import SettingsError
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS, Dataset, RemoteFile, klines
from liq_pipeline.settings import BINANCE_ARCHIVE, BINANCE_LISTING

__all__ = ["METRICS", "Archive", "Dataset", "FolderArchive", "HttpArchive", "RemoteFile", "klines", "open_archive"]


class Archive(Protocol):
    """What a sync needs of an archive. Methods may be called from several threads."""

    location: str

    def url(self, key: str) -> str:
        """Return where a key lies, for people and the manifest."""

    def list_files(self, prefix: str) -> list[RemoteFile]:
        """Return all files directly under `prefix` (zips, sidecars, junk), by key."""

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly under `prefix`."""

    def read_checksum(self, key: str, *, fresh: bool = False) -> str:
        """Return the sha256 that the sidecar of the zip `key` promises; `fresh` goes around caches."""

    def download(self, key: str, target: Path, *, fresh: bool = False) -> str:
        """Write the file `key` to `target` and return the sha256 of what was written."""


def open_archive(location: str, listing_url: str | None = None) -> Archive:
    """Open an archive by its URL, or by the folder that mirrors its layout.

    Args:
        location: `http(s)://...` or a folder.
        listing_url: URL that lists the archive; by default the exchange's bucket for the exchange's own archive, else
            the archive itself. Folders need none.

    Raises:
        SettingsError: the location is neither an HTTP URL nor a folder.
    """
    if location.startswith(("http://", "https://")):
        default = BINANCE_LISTING if location.rstrip("/") == BINANCE_ARCHIVE else None
        return HttpArchive(location, listing_url or default)
    if not Path(location).is_dir():
        raise SettingsError(
            f"the archive {location!r} is neither an http(s) URL nor a folder",
            expected="a URL, or a folder that holds data/futures/um/daily/...",
            remedy="correct --archive (LIQ_ARCHIVE)",
        )
    return FolderArchive(location)
