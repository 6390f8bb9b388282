"""Are the tables whole? Keys, grids, joins, recomputation, row counts, schemas."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.exchange.contract_changes import ZERO_HOURS
from liq_pipeline.exchange.label_check import label_shift_disagreements
from liq_pipeline.transform.rules.rule import ERROR, LISTED, WARN, Outcome, Rule, Subject, listed
from liq_pipeline.warehouse.schema import FEATURES, HEATMAP_TABLES, LEVEL_TABLES, STORED_AS, named_query

KEYS = {
    "open_interest": ("symbol", "ts"),
    "klines": ("symbol", "ts"),
    "oi_delta": ("symbol", "ts"),
    "position_cohorts": ("symbol", "opened_at", "side"),
    "position_survival": ("symbol", "ts", "side"),
    **dict.fromkeys(LEVEL_TABLES, ("symbol", "side", "leverage", "price_low")),
    **dict.fromkeys(HEATMAP_TABLES, ("symbol", "ts", "side", "price_low")),
    FEATURES: ("symbol", "ts"),
}
OPEN_INTEREST_GRID_MINUTES = 5
MINIMUM_JOIN_RATE = 0.99


def keys_are_unique(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: no two rows of the symbol share a key."""
    key, stored = ", ".join(KEYS[table]), STORED_AS.get(table, table)

    def rule(subject: Subject) -> Outcome:
        doubled = subject.sql(
            f"SELECT {key}, count(*) AS times FROM {stored} WHERE symbol = $symbol GROUP BY ALL HAVING times > 1 "
            f"ORDER BY ALL LIMIT {LISTED}"
        ).to_pylist()
        named = "; ".join(", ".join(f"{name} {_shown(value)}" for name, value in row.items()) for row in doubled)
        return Outcome(not doubled, f"doubled keys: {named}" if doubled else f"({key}) is unique")

    return rule


def _shown(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)


