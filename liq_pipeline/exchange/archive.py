"""The archive of the exchange: one interface over HTTP and over a folder that mirrors it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from liq_pipeline.errors import SettingsError
from liq_pipeline.exchange.folder_archive import FolderArchive
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS, ArchiveDataset, RemoteFile, klines
from liq_pipeline.settings import BINANCE_ARCHIVE, BINANCE_LISTING

__all__ = [
    "METRICS",
    "Archive",
    "ArchiveDataset",
    "FolderArchive",
    "HttpArchive",
    "RemoteFile",
    "klines",
    "open_archive",
]


class Archive(Protocol):
    """What a sync needs of an archive. Methods may be called from several threads."""

    location: str
    is_folder: bool
    needs_checksums: bool
    """Whether a file without a sidecar is refused."""

    def url(self, key: str) -> str:
        """Return where a key lies, for people and the manifest."""

    def list_files(self, prefix: str) -> list[RemoteFile]:
        """Return all files directly under `prefix` (zips, sidecars, junk), by key."""

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly under `prefix`."""

    def read_checksum(self, key: str, *, fresh: bool = False) -> str | None:
        """Return the sha256 that the sidecar of the zip `key` promises; `fresh` goes around caches.

        None where there is no sidecar and none is needed.
        """

    def download(self, key: str, target: Path, *, fresh: bool = False) -> str:
        """Write the file `key` to `target` and return the sha256 of what was written."""


def open_archive(location: str, listing_url: str | None = None, *, needs_checksums: bool = True) -> Archive:
    """Open an archive by its URL, or by the folder that mirrors its layout.

    Args:
        location: `http(s)://...` or a folder.
        listing_url: URL that lists the archive; by default the exchange's bucket for the exchange's own archive, else
            the archive itself. Folders need none.
        needs_checksums: whether a file without a sidecar is refused; only a folder can do without.

    Raises:
        SettingsError: the location is neither an HTTP URL nor a folder, or a URL without checksums.
    """
    if location.startswith(("http://", "https://")):
        if not needs_checksums:
            raise SettingsError(
                f"the archive {location} cannot be used without checksums: what comes over a network may be damaged",
                expected="a folder beside --no-checksums (LIQ_NO_CHECKSUMS)",
                remedy="leave it out",
            )
        default = BINANCE_LISTING if location.rstrip("/") == BINANCE_ARCHIVE else None
        return HttpArchive(location, listing_url or default)
    if not Path(location).is_dir():
        raise SettingsError(
            f"the archive {location!r} is neither an http(s) URL nor a folder",
            expected="a URL, or a folder that holds data/futures/um/daily/...",
            remedy="correct --archive (LIQ_ARCHIVE)",
        )
    return FolderArchive(location, needs_checksums=needs_checksums)
