"""Does the picture add up? The last column is the living cells; no column holds more than there was (model.md 5)."""

from collections.abc import Callable

from liq_pipeline.checks.rule import Outcome, Rule, Subject
from liq_pipeline.warehouse.warehouse import HEATMAP_TABLES, named_query

TOLERANCE = 1e-9


def last_column_is_the_living_cells(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: at the newest bar, each row holds the living cells whose liquidation price lies in it."""

    def rule(subject: Subject) -> Outcome:
        # Cells are looked up by price among the picture's own edges: no bin arithmetic is repeated here.
        found = subject.sql(
            "WITH last_column AS ("
            f"SELECT side, price_low, price_high, contracts, notional_usd FROM {table} "
            f"WHERE symbol = $symbol AND ts = (SELECT max(ts) FROM {table} WHERE symbol = $symbol)), "
            "living AS (SELECT side, liquidation_price AS price, contracts_open AS contracts FROM living_positions "
            "WHERE symbol = $symbol AND contracts_open > 0), "
            "held AS (SELECT c.side, r.price_low, r.price_high, sum(c.contracts) AS contracts, "
            "sum(c.contracts * c.price) AS notional_usd, bool_or(c.price >= r.price_high) AS outside "
            "FROM living AS c ASOF LEFT JOIN last_column AS r ON r.side = c.side AND c.price >= r.price_low "
            "GROUP BY ALL) "
            "SELECT count(*) AS rows, coalesce(bool_or(h.outside OR h.price_low IS NULL OR l.price_low IS NULL), "
            "false) AS misplaced, "
            "max(abs(coalesce(h.contracts, 0) - coalesce(l.contracts, 0))) AS contracts, "
            "max(abs(coalesce(h.notional_usd, 0) - coalesce(l.notional_usd, 0))) AS usd "
            "FROM held AS h FULL JOIN last_column AS l USING (side, price_low)"
        ).to_pylist()[0]
        limit = subject.newest["open_interest"]
        price = subject.newest["current_price"]
        worst = max((found["contracts"] or 0.0) / limit, (found["usd"] or 0.0) / (limit * price))
        return Outcome(
            not found["misplaced"] and worst <= TOLERANCE,
            f"{found['rows']} rows, largest difference {worst:.1e} of open interest"
            + ("; living cells lie outside the rows" if found["misplaced"] else ""),
            facts={"worst_difference": worst},
        )

    return rule


def last_candle_touches_no_older_cell(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: what lies inside the last candle's range was opened within that candle."""

    def rule(subject: Subject) -> Outcome:
        found = subject.sql(
            f"WITH columns AS (SELECT DISTINCT ts FROM {table} WHERE symbol = $symbol ORDER BY ts DESC LIMIT 2), "
            "span AS (SELECT max(ts) AS last, coalesce(nullif(min(ts), max(ts)), '-infinity'::TIMESTAMPTZ) AS before "
            "FROM columns), "
            "candle AS (SELECT min(k.low) AS low, max(k.high) AS high FROM klines AS k, span "
            "WHERE k.symbol = $symbol AND k.ts > span.before AND k.ts <= span.last), "
            "inside AS (SELECT h.side, sum(h.contracts) AS contracts "
            f"FROM {table} AS h, span, candle WHERE h.symbol = $symbol AND h.ts = span.last "
            "AND h.price_low >= candle.low AND h.price_high <= candle.high GROUP BY h.side), "
            "opened AS (SELECT c.side, sum(c.contracts_open) AS contracts FROM living_positions AS c, span, candle "
            "WHERE c.symbol = $symbol AND c.opened_at > span.before "
            "AND c.liquidation_price BETWEEN candle.low AND candle.high GROUP BY c.side) "
            "SELECT i.side, i.contracts, coalesce(o.contracts, 0) AS opened "
            "FROM inside AS i LEFT JOIN opened AS o USING (side) ORDER BY i.side"
        ).to_pylist()
        limit = subject.newest["open_interest"]
        excess = max((row["contracts"] - row["opened"] for row in found), default=0.0)
        return Outcome(
            excess <= TOLERANCE * limit,
            "nothing older lies inside the last candle's range"
            if excess <= TOLERANCE * limit
            else f"{excess:.6g} contracts inside the last candle's range were opened before it",
            facts={"contracts_inside": sum(row["contracts"] for row in found)},
        )

    return rule


def columns_stay_within_open_interest(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: per column and side, contracts are what the walk tracked, and at most the open interest."""
    query = named_query("heatmap_columns").replace("{table}", table)

    def rule(subject: Subject) -> Outcome:
        found = subject.sql(
            "SELECT count(*) AS columns, max(contracts / open_interest) AS largest, "
            f"max(abs(contracts - tracked) / open_interest) AS drift FROM ({query})"
        ).to_pylist()[0]
        largest, drift = found["largest"] or 0.0, found["drift"] or 0.0
        return Outcome(
            largest <= 1 + TOLERANCE and drift <= TOLERANCE,
            f"{found['columns']} column sums, at most {100 * largest:.2f} % of open interest, "
            f"within {drift:.1e} of what is tracked",
            facts={"largest_share_of_open_interest": largest, "drift_from_tracked": drift},
        )

    return rule


def heatmap_rules() -> list[Rule]:
    """Return the invariants of the heatmaps. All of them block."""
    rules = []
    for table in HEATMAP_TABLES:
        rules += [
            Rule(
                table,
                "last_column_is_the_living_cells",
                last_column_is_the_living_cells(table),
                "The last column equals the living cells, row by row (≤ 1e-9 of open interest).",
                blocking=True,
            ),
            Rule(
                table,
                "last_candle_touches_no_older_cell",
                last_candle_touches_no_older_cell(table),
                "No row inside the last candle's range holds a position that is older than the candle.",
                blocking=True,
            ),
            Rule(
                table,
                "columns_stay_within_open_interest",
                columns_stay_within_open_interest(table),
                "Per column and side, the contracts are those tracked then, at most the open interest. (In contracts: "
                "the notional of shorts at their liquidation price may exceed open interest in USD.)",
                blocking=True,
            ),
        ]
    return rules
