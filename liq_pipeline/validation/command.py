"""What `liq validate` and the asset `model_validation` both do: read, score, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from liq_pipeline.errors import LiqError, SettingsError
from liq_pipeline.validation.brackets import evidence_of, forced_orders_in, price_levels_of, said_of
from liq_pipeline.validation.files import bar_width
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.validation.report import report_folder
from liq_pipeline.validation.run import Validation, parameters_of, validate
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
    churn_per_turnover: float | None = None,
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
    found = validate(inputs, symbol, source=liquidations.name, churn_per_turnover=churn_per_turnover)
    orders = forced_orders_in(liquidations, symbol)
    if orders is not None:
        bars = inputs.data.walk_input
        found.brackets = evidence_of(orders, symbol, bars.ts, bars.low, bars.high, inputs.data.width)
        parameters = parameters_of(inputs, churn_per_turnover)
        found.price_levels = price_levels_of(orders, inputs, symbol, parameters)
        found.notes.append(f"margin brackets: {said_of(found.brackets)}")
    if out is not None:
        from liq_pipeline.validation.report import write_report

        write_report(found, out)
    return found


def score_sources(
    klines: Path,
    open_interest: Path,
    files: Sequence[Path],
    bar: str,
    symbol: str,
    published: Path,
    report: Callable[[str], None],
) -> tuple[dict[str, Validation], dict[str, str]]:
    """Score the map against each file of reported liquidations, and write a report each.

    Returns:
        What was found, by file name; and why a file could not be scored, by its stem. One that cannot be used,
        whatever is in it, does not stop another.
    """
    found: dict[str, Validation] = {}
    failures: dict[str, str] = {}
    for number, file in enumerate(files, 1):
        report(f"{symbol}: scoring against {file.name}, {number} of {len(files)}")
        try:
            if file.stem in [Path(source).stem for source in found]:
                raise LiqError(f"{file} has the name of another source", remedy="give it a name of its own")
            out = report_folder(published, symbol, file.stem)
            found[file.name] = run_validation(klines, open_interest, file, bar, symbol, out=out)
        except Exception as error:
            why = str(error) if isinstance(error, LiqError) else f"{type(error).__name__}: {error}"
            failures[file.stem] = f"{file}: not scored: {why}"
    return found, failures
