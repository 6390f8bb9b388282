"""One symbol up to the newest closed bar: newest hours, tables, levels, checks, published files.

Everything of a symbol happens in one transaction of the warehouse, and is published after it. The full run calls the
same functions, asset by asset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from liq_pipeline.clock import Clock
from liq_pipeline.errors import CheckFailed, PublishedDamaged
from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.exchange.tail import TailReport
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.if_reached import DATASET, fits_of
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.transform.datasets import level_datasets, reached_dataset
from liq_pipeline.transform.incremental import Extended, extend
from liq_pipeline.transform.rules.everything import rules_of_every_bar
from liq_pipeline.transform.rules.recent import tail_checks
from liq_pipeline.transform.rules.rule import Result, Subject, evaluate
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Sources:
    """Where the data comes from, where it is kept and published, and what time it is."""

    archive: ArchiveSource
    rest: RestSource
    warehouse: Warehouse
    publisher: Publisher
    clock: Clock


@dataclass
class RefreshReport:
    """What became of one symbol.

    Attributes:
        symbol: which.
        tails: what became of open interest's and of the klines' tail.
        extended: what the new rows did; None where there was nothing to add to.
        checks: results of the rules that look at every bar, and of the tails.
        published: what was published; empty: nothing was.
    """

    symbol: str
    tails: list[TailReport] = field(default_factory=list)
    extended: Extended | None = None
    checks: list[Result] = field(default_factory=list)
    published: list[PublishedDataset] = field(default_factory=list)

    @property
    def said(self) -> str:
        """In one line."""
        problems = "; ".join(dict.fromkeys(tail.problem.rstrip(".") for tail in self.tails if tail.problem))
        if not self.published:
            return f"{self.symbol}: nothing new" + (f": {problems}" if problems else "")
        assert self.extended
        how = "replayed from the beginning" if self.extended.replayed else "walked on"
        bars, as_of = self.extended.new_bars, self.extended.newest["as_of"]
        return f"{self.symbol}: {bars} new bar{'s' * (bars != 1)}, {how}, up to {as_of:%Y-%m-%d %H:%M} UTC"


def refresh_recent(sources: Sources, symbol: str) -> RefreshReport:
    """Bring one symbol's levels up to the newest closed bar, and publish them if they pass their checks.

    Raises:
        NoData: nothing was loaded yet: a full run comes first.
        CheckFailed: a blocking check failed: nothing was changed and nothing is published.
        LiqError: the tail on disk, the warehouse or the published folder cannot be used.
    """
    now = sources.clock.now()
    done = RefreshReport(symbol)
    datasets = (sources.archive.open_interest_files, sources.archive.kline_files)
    done.tails = [sources.rest.update(dataset, symbol, now, patient=True) for dataset in datasets]
    done.checks = [check for tail in done.tails for check in tail_checks(tail, is_off=not sources.rest.url)]
    open_interest, klines = (sources.rest.rows(dataset, symbol) for dataset in datasets)
    with sources.warehouse.transaction(symbol) as tables:
        done.extended = extend(tables, symbol, open_interest, klines)
        newest = done.extended.newest["as_of"]
        if not done.extended.new_bars and published_until(sources.publisher, symbol) == newest:
            return done
        subject = Subject(symbol, tables, sources.archive, sources.publisher, sources.clock)
        found = [(rule, evaluate(rule, subject)) for rule in rules_of_every_bar()]
        if failed := [(rule, outcome) for rule, outcome in found if rule.blocking and outcome.is_error]:
            raise CheckFailed(
                f"{symbol}: " + "; ".join(f"{rule.asset}: {rule.name}: {outcome.found}" for rule, outcome in failed),
                expected="every blocking check to pass",
                remedy="nothing was changed; run `liq run`, which starts anew from the files and tells more",
            )
        done.checks += [Result(rule.asset, rule.name, outcome) for rule, outcome in found]
        content = level_datasets(tables, symbol, sources.archive, published_results(done.checks))
        content += _ranges_from_now(sources.publisher, tables, symbol)
    sources.publisher.publish(content)
    done.published = content
    return done


def _ranges_from_now(publisher: Publisher, tables: Tables, symbol: str) -> list[PublishedDataset]:
    """Return the dataset `if_reached` from the newest bar on, with the fits that are published; none where none are."""
    manifest = read_manifest(dataset_path(Path(publisher.folder), DATASET, symbol))
    if manifest is None:
        return []
    try:
        fits = fits_of(manifest)
    except PublishedDamaged:  # the next full run writes it anew
        return []
    return [reached_dataset(tables, symbol, fits, manifest.get("not_fitted", {}))]


def published_until(publisher: Publisher, symbol: str, dataset: str = "liquidation_levels") -> datetime | None:
    """Return the newest bar of what is published of a dataset by timeframe; None where nothing is."""
    manifest = read_manifest(dataset_path(Path(publisher.folder), dataset, symbol, next(iter(TIMEFRAMES))))
    return datetime.fromisoformat(manifest["as_of"]) if manifest else None


def published_results(results: list[Result]) -> list[dict[str, object]]:
    """Return results of checks as manifests list them, ordered by name."""
    return sorted((result.as_published() for result in results), key=lambda item: (item["asset"], item["check"]))
