"""Progress is told now and then, not line by line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from liq_pipeline.orchestration.assets import common


def test_lines_that_come_sooner_than_five_seconds_after_one_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [100.0], []
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: now[0]))
    tell = common.now_and_then(said.append)
    for now[0] in (100.0, 101.0, 104.9, 105.0, 106.0, 109.9, 110.0, 170.0, 171.0):
        tell(f"at {now[0]:g}")

    assert said == ["at 105", "at 110", "at 170"]
