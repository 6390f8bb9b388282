"""Whether the data tell which end of a step a stamp names."""

from __future__ import annotations

import pytest

from liq_pipeline.model.alignment import StampVerdict


@pytest.mark.parametrize(
    ("start", "end", "is_clear"),
    [
        pytest.param(0.6, 0.1, True, id="the start fits better"),
        pytest.param(0.1, 0.6, True, id="the end fits better"),
        pytest.param(0.1, -0.1, True, id="one fits, the other is against it"),
        pytest.param(0.6, 0.6, False, id="both fit"),
        pytest.param(0.0, 0.0, False, id="neither fits"),
        pytest.param(0.3, 0.34, False, id="one is hardly better"),
        pytest.param(0.05, 0.0, False, id="as much better as it takes, and no more"),
    ],
)
def test_the_data_tell_where_one_reading_fits_clearly_better(start: float, end: float, is_clear: bool) -> None:
    assert StampVerdict(start >= end, start, end).is_clear is is_clear
