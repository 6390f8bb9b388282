"""Answers as JSON: exact numbers, none that JSON lacks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liq_pipeline.server.answers import as_json

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
CONTENT = st.dictionaries(
    st.text(st.characters(codec="utf-8")), NUMBERS | st.none() | st.booleans() | st.lists(NUMBERS)
)


@given(CONTENT)
def test_what_is_written_is_read_back_to_the_bit(content: dict) -> None:
    assert json.loads(as_json(content)) == content


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_is_refused_wherever_it_stands(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json({"rows": [{"contracts": 1.0}, {"contracts": number}]})


def test_a_text_may_say_so() -> None:
    assert as_json({"notice": "NaN, Infinity"}) == b'{"notice":"NaN, Infinity"}'
