"""Does the picture add up? The last column is the living cells; no column holds more than there was (model.md 5)."""

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from liq_pipeline.model.levels import Cells
from liq_pipeline.transform.heatmaps import MANTISSA
from liq_pipeline.transform.rules.rule import Outcome, Rule, Subject
from liq_pipeline.warehouse.schema import HEATMAP_TABLES, named_query

_ROUNDING = 2.0 ** -(MANTISSA + 1)  # of each cell's amounts
_TOLERANCE = 1e-6  # of open interest: sums over many cells


def last_column_is_the_living_cells(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: at the newest bar, each row holds the living cells whose liquidation price lies in it."""

    def rule(subject: Subject) -> Outcome:
        column = subject.sql(
            f"SELECT side, price_low, price_high, contracts, notional_usd FROM {table} "
            f"WHERE symbol = $symbol AND ts = (SELECT max(ts) FROM {table} WHERE symbol = $symbol) ORDER BY price_low"
        )
        is_misplaced, contracts_off, usd_off = False, 0.0, 0.0
        for side, cells in subject.living.items():
            price, contracts = cells.liquidation_price[cells.contracts > 0], cells.contracts[cells.contracts > 0]
            rows = column.filter(pc.equal(column["side"], side))
            low, high, held, usd = (
                np.append(rows[name].to_numpy(), empty)
                for name, empty in (
                    ("price_low", np.inf),
                    ("price_high", np.inf),
                    ("contracts", 0),
                    ("notional_usd", 0),
                )
            )
            # Cells are looked up by price among the picture's own edges: no bin arithmetic is repeated here. What lies
            # below all rows falls into one more, which is empty.
            place = np.searchsorted(low, price, side="right") - 1
            is_misplaced |= bool((place < 0).any() or (price >= high[place]).any())
            is_misplaced |= bool((np.bincount(place[place >= 0], minlength=low.size)[:-1] == 0).any())
            expected = (
                np.bincount(place % low.size, of_cells, low.size) for of_cells in (contracts, contracts * price)
            )
            contracts_off, usd_off = (
                max(worst, float((np.abs(shown - summed) - _ROUNDING * summed).max()))
                for worst, shown, summed in zip((contracts_off, usd_off), (held, usd), expected, strict=True)
            )
        limit, price_now = subject.newest["open_interest"], subject.newest["current_price"]
        worst = max(contracts_off / limit, usd_off / (limit * price_now))
        return Outcome(
            not is_misplaced and worst <= _TOLERANCE,
            f"{column.num_rows} rows, largest difference beyond rounding {worst:.1e} of open interest"
            + ("; living cells lie outside the rows" if is_misplaced else ""),
            facts={"worst_difference": worst},
        )

    return rule


def _opened_within(cells: Cells, after: np.datetime64, low: float, high: float) -> float:
    """Return the contracts of cells that opened after an instant and lie in a range of prices."""
    price = cells.liquidation_price
    return float(cells.contracts[(cells.opened_at > after) & (price >= low) & (price <= high)].sum())


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
            "AND h.price_low >= candle.low AND h.price_high <= candle.high GROUP BY h.side) "
            "SELECT i.side, i.contracts, candle.low, candle.high, span.before FROM inside AS i, candle, span "
            "ORDER BY i.side"
        )
        since = found["before"].to_numpy().astype("datetime64[us]")
        found = found.drop(["before"]).to_pylist()
        limit = subject.newest["open_interest"]
        opened = [
            _opened_within(subject.living[row["side"]], after, row["low"], row["high"])
            for row, after in zip(found, since, strict=True)
        ]
        excess = max(
            (row["contracts"] * (1 - _ROUNDING) - mine for row, mine in zip(found, opened, strict=True)), default=0.0
        )
        return Outcome(
            excess <= _TOLERANCE * limit,
            "nothing older lies inside the last candle's range"
            if excess <= _TOLERANCE * limit
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
            largest <= 1 + _ROUNDING and drift <= _ROUNDING,
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
                "The last column equals the living cells, row by row, but for its rounding.",
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
