"""The timeframes of the map."""

TIMEFRAMES = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
"""Days by name, shortest first: each contains the ones before it."""
