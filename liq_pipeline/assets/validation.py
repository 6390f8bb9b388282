"""Group `validation`: how well the map does against reported liquidations, beside every baseline."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow.parquet as pq

from liq_pipeline.assets.common import OWNERS, WAREHOUSE_POOL
from liq_pipeline.errors import LiqError
from liq_pipeline.model.ablations import MAIN
from liq_pipeline.model.walk import MODEL_VERSION
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.validation.command import run_validation
from liq_pipeline.validation.report import REPORT_NAME, report_folder, write_problems
from liq_pipeline.validation.run import Validation
from liq_pipeline.validation.words import flow_table, gate_table
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import Warehouse


class TruthFiles(dg.ConfigurableResource):
    """Where reported liquidations are.

    Args:
        files: per symbol, files in a format of `liq validate`.
        problems: per symbol, sentences about how they are named.
    """

    files: dict[str, list[str]]
    problems: dict[str, list[str]]


def validation_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `model_validation`."""

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=["klines", "open_interest"],
        group_name="validation",
        kinds={"python", "markdown"},
        owners=OWNERS,
        code_version=MODEL_VERSION,
        output_required=False,
    )
    def model_validation(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        archive: ArchiveSource,
        publisher: Publisher,
        truth: TruthFiles,
    ) -> Iterator[dg.MaterializeResult]:
        """The estimated map against reported liquidations: out-of-sample R² and Spearman with 95 % intervals.

        `data/published/validation/symbol=<SYMBOL>/source=<NAME>/`: JSON, Markdown, a page and plots. What is measured,
        and how, is in `docs/validation.md`. Skipped where `LIQ_TRUTH` names no file of the symbol.
        """
        symbol = context.partition_key
        files = [Path(name) for name in truth.files.get(symbol, [])]
        odd = truth.problems.get(symbol, [])
        if not files and not odd:
            write_problems(Path(publisher.folder), symbol, {}, [])
            context.log.info(f"skipped: LIQ_TRUTH names no file of reported liquidations of {symbol}")
            return
        found: dict[str, Validation] = {}
        failures: dict[str, str] = {}
        with TemporaryDirectory() as name:
            tables = {kind: Path(name) / f"{kind}.parquet" for kind in ("klines", "open_interest")}
            for kind, path in tables.items():
                pq.write_table(warehouse.read(f"validation_{kind}", symbol=symbol), path)
            for number, file in enumerate(files, 1):
                context.log.info(f"{symbol}: scoring against {file.name}, {number} of {len(files)}")
                out = report_folder(Path(publisher.folder), symbol, file.stem)
                try:
                    if file.stem in [Path(source).stem for source in found]:
                        raise LiqError(f"{file} has the name of another source", remedy="give it a name of its own")
                    found[file.name] = run_validation(
                        tables["klines"], tables["open_interest"], file, f"{archive.bar_minutes}m", symbol, out=out
                    )
                except Exception as error:  # one source that cannot be used, whatever is in it, does not stop another
                    why = str(error) if isinstance(error, LiqError) else f"{type(error).__name__}: {error}"
                    failures[file.stem] = f"{file}: not scored: {why}"
                    context.log.warning(failures[file.stem])
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

    return [model_validation]
