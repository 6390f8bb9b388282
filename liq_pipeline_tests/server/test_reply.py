"""An answer whose files are replaced while it is made begins anew, though not for ever; and what is accepted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.responses import Response

from liq_pipeline.server.once import Once
from liq_pipeline.server.reply import Desk, kind_accepted
from liq_pipeline.server.store import Body, MixedEdition


class Replaced:
    """A store whose files are replaced under so many answers."""

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0

    def kept(self, *_: object) -> None:
        return None

    def kept_body(self, _: object) -> None:
        return None

    def read(self, *_: object) -> tuple[SimpleNamespace, ...]:
        self.asked += 1
        return (SimpleNamespace(manifest={"row_count": 1}),)

    def body(self, *_: object) -> Body:
        if self.asked <= self.times:
            raise MixedEdition("replaced")
        return Body.of(b"the newest")


def answered(store: Replaced) -> Response:
    asked = SimpleNamespace(
        datasets=("x",), symbol="X", timeframe="1d", is_heavy=False, kind="json", key=lambda _: (str(store.asked),)
    )
    request = Request({"type": "http", "headers": []})
    return asyncio.run(Desk(store, Once()).answer(request, asked, lambda *_: b""))


@pytest.mark.parametrize("times", [0, 1, 2])
def test_files_that_are_replaced_meanwhile_are_read_again(times: int) -> None:
    store = Replaced(times)
    assert answered(store).body == b"the newest"
    assert store.asked == times + 1


def test_what_is_replaced_all_the_time_is_said_after_three_attempts() -> None:
    store = Replaced(1000)
    with pytest.raises(MixedEdition):
        answered(store)
    assert store.asked == 3


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", "json"), ("*/*", "json"), ("text/html", "json"), ("text/csv;q=0", "json"), ("text/csv", "csv"),
        ("application/json;q=0, text/csv;q=0.1", "csv"), ("text/csv;q=0.5, application/json;q=0.4", "csv"),
    ],
)  # fmt: skip
def test_what_an_accept_header_likes_best(header: str, kind: str) -> None:
    assert kind_accepted(header) == kind
