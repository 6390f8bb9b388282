"""Which manifests are taken for ours."""

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.manifests import (
    Manifest,
    margin_note,
    read_intact_manifest,
    read_manifest,
    sound_manifest,
)

GOOD = {"as_of": "2026-06-28T00:00:00Z", "sha256": hashlib.sha256(b"rows").hexdigest()}


@pytest.mark.parametrize("field", ["as_of", "first_ts"])
@pytest.mark.parametrize(
    ("instant", "is_ours"),
    [
        ("2000-01-01T00:00:00Z", True),
        ("2199-12-31T23:59:59Z", True),
        ("2026-06-28T00:00:00+00:00", True),
        ("1999-12-31T23:59:59Z", False),
        ("2200-01-01T00:00:00Z", False),
        ("2026-06-28T00:00:00+02:00", False),
        ("2026-06-28T00:00:00", False),
        ("yesterday", False),
    ],
)
def test_an_instant_is_in_utc_and_of_this_time(field: str, instant: str, is_ours: bool) -> None:
    given = {"as_of": "2026-06-28T00:00:00Z", "sha256": "0" * 64} | {field: instant}

    if is_ours:
        assert getattr(Manifest.model_validate(given), field) == instant
    else:
        with pytest.raises(ValidationError, match=field):
            Manifest.model_validate(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"margin_brackets_known_until": "2026-01-01", "as_of": "2026-06-30T23:55:00Z"}, ""),  # 180 days
        ({"margin_brackets_known_until": "2026-01-01", "as_of": "2026-07-01T00:05:00Z"},
         "margin brackets as of 2026-01-01, the newest that are known"),
        ({"margin_brackets_known_until": "2020-01-01"}, ""),
        ({"as_of": "2026-07-01T00:05:00Z"}, ""),
        ({"margin_brackets": "default", "maintenance_margin_pct": 1.5, "max_leverage": 50.0},
         "default margin brackets: 1.5 %, at most 50x"),
        ({"margin_brackets": "default", "maintenance_margin_pct": 0.0, "max_leverage": 0.0},
         "default margin brackets: 0 %, at most 0x"),
        ({"margin_brackets": "own", "maintenance_margin_pct": 1.5, "max_leverage": 50.0}, ""),
        ({"margin_brackets": "default", "max_leverage": 50.0}, ""),
        ({"margin_brackets": "default", "maintenance_margin_pct": 1.5}, ""),
    ],
)  # fmt: skip
def test_brackets_that_are_half_a_year_old_or_not_its_own_are_said(given: dict, said: str) -> None:
    assert margin_note(given) == said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with its manifest."""
    path = dataset_path(tmp_path, "liquidation_levels", "BTCUSDT", "7d")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rows")
    manifest_path(path).parent.mkdir(parents=True)
    manifest_path(path).write_text(json.dumps(GOOD))
    return path


def test_a_manifest_counts_where_its_file_is_there_and_is_intact_where_it_is_that_file(path: Path) -> None:
    assert sound_manifest(path) == read_manifest(path) == read_intact_manifest(path) == GOOD
    path.write_bytes(b"other")
    assert (read_manifest(path), read_intact_manifest(path)) == (GOOD, None)
    path.unlink()
    assert (sound_manifest(path), read_manifest(path), read_intact_manifest(path)) == (GOOD, None, None)
    manifest_path(path).unlink()
    assert (sound_manifest(path), read_manifest(path), read_intact_manifest(path)) == (None, None, None)


@pytest.mark.parametrize(
    ("more", "needed", "said"),
    [
        ({"symbol": "BTCUSDT", "timeframe": "7d", "row_count": 0}, ["row_count"], ""),
        ({"symbol": "ETHUSDT"}, [], "it is of another symbol"),
        ({"timeframe": "1d"}, [], "it is of another timeframe"),
        ({"row_count": 0}, ["row_count", "current_price", "symbol"], "current_price, symbol missing"),
        ({"row_count": "5"}, [], "row_count: input should be a valid integer"),
        ({"row_count": -1}, [], "row_count: input should be greater than or equal to 0"),
        ({"as_of": None}, [], "as_of: input should be a valid string"),
    ],
)
def test_a_manifest_is_of_its_file_and_holds_what_is_needed(path: Path, more: dict, needed: list, said: str) -> None:
    manifest_path(path).write_text(json.dumps(GOOD | more))
    if not said:
        assert sound_manifest(path, needed) == GOOD | more
        return
    with pytest.raises(PublishedDamaged, match=f"the manifest of liquidation_levels/BTCUSDT/7d is damaged: {said}"):
        sound_manifest(path, needed)
    assert (read_manifest(path) is None) == (not needed)


def test_a_dataset_with_one_file_has_no_timeframe(tmp_path: Path) -> None:
    path = dataset_path(tmp_path, "oi_delta", "BTCUSDT")
    manifest_path(path).parent.mkdir(parents=True)
    manifest_path(path).write_text(json.dumps(GOOD | {"timeframe": "7d"}))
    assert sound_manifest(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[1]", "it is not an object but list"), (b"{", "it is not JSON"), (b'{"a": NaN}', "NaN is not a number"),
     (b"\xff", "it is not JSON"), (b"[" * 100_000, "it is nested too deeply|it is not JSON")],
)  # fmt: skip
def test_what_is_no_manifest_is_said(path: Path, content: bytes, said: str) -> None:
    manifest_path(path).write_bytes(content)
    with pytest.raises(PublishedDamaged, match=said):
        sound_manifest(path)
    manifest_path(path).unlink()
    manifest_path(path).mkdir()
    with pytest.raises(PublishedDamaged, match="it is not a file"):
        sound_manifest(path)
