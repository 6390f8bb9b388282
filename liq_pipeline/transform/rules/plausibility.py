"""Do the numbers of the exchange contradict each other? The tables hold what was found (`bad_print`)."""

from collections.abc import Callable
from typing import Any

from liq_pipeline.exchange.contract_changes import ZERO_HOURS
from liq_pipeline.transform.rules.integrity import OPEN_INTEREST_GRID_MINUTES
from liq_pipeline.transform.rules.rule import ERROR, WARN, Outcome, Rule, Subject, listed
from liq_pipeline.warehouse.schema import SETTLEMENTS, named_query

PLAUSIBLE = {"open_interest": "snapshots_are_plausible", "klines": "bars_are_plausible"}
COLUMNS = {
    "open_interest": {"open_interest": "contracts", "open_interest_value_usd": "value"},
    "klines": {
        "close": "prices", "volume": "volume", "quote_volume": "quote volume", "taker_buy_volume": "takers' volume",
    },
}  # fmt: skip
"""What can be blanked in a row, and its name in messages. Without the first of a table the row says nothing."""
LOST_SHARE_OF_A_DAY = 0.5  # of the rows that a day has; with less, the good ones still tell the day's story
LOST_SHARE = 0.05  # of all rows
LEAST_LOST_HOURS = 2  # a day that has just begun is not lost with its first print
SILENT_HOURS = 6  # the longest silence in three years of BTCUSDT and SOLUSDT is 70 minutes (exchange.md 1.8)
FROZEN_TURNOVER = 0.05  # of open interest


