"""Whatever is asked, the service answers as documented and never breaks."""

from __future__ import annotations

from random import Random

import pytest

from liq_pipeline_tests.server.hostile_files import one_manifest, one_parquet
from liq_pipeline_tests.server.hostile_requests import judge, one_request


@pytest.mark.slow
def test_fuzz_from_the_openapi_document(service) -> None:
    import requests
    import schemathesis  # takes a second: here only
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_dict(requests.get(f"{service.url}/openapi.json", timeout=5).json())
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck), database=None,
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def probe(case) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(base_url=service.url)
            assert answer.status_code < 500
            assert answer.status_code in (200, 304, 404, 405, 414, 422)
            if answer.status_code >= 400:
                assert answer.headers["content-type"][0] == "application/problem+json"

        probe()
    assert asked > 100


@pytest.mark.parametrize("one", [one_request, one_manifest, one_parquet])
def test_hostile_input_gives_a_documented_answer(one) -> None:
    for seed in range({one_request: 400}.get(one, 60)):
        one(Random(seed))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 Oops\r\n\r\n", b"garbage", b"HTTP/1.1 404 No\r\n\r\nnot a problem"])
def test_the_judge_sees_an_answer_that_is_not_documented(answer) -> None:
    with pytest.raises(AssertionError):
        judge(answer, b"GET / HTTP/1.1\r\n\r\n")


# Found by these functions: a column that Arrow asks for by name and does not find; instants as a dictionary; a
# timeframe of its own inside the rows; a column of lists in a CSV; a price so small that distances are infinite.
@pytest.mark.parametrize("seed", [92, 186, 100150, 101568, 102619, 102069, 102655, 102742, 102879])
def test_what_was_found_stays_mended(seed) -> None:
    one_parquet(Random(seed))
    one_manifest(Random(seed))
