"""S3's listing as XML: what a page holds, or an error that says why it is none."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime

from liq_pipeline.exchange.keys import RemoteFile

LARGEST_SIZE = 2**63 - 1  # bytes; the manifest keeps sizes as int64


class NotAListing(Exception):
    """Something else than a page of a listing; the text says what was read."""


def parse_page(content: bytes) -> ET.Element:
    """Return the `ListBucketResult` in a body.

    Raises:
        NotAListing: anything else.
    """
    try:
        page = ET.fromstring(content)
    # An encoding that Python does not know is a LookupError, one that the parser cannot use a ValueError.
    except (ET.ParseError, LookupError, ValueError, RecursionError) as error:
        raise NotAListing(f"{type(error).__name__}: {error}") from error
    if not page.tag.endswith("ListBucketResult"):
        raise NotAListing(f"<{page.tag[:80]}>")
    return page


def parse_file(item: ET.Element) -> RemoteFile:
    """Return the file that a `Contents` tells of.

    Raises:
        NotAListing: its size or its time cannot be read.
    """
    key, size, modified = (text_of(item, tag) for tag in ("Key", "Size", "LastModified"))
    try:
        found = RemoteFile(key, int(size), text_of(item, "ETag").strip('"'), datetime.fromisoformat(modified))
        if not 0 <= found.size <= LARGEST_SIZE or found.last_modified.tzinfo is None:
            raise ValueError("a size below zero or too large, or a time without a zone")
    except (ValueError, OverflowError) as error:
        said = f"Size {size[:40]!r}, LastModified {modified[:40]!r}"
        raise NotAListing(f"{key[-120:]} with {said} ({str(error)[:80]})") from error
    return found


def text_of(element: ET.Element, tag: str) -> str:
    """Return the text of a child, whatever its namespace; empty if there is none."""
    return element.findtext(f"{{*}}{tag}") or ""
