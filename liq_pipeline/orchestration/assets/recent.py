"""Group `recent`: the hours that the archive does not have yet, from REST. Without REST it is empty, and says so."""

from typing import Any

import dagster as dg

from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.exchange.tail import TailReport
from liq_pipeline.orchestration.assets.common import acting, check_result, instant
from liq_pipeline.orchestration.resources import ArchiveResource, ClockResource, RestResource
from liq_pipeline.transform.rules.recent import AGREES, ANSWERS, STAMPS, TEXTS, tail_checks


def recent_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `recent_open_interest` and `recent_klines`."""

    def specs(asset: str, *names: str) -> list[dg.AssetCheckSpec]:
        return [dg.AssetCheckSpec(n, asset=asset, description=TEXTS[n], partitions_def=symbols) for n in names]

    @dg.asset(
        partitions_def=symbols,
        deps=["raw_open_interest"],
        group_name="recent",
        kinds={"binance", "parquet"},
        check_specs=specs("recent_open_interest", ANSWERS, AGREES, STAMPS),
    )
    def recent_open_interest(
        context: dg.AssetExecutionContext, archive: ArchiveResource, rest: RestResource, clock: ClockResource
    ) -> dg.MaterializeResult:
        """Open interest of the hours that the archive does not have yet, every 5 minutes, from `openInterestHist`.

        What REST's stamps mean is measured on the last day that the archive has, too. Rows leave as soon as the archive
        covers them; both are compared then.
        """
        return _update(context.partition_key, archive.open_interest_files, rest, clock)

    @dg.asset(
        partitions_def=symbols,
        deps=["raw_klines"],
        group_name="recent",
        kinds={"binance", "parquet"},
        check_specs=specs("recent_klines", ANSWERS, AGREES),
    )
    def recent_klines(
        context: dg.AssetExecutionContext, archive: ArchiveResource, rest: RestResource, clock: ClockResource
    ) -> dg.MaterializeResult:
        """Closed bars of the hours that the archive does not have yet, from `klines`. The open bar never enters."""
        return _update(context.partition_key, archive.kline_files, rest, clock)

    return [recent_open_interest, recent_klines]


def _update(symbol: str, dataset: ArchiveDataset, rest: RestResource, clock: ClockResource) -> dg.MaterializeResult:
    with acting():
        report = rest.update(dataset, symbol, clock.now())
    checks = [check_result(result) for result in tail_checks(report, is_off=not rest.url)]
    return dg.MaterializeResult(metadata=tail_facts(report), check_results=checks)


def tail_facts(report: TailReport) -> dict[str, Any]:
    """Return what the UI shows of a tail."""
    facts: dict[str, Any] = {"dagster/partition_row_count": report.rows, "fetched_rows": report.fetched}
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
