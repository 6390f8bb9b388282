"""Group `recent`: the hours that the archive does not have yet, from REST. Without REST it is empty, and says so."""

from typing import Any

import dagster as dg

from liq_pipeline.assets.common import OWNERS, WAREHOUSE_POOL, failure, instant
from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.archive import Dataset
from liq_pipeline.exchange.tail import TailReport
from liq_pipeline.resources import ArchiveSource, RestSource

RECENT_ASSETS = ("recent_open_interest", "recent_klines")
ANSWERS, AGREES, STAMPS = "rest_gives_the_newest_rows", "archive_confirms_rows_of_rest", "stamps_mean_what_they_meant"
_TEXTS = {
    ANSWERS: "REST gave the rows that the archive does not have yet. If not: the archive alone, with its age (WARN).",
    AGREES: "When the archive's file for hours of REST arrives, it replaces them; the values were the same.",
    STAMPS: "REST's stamps of open interest mean what they meant last time, measured on what the archive has, too.",
}


def recent_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `recent_open_interest` and `recent_klines`."""

    def specs(asset: str, *names: str) -> list[dg.AssetCheckSpec]:
        return [dg.AssetCheckSpec(n, asset=asset, description=_TEXTS[n], partitions_def=symbols) for n in names]

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=["raw_open_interest"],
        group_name="recent",
        kinds={"binance", "parquet"},
        owners=OWNERS,
        check_specs=specs("recent_open_interest", ANSWERS, AGREES, STAMPS),
    )
    def recent_open_interest(
        context: dg.AssetExecutionContext, archive: ArchiveSource, rest: RestSource, clock: Clock
    ) -> dg.MaterializeResult:
        """Open interest of the hours that the archive does not have yet, every 5 minutes, from `openInterestHist`.

        What REST's stamps mean is measured on the last day that the archive has, too. Rows leave as soon as the archive
        covers them; both are compared then.
        """
        return _update(context.partition_key, archive.open_interest_files, rest, clock)

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=["raw_klines"],
        group_name="recent",
        kinds={"binance", "parquet"},
        owners=OWNERS,
        check_specs=specs("recent_klines", ANSWERS, AGREES),
    )
    def recent_klines(
        context: dg.AssetExecutionContext, archive: ArchiveSource, rest: RestSource, clock: Clock
    ) -> dg.MaterializeResult:
        """Closed bars of the hours that the archive does not have yet, from `klines`. The open bar never enters."""
        return _update(context.partition_key, archive.kline_files, rest, clock)

    return [recent_open_interest, recent_klines]


def _update(symbol: str, dataset: Dataset, rest: RestSource, clock: Clock) -> dg.MaterializeResult:
    try:
        report = rest.update(dataset, symbol, clock.now())
    except LiqError as error:
        raise failure(error) from error
    return dg.MaterializeResult(metadata=tail_facts(report), check_results=tail_checks(report, is_off=not rest.url))


def tail_facts(report: TailReport) -> dict[str, Any]:
    """Return what the UI shows of a tail."""
    facts: dict[str, Any] = {"dagster/row_count": report.rows, "fetched_rows": report.fetched}
    if report.newest:
        facts["newest"] = instant(report.newest)
    if report.problem:
        facts["problem"] = report.problem
    if report.calibration:
        facts["stamp_offset_minutes"] = report.calibration.offset_minutes
        facts["stamp_matches"] = f"{report.calibration.matches} of {report.calibration.compared}"
    if report.replaced.compared:
        facts["replaced_by_archive"] = report.replaced.compared
        facts["replaced_largest_difference_pct"] = report.replaced.largest_difference_pct
    return facts | {f"quirk/{name}": count for name, count in report.notes.items()}


def tail_checks(report: TailReport, *, is_off: bool) -> list[dg.AssetCheckResult]:
    """Return what is to be known of a tail: does REST answer, was it right, do its stamps still mean the same?"""
    is_open_interest = not report.dataset.interval
    asset = RECENT_ASSETS[0] if is_open_interest else RECENT_ASSETS[1]

    def result(name: str, passed: bool, text: str, **facts: float) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            asset_key=asset, check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, description=text,
            metadata=facts,
        )  # fmt: skip

    replaced = report.replaced
    good = replaced.differing == replaced.missing == 0
    text = f"{report.rows} rows, {report.fetched} of them new"
    results = [
        result(ANSWERS, is_off or not report.problem, f"archive only: {report.problem}" if report.problem else text),
        result(
            AGREES,
            good,
            f"{replaced.compared} rows of REST were replaced by the archive's: {replaced.differing} differ, by at most "
            f"{replaced.largest_difference_pct:.3g} %; the archive lacks {replaced.missing}",
            replaced=replaced.compared,
            differing=replaced.differing,
            missing=replaced.missing,
            largest_difference_pct=replaced.largest_difference_pct,
        ),
    ]
    if is_open_interest:
        now = report.calibration.offset_minutes if report.calibration else None
        changed = report.calibrated_before is not None
        said = f"label + {now} min is the instant" if now is not None else "not measured"
        was = f"; it was label + {report.calibrated_before} min before: the exchange has changed its stamps"
        results.append(result(STAMPS, not changed, said + (was if changed else "")))
    return results
