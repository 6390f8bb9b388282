"""Is the data new? (That a run happened is another question: `FreshnessPolicy` answers it.)"""

from collections.abc import Callable
from datetime import timedelta

from liq_pipeline.published.staleness import AGEING, STALE, age_in_words
from liq_pipeline.transform.rules.rule import WARN, Outcome, Rule, Subject


def is_fresh(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: the newest row is younger than 48 h (ERROR), or at least than 24 h (WARN).

    The 1d map holds positions of the last day of data; with older data it shows a day that is over.
    """

    def rule(subject: Subject) -> Outcome:
        newest = subject.sql(f"SELECT max(ts) AS ts FROM {table} WHERE symbol = $symbol")["ts"][0].as_py()
        age = subject.clock.now() - newest
        hours = age / timedelta(hours=1)
        facts = {"age_hours": hours, "newest": str(newest)}
        text = f"newest bar {newest:%Y-%m-%d %H:%M} UTC, {age_in_words(age)} old"
        if age < timedelta(0):
            return Outcome(False, f"{text}: it lies in the future; check the clock or LIQ_NOW", facts=facts)
        if age < AGEING:
            return Outcome(True, text, facts=facts)
        if age < STALE:
            return Outcome(False, f"{text}; 1d leans on old data", WARN, facts)
        return Outcome(False, f"{text}; the limit is 48 h", facts=facts)

    return rule


def freshness_rules() -> list[Rule]:
    """Return the freshness of each table that is fed from outside, and of what follows from both."""
    return [
        Rule(
            table,
            "newest_bar_is_younger_than_48_hours",
            is_fresh(table),
            "Age of the newest bar: WARN from 24 h (1d then leans on old data), ERROR from 48 h.",
        )
        for table in ("open_interest", "klines", "oi_delta")
    ]
