"""Statements about tables: rows (`integrity`), values (`plausibility`), age (`freshness`), the model (`invariants`) …

Not here: how a rule becomes a Dagster check (`orchestration.checks`), or what counts as old (`published.staleness`).
"""
