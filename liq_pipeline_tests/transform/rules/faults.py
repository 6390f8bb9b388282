"""The fault that each check is there to find, and what the check must say then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.transform.rules.everything import all_rules
from liq_pipeline.transform.rules.integrity import KEYS
from liq_pipeline.transform.rules.rule import ERROR, WARN, Severity, Subject
from liq_pipeline.warehouse.schema import FEATURES, FILE_TABLES, HEATMAP_TABLES, LEVEL_TABLES, file_ddl
from liq_pipeline_tests.transform.rules.breaking import (
    a_gate_failed,
    a_week_later,
    doubled,
    emptied,
    history_says_otherwise,
    null_key,
    orders_of_another_margin,
    ranges_too_narrow,
    walk_favours_longs,
    walk_looks_ahead,
    walk_minds_the_size_of_prices,
)

RULES = {(rule.asset, rule.name): rule for rule in all_rules()}
LONGEST = LEVEL_TABLES[-1]


@dataclass(frozen=True)
class Fault:
    """How to break the data, and what the check must say then."""

    plant: str | Callable[[Subject, pytest.MonkeyPatch], None]
    says: str
    severity: Severity = ERROR


FAULTS: dict[tuple[str, str], Fault] = {
    ("model_validation", "model_passes_its_gates"): Fault(
        a_gate_failed, r"gate 2 \(adds to the move\): \+0\.001", WARN
    ),
    (DATASET, "ranges_cover_eight_of_ten_cases"): Fault(
        ranges_too_narrow,
        r"recorded, 4 h: 0\.601 of 900 past cases\nexpected 0\.72 to 0\.88 in the 80 % range",
        WARN,
    ),
    ("bracket_evidence", "brackets_agree_with_forced_orders"): Fault(
        orders_of_another_margin,
        r"recorded: maintenance margin 0\.4 %: the trigger of 0\.0% of 400 forced orders lies in its own bar; "
        r"the best is 0\.50 %",
        WARN,
    ),
    **{(table, "keys_are_unique"): Fault(doubled(table), r"doubled keys: .* times 2") for table in KEYS},
    **{
        (table, "keys_have_no_nulls"): Fault(null_key(table), r"1 of \d+ rows have a null in the key") for table in KEYS
    },
    **{
        (table, "table_has_rows"): Fault(emptied(table), "0 rows")
        for table in ("open_interest", "klines", "oi_delta", "position_cohorts", LONGEST, *HEATMAP_TABLES, FEATURES)
    },
    **{
        (table, "newest_bar_is_younger_than_48_hours"): Fault(
            a_week_later, r"newest bar 2026-06-28 00:00 UTC, 174\.0 h \(7\.2 days\) old; the limit is 48 h"
        )
        for table in ("open_interest", "klines", "oi_delta")
    },
    **{
        (table, "grid_has_no_gaps"): Fault(
            f"DELETE FROM {table} WHERE ts IN ('2026-06-20 12:00:00+00', '2026-06-20 12:05:00+00')",
            r"2 missing in 1 gaps, between: 2026-06-20 11:55..06-20 12:10 \(2\)",
            WARN,
        )
        for table in ("open_interest", "klines")
    },
    ("open_interest", "snapshots_are_positive"): Fault(
        "UPDATE open_interest SET open_interest = NULL WHERE ts BETWEEN '2026-06-20 12:00:00+00' AND "
        "'2026-06-20 13:00:00+00' OR ts = '2026-06-21 00:00:00+00'",
        r"14 bad prints: 2026-06-20 12:00\.\.2026-06-20 13:00 \(13\), 2026-06-21 00:00$",
        WARN,
    ),
    ("open_interest", "snapshots_are_plausible"): Fault(
        "UPDATE open_interest SET open_interest = NULL, bad_print = 'changed by more than was traded: 12 contracts' "
        "WHERE ts = '2026-06-20 12:00:00+00'",
        "1 bad prints: 2026-06-20 12:00 changed by more than was traded: 12 contracts",
        WARN,
    ),
    ("open_interest", "open_interest_moves_while_contracts_trade"): Fault(
        "UPDATE open_interest SET open_interest = 12345 WHERE ts BETWEEN '2026-06-20 06:00:00+00' AND "
        "'2026-06-20 12:00:00+00'",
        r"stands still while contracts trade: 2026-06-20 06:00\.\.2026-06-20 12:00 "
        r"\(12,345 contracts, [\d,.]+ traded\)",
        WARN,
    ),
    ("klines", "bars_are_plausible"): Fault(
        "UPDATE klines SET open = NULL, high = NULL, low = NULL, close = NULL, bad_print = 'prices leap: 1 / 1 / 1' "
        "WHERE ts IN ('2026-06-20 12:00:00+00', '2026-06-20 12:05:00+00')",
        r"2 bad prints: 2026-06-20 12:00\.\.2026-06-20 12:05 \(2\) prices leap$",
        WARN,
    ),
    ("klines", "contract_is_still_traded"): Fault(
        "UPDATE klines SET volume = 0, quote_volume = 0 WHERE ts > '2026-06-27 18:00:00+00'",
        r"nothing traded since 2026-06-27 18:00 UTC: 6\.0 hours of bars without volume, up to 2026-06-28 00:00; "
        "open interest still moves",
        WARN,
    ),
    ("klines", "bars_without_volume_are_flat"): Fault(
        "UPDATE klines SET volume = 0, quote_volume = 0 WHERE ts = '2026-06-20 12:00:00+00'",
        "1 bars without volume moved: 2026-06-20 12:00",
        WARN,
    ),
    ("oi_delta", "ticker_names_one_contract"): Fault(
        "INSERT INTO settlements VALUES ('BTCUSDT', '2026-06-20 09:00:00+00', '2026-06-21 17:30:00+00', false, "
        "'both feeds silent')",
        "suspected: both feeds silent; assumed: the contract was settled at 2026-06-20 09:00 UTC, all its positions "
        "ended then, and another began at 2026-06-21 17:30 UTC",
        WARN,
    ),
    ("oi_delta", "schema_is_as_published"): Fault(
        "ALTER TABLE oi_delta ALTER COLUMN volume DROP NOT NULL; ALTER TABLE oi_delta ALTER COLUMN volume TYPE FLOAT",
        "volume is float, was double",
    ),
    **{
        (table, "schema_is_as_published"): Fault(
            f"ALTER TABLE {table} DROP COLUMN distance_pct", "distance_pct is gone"
        )
        for table in LEVEL_TABLES
    },
    **{
        (table, "schema_is_as_published"): Fault(f"ALTER TABLE {table} DROP COLUMN contracts", "contracts is gone")
        for table in HEATMAP_TABLES
    },
    **{
        (table, "last_column_is_the_living_cells"): Fault(
            f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})", r"living cells lie outside the rows"
        )
        for table in HEATMAP_TABLES
    },
    **{
        (table, "last_candle_touches_no_older_cell"): Fault(
            f"INSERT INTO {table} BY NAME SELECT * EXCLUDE (close) REPLACE (close - 1e-6 AS price_low, "
            f"close AS price_high, 1000 AS contracts) FROM (SELECT * FROM {table} ORDER BY ts DESC LIMIT 1), "
            "(SELECT arg_max(close, ts) AS close FROM klines WHERE symbol = 'BTCUSDT')",
            r"\d[\d.]* contracts inside the last candle's range were opened before it",
        )
        for table in HEATMAP_TABLES
    },
    **{
        (table, "columns_stay_within_open_interest"): Fault(
            f"UPDATE {table} SET contracts = 2 * contracts WHERE ts = (SELECT min(ts) FROM {table})",
            r"\d+ column sums, at most \d+\.\d\d % of open interest, within \d\.\de-0[12] of what is tracked",
        )
        for table in HEATMAP_TABLES
    },
    (LONGEST, "past_agrees_with_what_was_published"): Fault(
        history_says_otherwise,
        r"2026-06-28T00:00:00Z: at most 33\.33\d\d % apart \(\S+ \S+: .* USD then, .* now\); code 0\.0\.1 then, 0 now",
        WARN,
    ),
    (FEATURES, "schema_is_as_published"): Fault(f"ALTER TABLE {FEATURES} DROP COLUMN imbalance", "imbalance is gone"),
    (FEATURES, "features_are_the_living_positions"): Fault(
        f"UPDATE {FEATURES} SET short_usd_within_5_pct = 1.001 * short_usd_within_5_pct",
        r"short_usd_within_5_pct [\d,]+, summed [\d,]+",
    ),
    (FEATURES, "wider_holds_more"): Fault(
        f"UPDATE {FEATURES} SET long_usd_within_1_pct = long_usd_within_2_pct * 1.01 "
        "WHERE ts = '2026-06-24 12:00:00+00'",
        r"1 of \d+ bars hold more near the price than further away, the first 2026-06-24 12:00",
    ),
    ("oi_delta", "snapshot_labels_agree_with_klines"): Fault(
        # Named five minutes too early, while the implied prices stay those of the true instants.
        "UPDATE open_interest SET ts = ts - INTERVAL 5 MINUTE WHERE file_date < '2026-06-25'",
        r"7 of 10 files carry labels that disagree with the klines: 2026-06-18: labels \+ 5 min fit",
    ),
    ("oi_delta", "klines_and_open_interest_join"): Fault(
        "DELETE FROM open_interest WHERE ts BETWEEN '2026-06-20 06:00:00+00' AND '2026-06-20 12:00:00+00';"
        "UPDATE oi_delta SET is_interpolated = true WHERE ts = '2026-06-20 06:00:00+00'",
        r"2807 of 2880 bars have a snapshot \(97\.47 %\); interpolated: 2026-06-20 06:00",
        WARN,
    ),
    ("oi_delta", "delta_equals_recomputation"): Fault(
        "UPDATE oi_delta SET oi_delta = oi_delta + 1 WHERE ts = '2026-06-20 12:00:00+00'",
        r"largest relative difference \d\.\de-05, first row null, neighbouring snapshots not exact",
    ),
    ("oi_delta", "row_count_does_not_shrink"): Fault(
        "DELETE FROM oi_delta WHERE ts = '2026-06-20 12:00:00+00'",
        r"1 published bars are gone, the first 2026-06-20T12:00.*delete .*oi_delta\.parquet",
    ),
    **{
        (table, "long_levels_lie_below_price"): Fault(
            f"UPDATE {table} SET price_high = current_price + 1 WHERE rowid = "
            f"(SELECT min(rowid) FROM {table} WHERE side = 'long')",
            r"\d+\.\d % of \d+ long levels lie on their side of the price",
        )
        for table in LEVEL_TABLES
    },
    **{
        (table, "short_levels_lie_above_price"): Fault(
            f"UPDATE {table} SET price_low = current_price - 1 WHERE rowid = "
            f"(SELECT min(rowid) FROM {table} WHERE side = 'short')",
            r"\d+\.\d % of \d+ short levels lie on their side of the price",
        )
        for table in LEVEL_TABLES
    },
    (LONGEST, "shorter_timeframes_are_contained"): Fault(
        "UPDATE liquidation_levels_1d SET contracts = contracts * 1000 WHERE rowid = "
        "(SELECT min(rowid) FROM liquidation_levels_1d)",
        "1 bins of liquidation_levels_1d hold more than in liquidation_levels_7d",
    ),
    (LONGEST, "contracts_stay_within_open_interest"): Fault(
        f"UPDATE {LONGEST} SET contracts = contracts * 10 WHERE side = 'short'",
        r"short: \d{3}\.\d\d % of open interest",
    ),
    ("position_survival", "positions_add_up_to_open_interest"): Fault(
        "UPDATE position_survival SET tracked = tracked + 1 WHERE side = 'long' AND ts = '2026-06-20 12:00:00+00'",
        r"largest relative error of tracked \+ untracked against open interest \d\.\de-05",
    ),
    ("position_cohorts", "no_living_cell_was_touched"): Fault(
        "UPDATE oi_delta SET entry_price = entry_price * 2 WHERE ts = (SELECT min(opened_at) FROM "
        "position_cohorts WHERE side = 'long' AND liquidated_after_minutes[1] IS NULL)",
        r"[1-9]\d? of \d+ living cells were touched",
    ),
    ("position_cohorts", "the_past_does_not_change"): Fault(
        walk_looks_ahead, r"replayed to 2026-06-2\dT\d\d:\d\d: not the same; the walk looks ahead"
    ),
    ("position_cohorts", "the_map_scales_with_the_price"): Fault(
        walk_minds_the_size_of_prices, "prices × 2 do not give the same map × 2"
    ),
    ("position_cohorts", "mirrored_prices_exchange_the_sides"): Fault(
        walk_favours_longs, "the sides are not treated alike"
    ),
    ("position_cohorts", "stored_positions_follow_from_the_bars"): Fault(
        "UPDATE cohorts SET contracts_opened = contracts_opened * 1.001 WHERE side = 'short'",
        r"stale or altered: \['short'\]",
    ),
}


def plant(fault: Fault, subject: Subject, patch: pytest.MonkeyPatch) -> None:
    """Break the data of a subject."""
    if callable(fault.plant):
        subject.walked  # noqa: B018 - what is stored was walked honestly
        fault.plant(subject, patch)
        return
    for table in FILE_TABLES:  # a view of a file cannot be changed: a table takes its place
        if table in fault.plant:
            subject.tables.connection.execute(
                f"CREATE TEMP TABLE seen AS FROM {table}; DROP VIEW {table}; {file_ddl()};"
                f"INSERT INTO {table} BY NAME FROM seen; DROP TABLE seen"
            )
    subject.tables.connection.execute(fault.plant)
