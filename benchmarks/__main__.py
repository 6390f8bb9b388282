"""`python -m benchmarks [--only NAME] [--json FILE]`: run all, print the table, exit 1 if a bar is missed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import crossing, ingest, legacy_query, levels, newest_bar, oi_delta, recent, walk, whole_run
from benchmarks.harness import as_records, print_table

BENCHMARKS = {
    "walk": walk.run,
    "levels": levels.run,
    "ingest": ingest.run,
    "oi_delta": oi_delta.run,
    "legacy_query": legacy_query.run,
    "crossing": crossing.run,
    "newest_bar": newest_bar.run,
    "recent": recent.run,
    "whole_run": whole_run.run,
}


def main() -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one (may be given repeatedly)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    arguments = parser.parse_args()
    outcomes = [outcome for name in arguments.only or BENCHMARKS for outcome in BENCHMARKS[name]()]
    print_table(outcomes)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_records(outcomes), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return int(any(outcome.verdict == "MISS" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
