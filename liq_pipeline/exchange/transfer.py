"""What every kind of archive shares: the errors of one transfer, the sidecar's grammar, hashing while copying."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from liq_pipeline.exchange.keys import SIDECAR

MOST_BYTES_OF_A_ZIP = 16 << 20  # a day of anything that is read here has less than one MB
MOST_BYTES_OF_A_SIDECAR = 4096


class MissingObject(Exception):
    """The archive says that there is no such file (404). Definitive: never tried again at once."""


class TransferError(Exception):
    """One attempt at one file failed in a way that another attempt may mend.

    Args:
        reason: what was read, for people.
        sha256: hash of what was read, if it was read whole.
        expected_sha256: hash that the sidecar promises, if it could be read.
    """

    def __init__(self, reason: str, *, sha256: str | None = None, expected_sha256: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.sha256, self.expected_sha256 = reason, sha256, expected_sha256


def parse_checksum(text: str, key: str) -> str:
    """Return the sha256 (64 lower-case hex digits) that a sidecar promises for the zip `key`.

    The form is `<64 hex>  <file name>` (exchange.md 1.3). A blank sidecar or an HTML page is an error, not a
    missing sidecar.

    Raises:
        TransferError: the text is not a checksum of this file.
    """
    words = text.split()
    name = key.rsplit("/", 1)[-1]
    if not words or not re.fullmatch(r"[0-9a-f]{64}", words[0].lower()):
        raise TransferError(f"{name}{SIDECAR} holds {text.strip()[:60]!r} instead of 64 hex digits and a file name")
    if len(words) > 1 and words[1].lstrip("*") != name:
        raise TransferError(f"{name}{SIDECAR} is about another file: {words[1]!r}")
    return words[0].lower()


def write_hashed(chunks: Iterable[bytes], target: Path) -> str:
    """Write chunks to `target` and return the sha256 of what was written."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for chunk in chunks:
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def sha256_of(path: Path) -> str | None:
    """Return the sha256 of a file, or None if there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
