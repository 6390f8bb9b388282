"""What became of a symbol: which findings are lost data, and which are only said."""

import pytest

from liq_pipeline.orchestration.results import LOSSES, Finding, SymbolResult


def result(check: str, severity: str) -> SymbolResult:
    return SymbolResult("BTCUSDT", published=True, findings=[Finding("raw_klines", check, severity, "three files")])


@pytest.mark.parametrize("check", sorted(LOSSES))
def test_a_loss_is_one_that_is_an_error_and_not_one_that_is_a_warning(check: str) -> None:
    assert result(check, "ERROR").lost_data
    assert not result(check, "WARN").lost_data


def test_an_error_that_tells_of_no_loss_is_an_error_and_no_lost_data() -> None:
    found = result("long_levels_lie_below_price", "ERROR")

    assert (found.lost_data, found.has_error_findings) == (False, True)


@pytest.mark.parametrize(
    "result",
    [SymbolResult("BTCUSDT"), SymbolResult("BTCUSDT", published=True, errors=["no space left on device"])],
    ids=["not published", "stopped by an error"],
)
def test_what_could_not_be_published_or_was_stopped_is_lost_whatever_was_found(result: SymbolResult) -> None:
    assert result.lost_data
    assert not result.has_error_findings
