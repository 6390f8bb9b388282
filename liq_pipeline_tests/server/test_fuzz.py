"""Whatever is asked, the service answers as documented and never breaks."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis")


@pytest.mark.slow
def test_fuzz_from_the_openapi_document(service) -> None:
    import requests
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
