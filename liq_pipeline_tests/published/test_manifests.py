"""Which manifests are taken for ours."""

import pytest
from pydantic import ValidationError

from liq_pipeline.published.manifests import Manifest, margin_note


@pytest.mark.parametrize("field", ["as_of", "first_ts"])
@pytest.mark.parametrize(
    ("instant", "is_ours"),
    [
        ("2000-01-01T00:00:00Z", True),
        ("2199-12-31T23:59:59Z", True),
        ("2026-06-28T00:00:00+00:00", True),
        ("1999-12-31T23:59:59Z", False),
        ("2200-01-01T00:00:00Z", False),
        ("2026-06-28T00:00:00+02:00", False),
        ("2026-06-28T00:00:00", False),
        ("yesterday", False),
    ],
)
def test_an_instant_is_in_utc_and_of_this_time(field: str, instant: str, is_ours: bool) -> None:
    given = {"as_of": "2026-06-28T00:00:00Z", "sha256": "0" * 64} | {field: instant}

    if is_ours:
        assert getattr(Manifest.model_validate(given), field) == instant
    else:
        with pytest.raises(ValidationError, match=field):
            Manifest.model_validate(given)


DEFAULT = {"margin_brackets": "default", "maintenance_margin_pct": 1.5, "max_leverage": 50.0}
KNOWN = {"margin_brackets": "own", "margin_brackets_known_until": "2026-01-01"}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (DEFAULT, "default margin brackets: 1.5 %, at most 50x"),
        (DEFAULT | {"margin_brackets": "own"}, ""),
        (DEFAULT | {"maintenance_margin_pct": None}, ""),
        (DEFAULT | {"max_leverage": None}, ""),
        (KNOWN | {"as_of": "2026-06-30T23:00:00Z"}, ""),  # 180 days
        (KNOWN | {"as_of": "2026-07-01T00:00:00Z"}, "margin brackets as of 2026-01-01, the newest that are known"),
        (KNOWN, ""),
    ],
)
def test_brackets_that_are_not_the_symbols_own_or_older_than_180_days_are_said(facts, said: str) -> None:
    assert margin_note(facts) == said
