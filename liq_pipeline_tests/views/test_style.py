"""What stands in pictures: amounts and prices as people say them, and over all of it what is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liq_pipeline.views.style import headings, price_text, short_usd
from liq_pipeline_tests.views.test_frame import view


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (950, "950"), (12_345, "12.3 K"), (4.56e6, "4.56 M"), (1.2e9, "1.2 B"), (-4.56e6, "-4.56 M"),
        (999.4, "999"), (999.5, "1 K"), (999_499, "999 K"), (999_500, "1 M"), (999.499e6, "999 M"), (-999_500, "-1 M"),
    ],
)  # fmt: skip
def test_amounts_are_short(value: float, text: str) -> None:
    assert short_usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(67_012.6, "67,013"), (1000, "1,000"), (999.125, "999.125"), (0.0123456789, "0.0123457"), (-1234.6, "-1,235")],
)
def test_prices_from_a_thousand_on_have_no_cents(value: float, text: str) -> None:
    assert price_text(value) == text


@pytest.mark.parametrize(
    ("changes", "title", "last"),
    [
        ({}, "BTCUSDT  1d  ·  estimated map", "price 100"),
        ({"burn_in_days": 20.0}, "BTCUSDT  1d  ·  estimated map", "price 100"),
        (
            {"burn_in_days": 19.4, "source_label": "simulated", "short_history": "7d asked, 5 days shown"},
            "BTCUSDT  1d  ·  estimated map  ·  SIMULATED DATA  ·  7d asked, 5 days shown",
            "only 19 of 20 days of history before the left edge",
        ),
    ],
    ids=["as usual", "enough history", "invented data, little history"],
)
def test_titles_say_what_is_shown_and_what_it_lacks(changes: dict[str, object], title: str, last: str) -> None:
    frame = replace(view(), symbol="BTCUSDT", timeframe="1d", **changes)

    above, below = headings(frame, "map")
    assert above == title
    assert below.split("  ·  ")[0] == "data up to 2026-06-20 13:00 UTC, 1.0 h old (when drawn)"
    assert below.split("  ·  ")[-1] == last
