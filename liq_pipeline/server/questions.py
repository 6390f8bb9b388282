"""What a question may hold. What an address does not take is refused: the answer would be to another question."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

from liq_pipeline.model.levels import LEVERAGE_CLASSES
from liq_pipeline.setting_forms import instant_of

SymbolName = Annotated[
    str,
    StringConstraints(to_upper=True),
    Query(min_length=1, max_length=40, description="perpetual, see /symbols", examples=["BTCUSDT"]),
]
Timeframe = Annotated[
    Literal["1d", "7d", "30d", "90d", "1", "7", "30", "90"], Query(description="days, with or without the d")
]
Instant = Annotated[
    datetime,
    BeforeValidator(instant_of),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-20T12:00Z"]}),
]
At = Annotated[Instant | None, Query(description="an instant of the past; default: the newest bar")]
_LONGEST = 40


def _classes(text: str) -> str:
    """Return leverage classes in the order of the model, each once."""
    names = text.split(",")
    if not set(names) <= set(LEVERAGE_CLASSES):
        raise ValueError(f"expected some of {', '.join(LEVERAGE_CLASSES)}, with commas between them")
    return ",".join(name for name in LEVERAGE_CLASSES if name in names)


Leverage = Annotated[
    Annotated[str, AfterValidator(_classes)] | None,
    Query(
        description="only these leverage classes, with commas: 10x (up to 10), 25x (above, up to 25), 50x, over_50x",
        examples=["50x,over_50x"],
    ),
]


async def takes_only_its_own(request: Request) -> None:
    """Refuse parameters that the route of a request does not know, and those that are given twice.

    Raises:
        RequestValidationError: there is one; it says what the route takes.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or not route.include_in_schema:
        return  # what people look at reads its own address
    known = [field.alias for field in route.dependant.query_params]
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    names = [name for name, _ in request.query_params.multi_items()]
    problems = []
    for name in dict.fromkeys(names):
        if name not in known:
            problems.append(_of(name, f"{route.path} does not take it. To do: leave it out; {takes} (see /docs)"))
        elif names.count(name) > 1:
            problems.append(_of(name, "it is given more than once. To do: ask once for each"))
    if problems:
        raise RequestValidationError(problems)


def _of(name: str, said: str) -> dict[str, Any]:
    return {"loc": ("query", name[:_LONGEST]), "msg": said}