def keys_have_no_nulls(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: the symbol has rows, and no part of a key is null."""
    nulls, stored = " OR ".join(f"{column} IS NULL" for column in KEYS[table]), STORED_AS.get(table, table)

    def rule(subject: Subject) -> Outcome:
        found = subject.sql(
            f"SELECT count(*) FILTER ({nulls}) AS nulls, count(*) AS rows FROM {stored} WHERE symbol = $symbol"
        ).to_pylist()[0]
        return Outcome(found["nulls"] == 0, f"{found['nulls']} of {found['rows']} rows have a null in the key")

    return rule


def has_rows(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: the symbol has rows at all."""
    stored = STORED_AS.get(table, table)

    def rule(subject: Subject) -> Outcome:
        count = subject.sql(f"SELECT count(*) AS n FROM {stored} WHERE symbol = $symbol")["n"][0].as_py()
        if count or table != "position_cohorts":
            return Outcome(count > 0, f"{count} rows")
        bars = subject.bars.ts.size
        return Outcome(False, f"0 rows: {nothing_opened(bars)}" if bars == 1 else "0 rows")

    return rule


def nothing_opened(bars: int) -> str:
    """Return, in words, that no position was opened in the history of this many bars."""
    return "one bar so far; nothing can have opened yet" if bars == 1 else f"nothing has opened in {bars} bars"


def grid_has_no_gaps(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: between its first and last row, a contract has a row (with a value) at every grid instant."""
    value = "open_interest IS NOT NULL" if table == "open_interest" else "close IS NOT NULL"

    def rule(subject: Subject) -> Outcome:
        minutes = OPEN_INTEREST_GRID_MINUTES if table == "open_interest" else subject.archive.bar_minutes
        gaps = subject.sql(
            "SELECT lag(ts) OVER by_ts AS after, ts AS before, "
            "date_diff('minute', lag(ts) OVER by_ts, ts) // $minutes - 1 AS missing "
            f"FROM {table} WHERE symbol = $symbol AND {value} "
            "WINDOW by_ts AS (PARTITION BY contract ORDER BY ts) QUALIFY missing > 0 ORDER BY ts",
            minutes=minutes,
        )
        missing = sum(gaps["missing"].to_pylist())
        spans = [
            f"{row['after']:%Y-%m-%d %H:%M}..{row['before']:%m-%d %H:%M} ({row['missing']})" for row in gaps.to_pylist()
        ]
        text = f"{missing} missing in {gaps.num_rows} gaps, between: {listed(spans)}" if missing else "no gap"
        return Outcome(not missing, text, WARN, {"missing": missing, "gaps": gaps.num_rows})

    return rule


def snapshots_are_positive(subject: Subject) -> Outcome:
    """Open interest is not zero, but at the end of a contract. Such prints are null in the table."""
    zeros = subject.sql(named_query("zero_snapshots"), hours=ZERO_HOURS).to_pylist()
    bad = [zero["ts"] for zero in zeros if not (zero["is_last_word"] or zero["is_between_contracts"])]
    text = f"{len(bad)} bad prints: {listed(_spans(bad, timedelta(minutes=OPEN_INTEREST_GRID_MINUTES)))}"
    return Outcome(not bad, text if bad else "no bad print", WARN, {"bad": len(bad)})


def _spans(instants: Sequence[datetime], step: timedelta) -> list[str]:
    """Return stretches of instants that follow each other by `step`, in words, with their counts."""
    said = []
    for _, numbered in groupby(enumerate(instants), key=lambda pair: pair[1] - pair[0] * step):
        stretch = [f"{ts:%Y-%m-%d %H:%M}" for _, ts in numbered]
        said.append(stretch[0] if len(stretch) == 1 else f"{stretch[0]}..{stretch[-1]} ({len(stretch)})")
    return said


def labels_agree_with_klines(subject: Subject) -> Outcome:
    """The instant of each snapshot agrees with the price that its own file implies (exchange.md 1.7).

    One odd file is a warning. If more than a tenth of the files disagree, the meaning of the labels has changed again,
    and every join would be off by one bar: an error.
    """
    # The stamps of REST are measured against the archive's (exchange/calibration.py); here it is about files.
    open_interest = subject.sql(
        "SELECT * FROM open_interest WHERE symbol = $symbol AND file_date IS NOT NULL ORDER BY ts"
    )
    klines = _rows(subject, "klines")
    odd = label_shift_disagreements(open_interest, klines)
    days = sorted(set(open_interest["file_date"].to_pylist()))
    if not odd:
        return Outcome(True, f"labels of {len(days)} files agree with the klines")
    systematic = len(odd) > max(1, 0.1 * len(days))
    listed = "; ".join(
        f"{day}: labels + {observed} min fit the klines, + {expected} min was expected"
        for day, expected, observed, _ in odd[:5]
    )
    return Outcome(
        False,
        f"{len(odd)} of {len(days)} files carry labels that disagree with the klines: {listed}",
        ERROR if systematic else WARN,
        {"files": len(odd)},
    )


def klines_and_open_interest_join(subject: Subject) -> Outcome:
    """At least 99 % of the bars between the first and the last snapshot have a snapshot of their own."""
    found = subject.sql(
        "SELECT count(*) AS bars, count(o.open_interest) AS joined FROM klines AS k "
        "LEFT JOIN open_interest AS o ON o.symbol = k.symbol AND o.ts = k.ts AND o.open_interest > 0 "
        "JOIN (SELECT contract, min(ts) AS first, max(ts) AS last FROM open_interest "
        "WHERE symbol = $symbol AND open_interest > 0 GROUP BY contract) AS known "
        "ON known.contract = k.contract AND k.ts BETWEEN known.first AND known.last "
        "WHERE k.symbol = $symbol AND k.close IS NOT NULL"
    ).to_pylist()[0]
    rate = found["joined"] / found["bars"] if found["bars"] else 0.0
    spread = subject.sql(
        "SELECT min(ts) AS first, max(ts) AS last, count(*) AS bars FROM ("
        "SELECT ts, is_interpolated, row_number() OVER (ORDER BY ts) "
        "- row_number() OVER (PARTITION BY is_interpolated ORDER BY ts) AS island FROM oi_delta WHERE symbol = $symbol"
        ") WHERE is_interpolated GROUP BY island ORDER BY first"
    ).to_pylist()
    text = f"{found['joined']} of {found['bars']} bars have a snapshot ({100 * rate:.2f} %)"
    if spread:
        spans = [f"{row['first']:%Y-%m-%d %H:%M}..{row['last']:%m-%d %H:%M} ({row['bars']})" for row in spread]
        text += f"; interpolated: {listed(spans)}"
    bars = sum(row["bars"] for row in spread)
    return Outcome(rate >= MINIMUM_JOIN_RATE, text, WARN, {"join_rate": rate, "interpolated_bars": bars})


def delta_equals_recomputation(subject: Subject) -> Outcome:
    """`oi_delta` equals what NumPy computes from the snapshots alone, without the SQL that built it."""
    deltas, raw = _rows(subject, "oi_delta"), _rows(subject, "open_interest")
    raw = raw.filter(pc.greater(raw["open_interest"], 0))
    found = []
    for contract in deltas["contract"].unique().to_pylist():
        of_contract = (rows.filter(pc.equal(rows["contract"], contract)) for rows in (deltas, raw))
        found.append(_recomputed(*of_contract))
    # Of several contracts under one name the first that differs is told.
    return next((outcome for outcome in found if not outcome.passed), found[-1] if found else Outcome(True, "no row"))


def _recomputed(deltas: pa.Table, raw: pa.Table) -> Outcome:
    ts = deltas["ts"].to_numpy()
    place = pc.index_in(deltas["ts"], raw["ts"].combine_chunks())
    known = raw["open_interest"].take(place).to_numpy()
    stated = deltas["oi_delta"].to_numpy()
    anchors = np.flatnonzero(~np.isnan(known))  # between two snapshots the deltas must add up to their difference
    if not anchors.size or anchors[0] != 0 or anchors[-1] != len(ts) - 1:
        return Outcome(False, "the table does not begin and end with a snapshot")
    running = np.concatenate([[0.0], np.cumsum(stated[1:])])
    error = np.abs(np.diff(running[anchors]) - np.diff(known[anchors]))
    direct = np.flatnonzero(np.diff(anchors) == 1)  # neighbours: the delta is the difference itself
    exact = np.array_equal(stated[anchors[1:][direct]], np.diff(known[anchors])[direct])
    worst = float(error.max() / known[anchors].max()) if error.size else 0.0
    first_is_null = deltas["oi_delta"].slice(0, 1).null_count == 1
    return Outcome(
        exact and worst <= 1e-9 and first_is_null,
        f"{len(ts)} rows: largest relative difference {worst:.1e}, first row "
        f"{'null' if first_is_null else 'not null'}, neighbouring snapshots {'exact' if exact else 'not exact'}",
    )


def _rows(subject: Subject, table: str) -> pa.Table:
    return subject.sql(f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY ts")


def integrity_rules() -> list[Rule]:
    """Return what must hold of every table as a table."""
    rules = []
    for table, key in KEYS.items():
        columns = ", ".join(key)
        rules += [
            Rule(
                table,
                "keys_are_unique",
                keys_are_unique(table),
                f"No two rows share ({columns}).",
                blocking=True,
                every_bar=table != "position_cohorts",
            ),
            Rule(table, "keys_have_no_nulls", keys_have_no_nulls(table), f"No null in ({columns}).", True),
        ]
    for table in ("open_interest", "klines"):
        text = "A row at every grid instant between the first and the last; gaps are listed."
        rules.append(Rule(table, "grid_has_no_gaps", grid_has_no_gaps(table), text))
    for table in (
        "open_interest",
        "klines",
        "oi_delta",
        "position_cohorts",
        LEVEL_TABLES[-1],
        *HEATMAP_TABLES,
        FEATURES,
    ):
        rules.append(Rule(table, "table_has_rows", has_rows(table), "The symbol has rows.", True))
    return [
        *rules,
        Rule(
            "open_interest",
            "snapshots_are_positive",
            snapshots_are_positive,
            "Open interest of zero is a bad print, but at the end of a contract; it is null in the table and listed.",
        ),
        Rule(
            "oi_delta",
            "snapshot_labels_agree_with_klines",
            labels_agree_with_klines,
            "The price implied by value / contracts is that of the bar that closes at the snapshot.",
            blocking=True,
            every_bar=False,
        ),
        Rule(
            "oi_delta",
            "klines_and_open_interest_join",
            klines_and_open_interest_join,
            "At least 99 % of the bars have a snapshot; the others are listed as interpolated.",
        ),
        Rule(
            "oi_delta",
            "delta_equals_recomputation",
            delta_equals_recomputation,
            "An independent recomputation from the snapshots gives the same changes.",
            blocking=True,
        ),
    ]
