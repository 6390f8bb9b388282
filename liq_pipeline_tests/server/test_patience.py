"""When there are too many connections: who goes first."""

from __future__ import annotations

from types import SimpleNamespace

from liq_pipeline.server.connection import _patience


def test_who_never_asked_goes_first_then_who_has_waited_longest() -> None:
    connections = {
        "asked once, waits since 5": SimpleNamespace(cycle=object(), _since=5.0),
        "asked once, waits since 3": SimpleNamespace(cycle=object(), _since=3.0),
        "asked once, waits for nothing": SimpleNamespace(cycle=object(), _since=None),
        "never asked, waits since 9": SimpleNamespace(cycle=None, _since=9.0),
        "never asked, waits since 7": SimpleNamespace(cycle=None, _since=7.0),
    }

    assert sorted(connections, key=lambda name: _patience(connections[name])) == [
        "never asked, waits since 7",
        "never asked, waits since 9",
        "asked once, waits since 3",
        "asked once, waits since 5",
        "asked once, waits for nothing",
    ]
