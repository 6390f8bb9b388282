"""Why a step failed, in the words of whoever knows."""

from __future__ import annotations

import dagster as dg
import pytest

from liq_pipeline.errors import StorageFailed
from liq_pipeline.orchestration.runs import failure_reason

FULL = OSError("no space left on device")
OURS = StorageFailed("/data cannot be written", remedy="free some space")
SAID = "/data cannot be written. To do: free some space."


def caused(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no space left on device"), "OSError: no space left on device"),
        (caused(RuntimeError("something failed"), FULL), "OSError: no space left on device"),
        (OURS, SAID),
        (caused(StorageFailed(OURS.problem, remedy=OURS.remedy), FULL), SAID),
        (caused(RuntimeError("something failed"), caused(StorageFailed(OURS.problem, remedy=OURS.remedy), FULL)), SAID),
        (dg.Failure("3 of 9 levels lie above"), "3 of 9 levels lie above"),
    ],
    ids=["alone", "at the bottom", "ours", "ours with a cause", "ours in between", "words of its own"],
)
def test_a_step_fails_for_what_lies_at_the_bottom_unless_an_error_of_ours_says_what_to_do(error, reason: str) -> None:
    @dg.asset
    def levels() -> None:
        raise error

    with dg.DagsterInstance.ephemeral() as instance:
        outcome = dg.materialize([levels], instance=instance, raise_on_error=False)
    (event,) = outcome.get_step_failure_events()

    assert failure_reason(event) == f"levels: {reason}"
