"""What a small object in a bucket may say of an edition."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.published.pointer import Edition, EditionFile, pointer_of, sound_edition

FILE = {"object": "published/files/B/1/x", "sha256": "0f" * 32, "size": 0}


def edition(path: str = "candles/B/7d.parquet", file: dict | None = None, **more: object) -> bytes:
    return json.dumps(
        {"version": 1, "symbol": "B", "number": 2, "name": "n", "files": {path: FILE | (file or {})}} | more
    ).encode()


def test_a_sound_one_is_read() -> None:
    assert pointer_of("B") == "published/editions/B.json"
    assert sound_edition("B", edition(), "here") == Edition(
        symbol="B", number=2, name="n", files={"candles/B/7d.parquet": EditionFile(**FILE)}
    )
    assert sound_edition("B", b'{"symbol": "B"}', "here") == Edition(version=1, symbol="B", number=0, name="", files={})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (edition(symbol="C"), "it is of 'C'"),
        (edition("/x/y"), "'/x/y' is no place"),
        (edition(""), "'' is no place"),
        (edition("."), "'.' is no place"),
        (edition("a/.hidden/b"), "'a/.hidden/b' is no place"),
        (edition("a/../b"), "'a/../b' is no place"),
        (edition("a\0b"), r"is no place"),
        (edition(file={"object": "published/files/C/1/x"}), "is no place"),
        (edition(file={"size": -1}), "size: Input should be greater than or equal to 0"),
        (edition(file={"size": "1"}), "size: Input should be a valid integer"),
        (edition(file={"sha256": "0f" * 31}), "sha256"),
        (edition(version=2), "version: Input should be less than or equal to 1"),
        (edition(version=0), "version: Input should be greater than or equal to 1"),
        (edition(number=-1), "number: Input should be greater than or equal to 0"),
        (edition(number="1"), "number: Input should be a valid integer"),
        (b"[]", "the whole: "),
    ],
)
def test_any_other_is_damaged(content: bytes, said: str) -> None:
    with pytest.raises(PublishedDamaged, match=f"the edition of B in here is damaged: .*{said}"):
        sound_edition("B", content, "here")


def test_what_was_read_does_not_change() -> None:
    found = sound_edition("B", edition(), "here")
    for one, name in ((found, "number"), (found.files["candles/B/7d.parquet"], "size")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(one, name, 5)
