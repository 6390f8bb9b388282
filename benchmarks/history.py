"""How large Dagster's history is after so many finished runs, which were made and not executed: does it stay as it is?

Ten symbols, so that each has many more runs than are kept. On SQLite, in a folder of its own; with --postgres on the
Postgres of an instance whose `dagster.yaml` is in DAGSTER_HOME.

python -m benchmarks.history --runs 10000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import sqlalchemy as db

from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.runs import JOB_NAME, forget_old_runs
from liq_pipeline_tests.orchestration.made_runs import made, rows

SYMBOLS = [f"S{number:02d}USDT" for number in range(10)]


@contextmanager
def opened(on_postgres: bool) -> Iterator[dg.DagsterInstance]:
    """Open the history to fill."""
    if on_postgres:
        with dg.DagsterInstance.get() as instance:
            yield instance
        return
    with TemporaryDirectory(prefix="liq-history-") as folder, dagster_instance(Path(folder)) as instance:
        yield instance


def size(instance: dg.DagsterInstance, on_postgres: bool) -> int:
    """Return the bytes that it takes, as the database or the folder counts them."""
    if on_postgres:
        with instance.event_log_storage.index_connection() as connection:
            connection.execute(db.text("VACUUM"))  # what its own autovacuum does, sooner
            return int(connection.execute(db.text("SELECT pg_database_size(current_database())")).scalar_one())
    return sum(path.stat().st_size for path in Path(instance.root_directory).rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--forget-none", action="store_true", help="as it would be without `forget_old_runs`")
    given = parser.parse_args()
    step = max(1, given.runs // 10)
    print("runs made | kept | rows | MB | seconds per run, forgetting included", flush=True)
    with opened(given.postgres) as instance:
        begun = time.perf_counter()
        for number in range(1, given.runs + 1):
            symbol = SYMBOLS[number % len(SYMBOLS)]
            made(instance, symbol)
            if not given.forget_none:
                forget_old_runs(instance, JOB_NAME, symbol)
            if number % step == 0:
                seconds = (time.perf_counter() - begun) / step
                count = rows(instance)
                print(
                    f"{number:,} | {count['runs']:,} | {sum(count.values()):,} | "
                    f"{size(instance, given.postgres) / 1e6:.1f} | {seconds:.3f}",
                    flush=True,
                )
                begun = time.perf_counter()


if __name__ == "__main__":
    main()
