"""One new bar on 120 days of state, against deriving, checking and publishing everything anew."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from benchmarks.data import SYMBOL, kline_rows, open_interest_rows, temporary_warehouse, whole_path
from benchmarks.harness import Outcome
from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.datasets import level_datasets
from liq_pipeline.transform.incremental import extend
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.transform.rules.everything import all_rules, rules_of_every_bar
from liq_pipeline.transform.rules.rule import Rule, Subject, evaluate
from liq_pipeline.warehouse.schema import BASE_TABLES, LEVEL_TABLES
from liq_pipeline.warehouse.tables import Tables

BARS, NEW = 120 * 288, 7


def run() -> list[Outcome]:
    """Measure CPU time: wall time of a run is mostly Dagster's bookkeeping, which only the full chain has."""
    market = whole_path().last(BARS)
    klines, open_interest = kline_rows(market), open_interest_rows(market)
    every = [rule for rule in all_rules() if rule.asset in (*BASE_TABLES, *LEVEL_TABLES)]
    quick, whole = [], []
    with TemporaryDirectory() as folder, temporary_warehouse() as warehouse:
        publisher = Publisher(folder=str(Path(folder) / "published"))
        archive = ArchiveSource(location=folder, listing_url=folder, raw_dir=folder, bar_minutes=5)
        clock = Clock(fixed=f"{market.ts[-1]}+00:00")

        def check_and_publish(tables: Tables, rules: list[Rule]) -> None:
            subject = Subject(SYMBOL, tables.connection, archive, publisher, clock)
            assert all(evaluate(rule, subject).passed for rule in rules)
            publisher.publish(level_datasets(tables, SYMBOL, archive, []))

        def everything(bars: int) -> None:
            with warehouse.transaction(SYMBOL) as tables:
                tables.replace("klines", SYMBOL, klines.slice(0, bars))
                tables.replace("open_interest", SYMBOL, open_interest.slice(0, bars))
                tables.rebuild("oi_delta", SYMBOL)
                walk_whole(tables, SYMBOL)
                write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
                check_and_publish(tables, every)

        def one_bar(place: int) -> None:
            with warehouse.transaction(SYMBOL) as tables:
                done = extend(tables, SYMBOL, open_interest.slice(place, 1), klines.slice(place, 1))
                assert (done.new_bars, done.replayed) == (1, False)
                check_and_publish(tables, rules_of_every_bar())

        everything(BARS - NEW)
        for place in range(BARS - NEW, BARS):
            quick.append(_cpu(lambda place=place: one_bar(place)))
        for _ in range(3):
            whole.append(_cpu(lambda: everything(BARS)))
    quick, whole = sorted(quick), sorted(whole)
    ours, peer = quick[len(quick) // 2], whole[len(whole) // 2]
    what = "one new bar on 120 days, against all of it anew (CPU, in memory: no files, no Dagster, no pictures)"
    return [Outcome("newest_bar", what, ours / peer, "×", None, 1000 * ours, 1000 * peer)]


def _cpu(action) -> float:
    begin = process_time()
    action()
    return process_time() - begin
