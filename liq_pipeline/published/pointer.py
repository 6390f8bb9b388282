"""The small object in a bucket that names the files of a symbol's edition; whatever it says is checked."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from liq_pipeline.errors import PublishedDamaged

POINTERS, FILES = "published/editions/", "published/files/"
VERSION = 1


class EditionFile(BaseModel):
    """Where one published file lies in the bucket, and what it must be."""

    model_config = ConfigDict(strict=True, frozen=True)

    object: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Edition(BaseModel):
    """What is published of a symbol: where each file lies in the bucket. Nothing, of one that was withdrawn.

    Attributes:
        number: 1, 2, 3, ...; the one that counts is the last.
        name: the number, and letters that no other attempt has.
        files: by their path below the published folder.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    symbol: str
    number: Annotated[int, Field(ge=0)] = 0
    name: str = ""
    files: dict[str, EditionFile] = {}


def pointer_of(symbol: str) -> str:
    """Return the name of the object."""
    return f"{POINTERS}{symbol}.json"


def sound_edition(symbol: str, content: bytes, where: str) -> Edition:
    """Return the edition that an object names.

    Raises:
        PublishedDamaged: it cannot be one of ours: whatever it says becomes paths.
    """
    try:
        edition = Edition.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(symbol, where, f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from None
    if edition.symbol != symbol:
        raise _damaged(symbol, where, f"it is of {edition.symbol[:40]!r}")
    for path, file in edition.files.items():
        pure = PurePosixPath(path)
        bad = pure.is_absolute() or not pure.parts or any(part.startswith(".") for part in pure.parts) or "\0" in path
        if bad or not file.object.startswith(f"{FILES}{symbol}/"):
            raise _damaged(symbol, where, f"{path[:100]!r} is no place")
    return edition


def _damaged(symbol: str, where: str, wrong: str) -> PublishedDamaged:
    return PublishedDamaged(
        f"the edition of {symbol} in {where} is damaged: {wrong[:300]}", remedy="publish again: liq run"
    )
