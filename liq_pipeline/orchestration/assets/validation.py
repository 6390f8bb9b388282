"""Group `validation`: how well the map does against reported liquidations, beside every baseline."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import numpy as np
import pyarrow.parquet as pq

from liq_pipeline.model.ablations import MAIN
from liq_pipeline.model.walk import MODEL_VERSION
from liq_pipeline.orchestration.assets.common import acting
from liq_pipeline.orchestration.resources import ArchiveResource, PublisherResource, TruthFiles, WarehouseResource
from liq_pipeline.validation.brackets import evidence_of, forced_orders_in, said_of, write_tests
from liq_pipeline.validation.command import score_sources
from liq_pipeline.validation.report import REPORT_NAME, report_folder, write_problems
from liq_pipeline.validation.words import flow_table, gate_table


def validation_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `model_validation` and `bracket_evidence`."""

    @dg.asset(
        partitions_def=symbols,
        deps=["klines", "open_interest"],
        group_name="validation",
        kinds={"python", "markdown"},
        code_version=MODEL_VERSION,
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
            tables = {kind: Path(name) / f"{kind}.parquet" for kind in ("klines", "open_interest")}
            with warehouse.transaction(symbol) as reading:
                for kind, path in tables.items():
                    pq.write_table(reading.read(f"validation_{kind}", symbol=symbol), path)
            found, failures = score_sources(
                tables["klines"], tables["open_interest"], files, f"{archive.bar_minutes}m", symbol,
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
        code_version=MODEL_VERSION,
        output_required=False,
    )
    def bracket_evidence(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        archive: ArchiveResource,
        publisher: PublisherResource,
        truth: TruthFiles,
    ) -> Iterator[dg.MaterializeResult]:
        """The symbol's maintenance margin, tested by forced orders: does the trigger of each lie in its own bar?

        Of what `liq record` kept, and of files of orders that `LIQ_TRUTH` names. Published as
        `data/published/validation/<SYMBOL>/brackets.json`. Skipped where there is no order.
        """
        symbol, published = context.partition_key, Path(publisher.folder)
        with acting():
            orders = {name: forced_orders_in(path, symbol) for name, path in truth.sources_of(symbol).items()}
            known = {name: rows for name, rows in orders.items() if rows is not None}
            tests = {}
            if known:
                with warehouse.transaction(symbol) as tables:
                    bars = tables.read("validation_klines", symbol=symbol)
                ts, low, high = (bars[name].to_numpy() for name in ("ts", "low", "high"))
                width = np.timedelta64(archive.bar_minutes, "m")
                ts = ts.astype("datetime64[us]")
                tests = {name: evidence_of(rows, symbol, ts, low, high, width) for name, rows in known.items()}
            write_tests(published, symbol, tests)
        if not tests:
            context.log.info(f"skipped: no forced order of {symbol} is known")
            return
        yield dg.MaterializeResult(metadata={name: said_of(test) for name, test in tests.items()})

    return [model_validation, bracket_evidence]