def rows_are_plausible(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: no row contradicts another. Bad prints are listed (WARN); days of them are lost data (ERROR)."""

    columns = COLUMNS[table]
    counted = ", ".join(f"count(*) FILTER (bad_print IS NOT NULL AND {name} IS NULL) AS {name}" for name in columns)
    blanked = " OR ".join(f"{name} IS NULL" for name in columns)

    def rule(subject: Subject) -> Outcome:
        minutes = OPEN_INTEREST_GRID_MINUTES if table == "open_interest" else subject.archive.bar_minutes
        days = subject.sql(
            "SELECT (ts - INTERVAL 1 MICROSECOND)::DATE AS day, count(*) AS rows, count(bad_print) AS bad, "
            f"count(*) FILTER (bad_print IS NOT NULL AND ({blanked})) AS blanked, {counted} "
            f"FROM {table} WHERE symbol = $symbol GROUP BY day ORDER BY day"
        ).to_pylist()
        bad, rows = sum(day["bad"] for day in days), sum(day["rows"] for day in days)
        if not bad:
            return Outcome(True, "no row contradicts another", WARN, {"bad": 0, "lost_days": 0})
        least = LEAST_LOST_HOURS * 60 / minutes
        lost = [day for day in days if day["blanked"] >= max(least, LOST_SHARE_OF_A_DAY * day["rows"])]
        text = f"{bad} bad prints: {listed(_stretches(subject, table))}"
        if lost:
            text = f"lost: {listed([_lost_of(day, columns) for day in lost])}\n{text}"
        is_lost = bool(lost) or sum(day["blanked"] for day in days) >= max(least, LOST_SHARE * rows)
        return Outcome(False, text, ERROR if is_lost else WARN, {"bad": bad, "lost_days": len(lost)})

    return rule


def _lost_of(day: dict[str, Any], columns: dict[str, str]) -> str:
    """Say of a day how many rows are lost, or only which of their columns: the others are kept."""
    whole, *parts = columns
    if day[whole]:
        return f"{day['day']} ({day[whole]} of {day['rows']} rows)"
    said = " and ".join(f"the {columns[name]} of {day[name]}" for name in parts if day[name])
    return f"{day['day']} ({said} of {day['rows']} rows; their {columns[whole]} are kept)"


def _stretches(subject: Subject, table: str) -> list[str]:
    """Return neighbouring rows that are bad for one reason, in words: when, how many, why, and what was reported."""
    found = subject.sql(
        "SELECT min(ts) AS first, max(ts) AS last, count(*) AS rows, any_value(why) AS why, min(bad_print) AS said "
        "FROM (SELECT ts, bad_print, split_part(bad_print, ': ', 1) AS why, row_number() OVER (ORDER BY ts) "
        "- row_number() OVER (PARTITION BY split_part(bad_print, ': ', 1) ORDER BY ts) AS island "
        f"FROM {table} WHERE symbol = $symbol) WHERE why IS NOT NULL GROUP BY island, why ORDER BY first"
    ).to_pylist()
    return [
        f"{row['first']:%Y-%m-%d %H:%M} {row['said']}"
        if row["rows"] == 1
        else f"{row['first']:%Y-%m-%d %H:%M}..{row['last']:%Y-%m-%d %H:%M} ({row['rows']}) {row['why']}"
        for row in found
    ]


def ticker_names_one_contract(subject: Subject) -> Outcome:
    """The ticker was not settled and used again, as far as is known; where it was, positions of before have ended."""
    rows = subject.sql(f"SELECT * FROM {SETTLEMENTS} WHERE symbol = $symbol ORDER BY resumed_at").to_pylist()
    said = [
        f"{'listed' if row['is_listed'] else 'suspected'}: {row['found']}; assumed: the contract was settled at "
        f"{row['settled_at']:%Y-%m-%d %H:%M} UTC, all its positions ended then, and another began at "
        f"{row['resumed_at']:%Y-%m-%d %H:%M} UTC"
        for row in rows
    ]
    suspected = [row for row in rows if not row["is_listed"]]
    zeros = subject.sql(named_query("zero_snapshots"), hours=ZERO_HOURS).to_pylist()
    last = [zero["ts"] for zero in zeros if zero["is_last_word"]]
    if last:
        said.append(
            f"suspected: open interest of zero from {last[0]:%Y-%m-%d %H:%M} UTC to the last snapshot, "
            f"{last[-1]:%Y-%m-%d %H:%M} UTC; assumed: nothing of the map is left since"
        )
    text = "\n".join(said) or "one contract from the first bar to the newest"
    return Outcome(not suspected and not last, text, WARN, {"contracts": len(rows) + 1, "suspected": len(suspected)})


def contract_is_still_traded(subject: Subject) -> Outcome:
    """Something was traded in the newest six hours of bars: after a delisting they go on, flat and without volume."""
    found = subject.sql(
        "SELECT max(ts) AS newest, min(ts) AS oldest, max(ts) FILTER (volume IS DISTINCT FROM 0) AS traded FROM klines "
        "WHERE symbol = $symbol"
    ).to_pylist()[0]
    since = found["traded"] or found["oldest"]
    hours = (found["newest"] - since).total_seconds() / 3600
    facts = {"silent_hours": hours}
    if hours < SILENT_HOURS:
        return Outcome(True, f"last trade in the bar that closed at {since:%Y-%m-%d %H:%M} UTC", WARN, facts)
    left = subject.sql(
        "SELECT min(open_interest) AS least, max(open_interest) AS most FROM open_interest "
        "WHERE symbol = $symbol AND ts > $since",
        since=since,
    ).to_pylist()[0]
    open_interest = "open interest is not reported any more"
    if left["most"] is not None:
        frozen = left["least"] == left["most"]
        open_interest = (
            f"open interest is frozen at {left['most']:,.10g} contracts" if frozen else "open interest still moves"
        )
    return Outcome(
        False,
        f"nothing traded since {since:%Y-%m-%d %H:%M} UTC: {hours:.1f} hours of bars without volume, up to "
        f"{found['newest']:%Y-%m-%d %H:%M}; {open_interest}. Delisted or halted: the levels are those of positions "
        "that the exchange may have settled",
        WARN,
        facts,
    )


def bars_without_volume_are_flat(subject: Subject) -> Outcome:
    """Where nothing was traded, the price did not move: within the bar, or from the close before."""
    moved = subject.sql(
        "SELECT ts FROM (SELECT ts, volume, high, low, close, "
        "lag(close) OVER by_ts AS before, lag(ts) OVER by_ts = open_time AS touches "
        "FROM klines WHERE symbol = $symbol AND close IS NOT NULL WINDOW by_ts AS (ORDER BY ts)) "
        "WHERE volume = 0 AND (high > low OR (touches AND close <> before)) ORDER BY ts"
    )["ts"].to_pylist()
    text = f"{len(moved)} bars without volume moved: {listed([f'{ts:%Y-%m-%d %H:%M}' for ts in moved])}"
    return Outcome(not moved, text if moved else "no bar moved without volume", WARN, {"moved": len(moved)})


def open_interest_moves_while_contracts_trade(subject: Subject) -> Outcome:
    """Open interest does not stand still for six hours in which a twentieth of it was traded: such a feed is stuck."""
    stuck = subject.sql(
        "WITH steps AS (SELECT ts, open_interest, lag(open_interest) OVER by_ts AS before, lag(ts) OVER by_ts AS until "
        "FROM open_interest WHERE symbol = $symbol AND open_interest IS NOT NULL WINDOW by_ts AS (ORDER BY ts)), "
        "changes AS (SELECT ts, open_interest, until FROM steps WHERE open_interest IS DISTINCT FROM before), "
        "stretches AS (SELECT ts AS first, open_interest AS contracts, "
        "coalesce(lead(until) OVER (ORDER BY ts), (SELECT max(ts) FROM steps)) AS last FROM changes), "
        "still AS (FROM stretches WHERE epoch_us(last) - epoch_us(first) >= $hours::BIGINT * 3600000000) "
        "SELECT first, last, contracts, sum(volume) AS traded FROM still JOIN klines AS k "
        "ON k.symbol = $symbol AND k.ts > first AND k.ts <= last "
        "GROUP BY ALL HAVING traded >= $turnover * contracts ORDER BY first",
        hours=SILENT_HOURS,
        turnover=FROZEN_TURNOVER,
    ).to_pylist()
    spans = [
        f"{row['first']:%Y-%m-%d %H:%M}..{row['last']:%Y-%m-%d %H:%M} ({row['contracts']:,.10g} contracts, "
        f"{row['traded']:,.10g} traded)"
        for row in stuck
    ]
    text = f"open interest stands still while contracts trade: {listed(spans)}" if stuck else "no feed is stuck"
    return Outcome(not stuck, text, WARN, {"stretches": len(stuck)})


def plausibility_rules() -> list[Rule]:
    """Return what must hold between the numbers of both feeds. None blocks: what is bad is null, the rest is good."""
    return [
        Rule(
            "open_interest",
            PLAUSIBLE["open_interest"],
            rows_are_plausible("open_interest"),
            "Open interest changes by no more than is traded, and value / contracts is the price. What contradicts is "
            "null and listed (WARN); where it is most of a day, the day is lost (ERROR).",
        ),
        Rule(
            "klines",
            PLAUSIBLE["klines"],
            rows_are_plausible("klines"),
            "Prices fit the bars beside them and open interest; quote volume / volume is a price of the bar. What "
            "contradicts is null and listed (WARN); where it is most of a day, the day is lost (ERROR).",
        ),
        Rule(
            "oi_delta",
            "ticker_names_one_contract",
            ticker_names_one_contract,
            "The ticker was not settled and used again by another contract. Where that is suspected, the instant and "
            "what was assumed are said (WARN); what the dated file lists is said, too.",
        ),
        Rule(
            "klines",
            "contract_is_still_traded",
            contract_is_still_traded,
            "Something was traded within the newest six hours of bars. After a delisting bars go on, flat and empty.",
        ),
        Rule(
            "klines",
            "bars_without_volume_are_flat",
            bars_without_volume_are_flat,
            "Where nothing was traded, the price did not move; bars that did are listed.",
        ),
        Rule(
            "open_interest",
            "open_interest_moves_while_contracts_trade",
            open_interest_moves_while_contracts_trade,
            "Open interest does not stand still for six hours in which a twentieth of it was traded.",
        ),
    ]
