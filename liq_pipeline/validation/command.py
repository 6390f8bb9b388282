"""What `liq validate` and the asset `model_validation` both do: read, score, write."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from liq_pipeline.errors import SettingsError
from liq_pipeline.validation.files import bar_width
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.validation.run import Validation, validate
from liq_pipeline.validation.truth import Stamp

STAMPS = ("auto", "start", "end")


def run_validation(
    klines: Path,
    open_interest: Path,
    liquidations: Path,
    bar: str,
    symbol: str,
    *,
    kline_stamp: str = "auto",
    truth_stamp: str = "auto",
    open_interest_stamp: str = "auto",
    gamma: float | None = None,
    out: Path | None = None,
) -> Validation:
    """Score one set of files and write the report where `out` is given.

    Raises:
        LiqError: a file or an option that cannot be used; too little data.
    """
    stamps = {
        "--kline-stamp": kline_stamp, "--truth-stamp": truth_stamp, "--open-interest-stamp": open_interest_stamp,
    }  # fmt: skip
    for name, value in stamps.items():
        if value not in STAMPS:
            raise SettingsError(f"{name} {value!r} is not usable", expected=f"one of {', '.join(STAMPS)}")
    inputs = read_inputs(
        klines,
        open_interest,
        liquidations,
        bar_minutes=bar_width(bar),
        symbol=symbol,
        kline_stamp=cast(Stamp, kline_stamp),
        truth_stamp=cast(Stamp, truth_stamp),
        open_interest_stamp=cast(Stamp, open_interest_stamp),
    )
    found = validate(inputs, symbol, source=liquidations.name, gamma=gamma)
    if out is not None:
        from liq_pipeline.validation.report import write_report

        write_report(found, out)
    return found
