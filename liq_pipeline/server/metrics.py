"""How the service is doing: latencies, errors, empty results, per endpoint and timeframe; and how old the data is."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

log = logging.getLogger("liq.serve")

SLOW_SECONDS = 2.0
_WINDOW = 1000
_SECONDS_BETWEEN_WARNINGS = 60.0


@dataclass
class _Seen:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    errors: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    empty: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    requests: int = 0
    warned: float = -_SECONDS_BETWEEN_WARNINGS


class ServiceMetrics:
    """Counts requests. One per app."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = defaultdict(_Seen)
        self.registry = CollectorRegistry()
        labels = ("endpoint", "timeframe")
        self._requests = Counter("liq_requests", "Requests answered.", (*labels, "status"), registry=self.registry)
        self._latency = Histogram(
            "liq_request_seconds", "Time to answer.", labels, registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
        )  # fmt: skip
        self._empty = Counter("liq_empty_results", "Answers without a single row.", labels, registry=self.registry)
        self._damaged = Gauge("liq_damaged_files", "Published files that cannot be read.", registry=self.registry)
        self._age = Gauge("liq_data_age_hours", "Age of the newest bar.", ("symbol",), registry=self.registry)

        self._exposure = Gauge(
            "liq_estimated_exposure_usd", "Estimated notional: within 1 % of the price, or younger than a timeframe.",
            ("symbol", "side", "within"), registry=self.registry,
        )  # fmt: skip

    def count(self, endpoint: str, timeframe: str, status: int, seconds: float, empty: bool) -> None:
        """Take note of one request."""
        seen = self._seen[endpoint, timeframe]
        seen.requests += 1
        seen.seconds.append(seconds)
        seen.errors.append(status >= 500)
        seen.empty.append(empty)
        self._requests.labels(endpoint, timeframe, str(status)).inc()
        self._latency.labels(endpoint, timeframe).observe(seconds)
        if empty:
            self._empty.labels(endpoint, timeframe).inc()
        if status >= 500:
            log.warning("%s %s answered %d", endpoint, timeframe, status)
        if seconds > SLOW_SECONDS or seen.requests % 100 == 0:
            self._warn_if_slow(endpoint, timeframe, seen)

    def _warn_if_slow(self, endpoint: str, timeframe: str, seen: _Seen) -> None:
        p95 = float(np.quantile(seen.seconds, 0.95))
        now = time.monotonic()
        if p95 > SLOW_SECONDS and now - seen.warned > _SECONDS_BETWEEN_WARNINGS:
            seen.warned = now
            log.warning("%s %s is slow: p95 %.2f s over %d requests", endpoint, timeframe, p95, len(seen.seconds))

    def report(self) -> list[dict[str, Any]]:
        """Return figures over the last requests (at most 1,000) per endpoint and timeframe."""
        found = []
        for (endpoint, timeframe), seen in sorted(self._seen.items()):
            p50, p95, p99 = (round(1000 * value, 3) for value in np.quantile(seen.seconds, (0.5, 0.95, 0.99)).tolist())
            found.append(
                {
                    "endpoint": endpoint,
                    "timeframe": timeframe or None,
                    "requests": seen.requests,
                    "p50_ms": p50,
                    "p95_ms": p95,
                    "p99_ms": p99,
                    "error_rate": sum(seen.errors) / len(seen.errors),
                    "empty_rate": sum(seen.empty) / len(seen.empty),
                }
            )
        return found

    def exposition(self, ages: dict[str, float], damaged: int, exposure: Mapping[tuple[str, str, str], float]) -> bytes:
        """Return everything in Prometheus's text format.

        Args:
            ages: hours by symbol.
            damaged: files that are not what was published.
            exposure: USD by symbol, side, and 1pct or a timeframe.
        """
        self._exposure.clear()
        for labels, usd in exposure.items():
            self._exposure.labels(*labels).set(usd)
        self._age.clear()  # a symbol that is not published any more has no age
        self._damaged.set(damaged)
        for symbol, hours in ages.items():
            self._age.labels(symbol).set(hours)
        return generate_latest(self.registry)
