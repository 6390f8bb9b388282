"""Manifests of published files, read with care: whoever reads one gets a sound one or a typed error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.published.layout import manifest_path

BRACKETS_AGE = timedelta(days=180)
"""Older margin brackets are said to be old."""
MAX_BYTES = 1_000_000  # one with every check of a run has 20 kB


def _instant(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0):
        raise ValueError("not in UTC")
    if not 2000 <= moment.year < 2200:
        raise ValueError("not of this time")
    return text


_Instant = Annotated[str, StringConstraints(max_length=40), AfterValidator(_instant)]
_Label = Annotated[str, StringConstraints(max_length=300)]
_Amount = Annotated[float, Field(ge=0, lt=1e18, allow_inf_nan=False)]


class Manifest(BaseModel):
    """What readers use of a manifest. More is welcome; what is named here has this type wherever it is given."""

    model_config = ConfigDict(strict=True, extra="ignore")

    as_of: _Instant
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    symbol: _Label | None = None
    timeframe: _Label | None = None
    row_count: Annotated[int, Field(ge=0, lt=10**9)] | None = None
    first_ts: _Instant | None = None
    source_label: _Label = ""
    code_version: _Label = ""
    current_price: Annotated[float, Field(gt=1e-12, lt=1e12, allow_inf_nan=False)] | None = None
    open_interest_contracts: _Amount | None = None
    burn_in_days: Annotated[float, Field(gt=-1e6, lt=1e6, allow_inf_nan=False)] | None = None
    bar_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    long_notional_usd: _Amount | None = None
    short_notional_usd: _Amount | None = None
    long_contracts: _Amount | None = None
    short_contracts: _Amount | None = None
    coverage_pct: _Amount | None = None
    long_usd_within_1_pct: _Amount | None = None
    short_usd_within_1_pct: _Amount | None = None
    margin_brackets: Literal["own", "default"] | None = None
    margin_brackets_known_until: Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\d$")] | None = None
    maintenance_margin_pct: _Amount | None = None
    max_leverage: _Amount | None = None
    checksums: _Label | None = None


class _ViewsManifest(BaseModel):
    """What readers use of the manifest of pictures and pages: their sha256, by file name."""

    model_config = ConfigDict(strict=True, extra="ignore")

    sha256: dict[_Label, Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]]


def sound_views_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder of pictures and pages, or None where there is none.

    Raises:
        PublishedDamaged: as `sound_manifest`.
    """
    return _sound(folder, _ViewsManifest)


def sound_manifest(path: Path, needed: Collection[str] = ()) -> dict[str, Any] | None:
    """Return the manifest of a published file, or None where there is none.

    Args:
        path: the published file.
        needed: fields that must be given, besides `as_of` and `sha256`.

    Raises:
        PublishedDamaged: there is one, but it is not one of ours: cut off, not JSON, of wrong types, of another file.
    """
    content = _sound(path, Manifest)
    if content is None:
        return None
    if missing := [name for name in needed if content.get(name) is None]:
        raise _damaged(path, f"{', '.join(missing)} missing")
    return content


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a published file, or None where the file or a readable manifest is missing."""
    try:
        content = sound_manifest(path)
    except PublishedDamaged:
        return None
    return content if path.exists() else None


def margin_note(manifest: Mapping[str, Any]) -> str:
    """Return, in words, that the symbol's margin brackets are old, or not its own; empty where all is well."""
    known, as_of = manifest.get("margin_brackets_known_until"), manifest.get("as_of")
    if known and as_of and datetime.fromisoformat(as_of[:10]) - datetime.fromisoformat(known) > BRACKETS_AGE:
        return f"margin brackets as of {known}, the newest that are known"
    margin, most = manifest.get("maintenance_margin_pct"), manifest.get("max_leverage")
    if manifest.get("margin_brackets") != "default" or margin is None or most is None:
        return ""
    return f"default margin brackets: {margin:g} %, at most {most:g}x"


def read_intact_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a published file, or None where the file is not the one that it speaks of.

    What was damaged since it was published is no measure for what comes next: it is written anew.
    """
    manifest = read_manifest(path)
    if manifest is None or hashlib.sha256(path.read_bytes()).hexdigest() != manifest.get("sha256"):
        return None
    return manifest


def _sound(path: Path, model: type[BaseModel]) -> dict[str, Any] | None:
    content = _parsed(path)
    if content is None:
        return None
    try:
        model.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg'].lower()}" for item in error.errors()
        )
        raise _damaged(path, wrong) from None
    dataset, symbol, timeframe = *path.parts[-3:-1], path.stem
    for name, value in {"symbol": symbol, **({} if timeframe == dataset else {"timeframe": timeframe})}.items():
        if content.get(name, value) != value:
            raise _damaged(path, f"it is of another {name}")
    return content


def _parsed(path: Path) -> dict[str, Any] | None:
    place = manifest_path(path)
    try:
        if not place.exists():
            return None
        if not place.is_file():
            raise _damaged(path, "it is not a file")
        with place.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _damaged(path, f"it is larger than {MAX_BYTES // 1000} kB")
        content = json.loads(data.decode(), parse_constant=_no_number)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror})") from None
    except RecursionError:
        raise _damaged(path, "it is nested too deeply") from None
    except ValueError as error:
        raise _damaged(path, f"it is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise _damaged(path, f"it is not an object but {type(content).__name__}")
    return content


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _damaged(path: Path, wrong: str) -> PublishedDamaged:
    return damaged_manifest("/".join((*path.parts[-3:-1], path.stem)), wrong)


def damaged_manifest(place: str, wrong: str) -> PublishedDamaged:
    """Return an error that says what is wrong with the manifest of a dataset."""
    return PublishedDamaged(
        f"the manifest of {place} is damaged: {wrong[:300]}",
        expected="the manifest that was published",
        remedy="publish again: liq run",
    )
