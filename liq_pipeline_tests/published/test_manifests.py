"""Which manifests are taken for ours."""

import pytest
from pydantic import ValidationError

from liq_pipeline.published.manifests import Manifest


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
