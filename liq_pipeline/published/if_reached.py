"""The ranges of "if the price reaches X", as the published reports of the validation hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.if_reached import HIGH_LEVERAGE, SHOWN_FROM_DAYS, Range

_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
REPORT = "validation.json"


class _Numbers(BaseModel):
    model_config = ConfigDict(extra="ignore")

    a: _Number
    b: _Number
    c1: _Number
    c2: _Number
    beta: Annotated[float, Field(ge=0, le=10)]
    z10: _Number
    z50: _Number
    z90: _Number


class Horizon(BaseModel):
    """What a report holds of one horizon.

    Attributes:
        horizon_hours: within which the price gets there.
        cases, days: targets that were scored; days of truth.
        coverage_80: share of past cases in the range.
        parameters: of the newest fit.
    """

    model_config = ConfigDict(extra="ignore")

    horizon_hours: int
    cases: int
    days: _Number
    coverage_80: _Number
    parameters: _Numbers

    @property
    def range(self) -> Range:
        """The formula with these numbers."""
        return Range(**self.parameters.model_dump())

    @property
    def is_shown(self) -> bool:
        """Whether there is enough truth to show it to people."""
        return self.days >= SHOWN_FROM_DAYS


class Report(BaseModel):
    """What a report holds: a source of truth, and its horizons."""

    model_config = ConfigDict(extra="ignore")

    source: str
    if_reached: list[Horizon] = []


def reports_of(published: Path, symbol: str) -> dict[str, bytes]:
    """Return the symbol's reports as they lie there, by source."""
    found = sorted((published / "validation" / symbol).glob(f"*/{REPORT}"))
    return {path.parent.name: path.read_bytes() for path in found}


def read_report(source: str, content: bytes) -> Report:
    """Return what a report says.

    Raises:
        PublishedDamaged: it is none.
    """
    try:
        return Report.model_validate_json(content).model_copy(update={"source": source})
    except ValidationError as error:
        raise PublishedDamaged(
            f"the report of {source} cannot be read ({error.error_count()} faults)",
            remedy="publish again: liq run",
        ) from None


def mapped_until(levels: pa.Table, side: str, price: float, distances_pct: np.ndarray) -> np.ndarray:
    """Return mapped USD of a side between the price and each distance; shape (distances, 2): up to 60x, and above."""
    middle = (levels["price_low"].to_numpy() + levels["price_high"].to_numpy()) / 2
    usd, own = levels["notional_usd"].to_numpy(), levels["side"].to_numpy(zero_copy_only=False) == side
    away = 100 * np.abs(middle / price - 1)
    high = levels["leverage"].to_numpy() > HIGH_LEVERAGE
    return np.array([[usd[own & (high == kind) & (away <= one)].sum() for kind in (False, True)]
                     for one in distances_pct])  # fmt: skip
