"""A folder that mirrors the archive's layout, read through the same interface."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from liq_pipeline.errors import ArchiveUnreachable
from liq_pipeline.exchange.keys import SIDECAR, RemoteFile, inside, lies_under
from liq_pipeline.exchange.transfer import (
    MOST_BYTES_OF_A_SIDECAR,
    MOST_BYTES_OF_A_ZIP,
    MissingObject,
    TransferError,
    parse_checksum,
    write_hashed,
)


class FolderArchive:
    """A mirror on disk.

    Args:
        location: the folder that holds `data/futures/um/daily/...`.
        needs_checksums: whether a file without a sidecar is refused. A sidecar that is there counts either way.
    """

    is_folder = True

    def __init__(self, location: str | Path, *, needs_checksums: bool = True) -> None:
        self.location = str(location)
        self.needs_checksums = needs_checksums
        self._root = Path(location)

    def url(self, key: str) -> str:
        """Return where a key lies."""
        return str(self._root / key)

    def list_files(self, prefix: str) -> list[RemoteFile]:
        """Return the files directly under `prefix`, by key.

        The etag is the MD5 of the content, as in S3: a copied mirror has new time stamps but the same files.
        """
        folder = self._root / prefix
        if not folder.is_dir():
            return []
        names = sorted(path for path in folder.iterdir() if path.is_file() and lies_under(prefix, prefix + path.name))
        return [self._remote_file(prefix, path) for path in names]

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly under `prefix`."""
        folder = self._root / prefix
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def read_checksum(self, key: str, *, fresh: bool = False) -> str | None:
        """Return the sha256 that the sidecar of `key` promises; None where there is none and none is needed."""
        try:
            sidecar = self._read(key + SIDECAR, MOST_BYTES_OF_A_SIDECAR)
        except MissingObject:
            if self.needs_checksums:
                raise
            return None
        return parse_checksum(sidecar.decode("utf-8", "replace"), key)

    def download(self, key: str, target: Path, *, fresh: bool = False) -> str:
        """Copy `key` to `target` and return its sha256. `fresh` changes nothing here."""
        return write_hashed([self._read(key, MOST_BYTES_OF_A_ZIP)], target)

    def _read(self, key: str, most_bytes: int) -> bytes:
        try:
            with inside(self._root, key).open("rb") as file:
                content = file.read(most_bytes + 1)
        except FileNotFoundError:
            raise MissingObject(key) from None
        except OSError as error:
            raise TransferError(f"{self._root / key} cannot be read: {error}") from error
        if len(content) > most_bytes:
            raise TransferError(f"{self._root / key} is larger than {most_bytes:,} bytes")
        return content

    def _remote_file(self, prefix: str, path: Path) -> RemoteFile:
        try:
            with path.open("rb") as file:
                etag = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            facts = path.stat()
        except OSError as error:
            raise ArchiveUnreachable(f"{path} cannot be read: {error}", remedy="give this user the right to") from error
        return RemoteFile(prefix + path.name, facts.st_size, etag, datetime.fromtimestamp(int(facts.st_mtime), UTC))
