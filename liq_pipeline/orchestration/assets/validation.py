"""Group `validation`: how well the map does against reported liquidations, beside every baseline."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from liq_pipeline.errors import LiqError
from liq_pipeline.model.ablations import MAIN
from liq_pipeline.model.walk import model_version
from liq_pipeline.orchestration.assets.common import acting
from liq_pipeline.orchestration.resources import ArchiveResource, PublisherResource, TruthFiles, WarehouseResource
from liq_pipeline.published.if_reached import ReachedFit
from liq_pipeline.transform.datasets import reached_dataset
from liq_pipeline.validation.brackets import evidence_of, forced_orders_in, said_of, write_tests
from liq_pipeline.validation.command import score_sources
from liq_pipeline.validation.reached import fit_sources
from liq_pipeline.validation.report import REPORT_NAME, report_folder, write_problems
from liq_pipeline.validation.words import flow_table, gate_table
from liq_pipeline.warehouse.tables import Tables


def validation_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `model_validation`, `bracket_evidence` and `if_reached`."""

    @dg.asset(
        partitions_def=symbols,
        deps=["klines", "open_interest"],
        group_name="validation",
        kinds={"python", "markdown"},
        code_version=model_version(),
        output_required=False,
    )
    def model_validation(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        archive: ArchiveResource,
        publisher: PublisherResource,
        truth: TruthFiles,
    ) -> Iterator[dg.MaterializeResult]:
        """The estimated map against reported liquidations: out-of-sample R² and Spearman with 95 % intervals.

        `data/published/validation/<SYMBOL>/<NAME>/`: JSON, Markdown, a page and plots. What is measured,
        and how, is in `docs/validation.md`. Skipped where `LIQ_TRUTH` names no file of the symbol.
        """
        symbol = context.partition_key
        files = [Path(name) for name in truth.files.get(symbol, [])]
        odd = truth.problems.get(symbol, [])
        if not files and not odd:
            write_problems(Path(publisher.folder), symbol, {}, [])
            context.log.info(f"skipped: LIQ_TRUTH names no file of reported liquidations of {symbol}")
            return
        with acting(), TemporaryDirectory() as name:
            with warehouse.transaction(symbol) as reading:
                klines, interest = _written(reading, symbol, Path(name))
            found, failures = score_sources(
                klines, interest, files, f"{archive.bar_minutes}m", symbol,
                Path(publisher.folder), context.log.info,
            )  # fmt: skip
        for failure in failures.values():
            context.log.warning(failure)
        write_problems(Path(publisher.folder), symbol, failures, odd)
        metadata: dict[str, dg.MetadataValue | float | int] = {"sources": len(found)}
        for source, one in found.items():
            row = one.flows.rows[MAIN]
            metadata |= {
                f"{source}: gates": dg.MetadataValue.md(gate_table(one)),
                f"{source}: flows": dg.MetadataValue.md(flow_table(one.flows)),
                f"{source}: r2_alone": row.alone.value,
                f"{source}: r2_over_move": row.gain_over_move.value,
                f"{source}: scale": one.scale.rate,
                f"{source}: report": dg.MetadataValue.path(
                    report_folder(Path(publisher.folder), symbol, Path(source).stem) / REPORT_NAME
                ),
            }
        metadata |= {f"{source}: not scored": dg.MetadataValue.text(why) for source, why in failures.items()}
        yield dg.MaterializeResult(metadata=metadata)

    @dg.asset(
        partitions_def=symbols,
        deps=["klines"],
        group_name="validation",
        kinds={"python"},
        code_version=model_version(),
    )
    def bracket_evidence(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        archive: ArchiveResource,
        publisher: PublisherResource,
        truth: TruthFiles,
    ) -> dg.MaterializeResult:
        """The symbol's maintenance margin, tested by forced orders: does the trigger of each lie in its own bar?

        Of what `liq record` kept, and of files of orders that `LIQ_TRUTH` names. Published as
        `data/published/validation/<SYMBOL>/brackets.json`; nothing is where no order is known.
        """
        symbol, published = context.partition_key, Path(publisher.folder)
        with acting():
            known: dict[str, pd.DataFrame] = {}
            for name, path in truth.sources_of(symbol).items():
                try:
                    orders = forced_orders_in(path, symbol)
                except LiqError as error:  # whatever is in a file of somebody else's does not stop the rest
                    context.log.warning(f"{path}: no forced orders are read: {error}")
                else:
                    known |= {} if orders is None else {name: orders}
            tests = {}
            if known:
                with warehouse.transaction(symbol) as tables:
                    bars = tables.read("validation_klines", symbol=symbol)
                ts, low, high = (bars[name].to_numpy() for name in ("ts", "low", "high"))
                width = np.timedelta64(archive.bar_minutes, "m")
                ts = ts.astype("datetime64[us]")
                tests = {name: evidence_of(rows, symbol, ts, low, high, width) for name, rows in known.items()}
            write_tests(published, symbol, tests)
        said = {name: said_of(test) for name, test in tests.items()}
        return dg.MaterializeResult(metadata=said or {"orders": f"no forced order of {symbol} is known"})

    @dg.asset(
        partitions_def=symbols,
        deps=["published_levels"],
        group_name="published",
        kinds={"parquet"},
        code_version=model_version(),
    )
    def if_reached(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        archive: ArchiveResource,
        publisher: PublisherResource,
        truth: TruthFiles,
    ) -> dg.MaterializeResult:
        """How much gets liquidated on the way to a price that is reached within 1, 4 or 24 hours: p10, p50, p90.

        `data/published/if_reached/<SYMBOL>/if_reached.parquet`. Fitted anew each day on all reported liquidations
        that are known: what `liq record` kept, and what `LIQ_TRUTH` names. Rows appear from 14 days of these on; the
        manifest holds the fits, and says what lacks.
        """
        symbol = context.partition_key
        with acting(), TemporaryDirectory() as name, warehouse.transaction(symbol) as tables:
            fits: list[ReachedFit] = []
            why: dict[str, str] = {}
            if sources := truth.sources_of(symbol):
                klines, interest = _written(tables, symbol, Path(name))
                fits, why = fit_sources(klines, interest, sources, archive.bar_minutes, symbol)
            dataset = reached_dataset(tables, symbol, fits, why)
            publisher.publish([dataset])
        for line in why.values():
            context.log.warning(line)
        shares = {f"coverage_80_{one.source}_{one.horizon_hours}h": one.coverage_80 for one in fits}
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": dataset.content()[1],
                "hidden_because": dataset.manifest["hidden_because"] or "nothing is hidden",
                **shares,
            }
        )

    return [model_validation, bracket_evidence, if_reached]


def _written(tables: Tables, symbol: str, folder: Path) -> list[Path]:
    """Write klines and open interest as `liq validate` reads them; return the two files."""
    paths = []
    for kind in ("klines", "open_interest"):
        paths.append(folder / f"{kind}.parquet")
        pq.write_table(tables.read(f"validation_{kind}", symbol=symbol), paths[-1])
    return paths
