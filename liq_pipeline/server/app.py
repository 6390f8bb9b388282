"""The read-only service: routes. Everything it knows lies in `data/published/`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.staleness import AGEING, retired, retired_notice
from liq_pipeline.server import answers, models, reached
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.files import PublishedFiles
from liq_pipeline.server.gate import Gate
from liq_pipeline.server.metrics import ServiceMetrics
from liq_pipeline.server.once import Once
from liq_pipeline.server.pages import add_pages
from liq_pipeline.server.problems import MEDIA_TYPE, answer_problems
from liq_pipeline.server.questions import At, Leverage, SymbolName, Timeframe, takes_only_its_own
from liq_pipeline.server.reply import TYPES, Desk, kind_accepted
from liq_pipeline.server.store import Store

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}, "description": text}
    for status, text in (
        (401, "no bearer token, where one is set"), (404, "not published"), (413, "a request body"),
        (414, "a query that is too long"), (422, "a parameter that cannot be used"), (429, "too many requests"),
        (503, "files are being replaced; try again"),
    )
}  # fmt: skip
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "what the client has is still true"}}
_AGE_STEP = timedelta(minutes=6)  # answers tell the data's age; within a step they are the same, so ETags can match


def create_app(
    folder: Path,
    now: Callable[[], datetime],
    *,
    token: str = "",
    origins: tuple[str, ...] = (),
    rate: str = "",
    refreshed: Callable[[list[str]], tuple[str, ...] | None] = lambda published: None,
) -> ASGIApp:
    """Return the service over a published folder.

    Args:
        folder: `data/published`.
        now: tells the current instant, UTC.
        token: bearer token that data is served with; empty for none.
        origins: web origins that may read it; none by default.
        rate: requests per client, such as '600/minute'; empty for no limit.
        refreshed: of what is published, the symbols that runs refresh; None: all. The age of others is no fault.
    """
    app = FastAPI(
        title="The open liquidation map",
        version=version("liq_pipeline"),
        description="Estimated liquidation levels of crypto perpetuals: exposure, not a forecast. Read-only.",
        redirect_slashes=False,  # it would send clients wherever their Host header says
        docs_url=None,  # it would load scripts from elsewhere; /docs is our own
        redoc_url=None,
        dependencies=[Depends(takes_only_its_own)],
    )
    desk, watch = Desk(Store(folder), Once()), ServiceMetrics()
    answer_problems(app)
    _describe(app, bool(token))
    clock = partial(_stepped, now)
    add_pages(app, desk)
    _add_data(app, desk, clock)
    _add_state(app, desk, watch, now, refreshed)
    _add_files(app, desk, folder)
    wrapped: ASGIApp = app
    if origins:
        wrapped = CORSMiddleware(
            app, allow_origins=list(origins), allow_methods=["GET"], allow_headers=["authorization"]
        )
    return Gate(wrapped, watch, token, rate)


def _stepped(now: Callable[[], datetime]) -> datetime:
    moment = now()
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % _AGE_STEP


def _add_data(app: FastAPI, desk: Desk, now: Callable[[], datetime]) -> None:
    get = partial(app.get, tags=["the map"])

    @get(
        "/liquidations/levels",
        tags=["the map"],
        response_model=models.Levels,
        responses=_documented("csv", "parquet", "arrow", "packed"),
    )
    async def liquidation_levels(
        request: Request,
        symbol: SymbolName,
        timeframe: Timeframe = "7d",
        side: Annotated[Literal["long", "short"] | None, Query(description="only one side")] = None,
        min_usd: Annotated[float, Query(ge=0, le=1e15, allow_inf_nan=False, description="smallest notional")] = 0,
        format: Annotated[
            Literal["json", "csv", "parquet", "arrow", "packed"] | None,
            Query(description="default: as Accept asks, else json; packed: what the page reads"),
        ] = None,
        at: At = None,
        leverage: Leverage = None,
    ) -> Response:
        """Estimated liquidation levels of positions younger than the timeframe, per side, leverage and price bin.

        With `at`, as the model sees that instant from the bars up to then; ages are as of then.
        """
        more = (side or "", repr(min_usd), leverage or "", *_when(at))
        datasets, moment = (("positions",), at) if at else (("liquidation_levels",), now())
        kind = format or kind_accepted(request.headers.get("accept", ""))
        asked = Asked(datasets, symbol, _name(timeframe), moment, kind, more)
        some = partial(answers.levels, side=side or "", min_usd=min_usd, leverage=leverage or "")
        return await desk.answer(request, asked, some)

    @get(
        "/liquidations/heatmap",
        tags=["the map"],
        response_model=models.Heatmap | models.BotHeatmap,
        responses=_documented("packed"),
    )
    async def liquidation_heatmap(
        request: Request,
        symbol: SymbolName,
        timeframe: Timeframe = "7d",
        format: Annotated[
            Literal["json", "coinglass", "packed"],
            Query(description="coinglass: the shape bots parse; packed: what the page reads"),
        ] = "json",
        at: At = None,
    ) -> Response:
        """Every position alive at each time, by price, with candles; at display size.

        With `at`, the columns that had closed by then; ages are as of then.
        """
        datasets = ("liquidation_heatmap", "candles")
        asked = Asked(datasets, symbol, _name(timeframe), at or now(), format, _when(at))
        return await desk.answer(request, asked, partial(answers.heatmap, at=at))

    @get("/liquidations/summary", response_model=models.Summary, responses=_documented())
    async def liquidation_summary(
        request: Request, symbol: SymbolName, timeframe: Timeframe = "7d", at: At = None
    ) -> Response:
        """Totals, imbalance, the nearest clusters, and the max-pain price with its definition; `at` as of levels."""
        datasets, more = ("positions" if at else "liquidation_levels",), ("summary", *_when(at))
        asked = Asked(datasets, symbol, _name(timeframe), at or now(), "json", more)
        return await desk.answer(request, asked, answers.summary)

    @get("/liquidations/if-reached", response_model=reached.IfReached, responses=_documented())
    async def liquidations_if_reached(
        request: Request,
        symbol: SymbolName,
        horizon: Annotated[Literal["1", "4", "24"], Query(description="hours within which the price gets there")] = "4",
        source: Annotated[str, Query(max_length=100, description="of the truth; default: the longest")] = "",
    ) -> Response:
        """How much gets liquidated on the way to a price, given that it is reached: a median and a range."""
        asked = Asked((reached.DATASET,), symbol, "90d", now(), "json", (horizon, source))
        return await desk.answer(request, asked, partial(reached.if_reached, hours=int(horizon), source=source))

    @get("/candles", response_model=models.Candles, responses=_documented())
    async def candles(request: Request, symbol: SymbolName, timeframe: Timeframe = "7d", at: At = None) -> Response:
        """Candles of the heatmap's columns; with `at`, those that had closed by then."""
        asked = Asked(("candles",), symbol, _name(timeframe), at or now(), "json", _when(at))
        return await desk.answer(request, asked, partial(answers.candles, at=at))


def _add_files(app: FastAPI, desk: Desk, folder: Path) -> None:
    get = partial(app.get, tags=["files"])

    published = PublishedFiles(folder)

    @get("/index.json", response_model=models.Index, responses=_documented(unchanged=False))
    async def index_of_files() -> Response:
        """Every published file of rows: its address, newest bar, rows and sha256; and the columns of each dataset."""
        content = await desk.index()
        return Response(answers.as_json(content), media_type=TYPES["json"], headers={"Cache-Control": "no-cache"})

    @get(
        "/files/{path:path}",
        tags=["files"],
        response_class=Response,
        responses={206: {"description": "a range"}, **_documented()},
    )
    async def file(request: Request, path: str) -> Response:
        """A published file as it lies in `data/published`, whole or by ranges."""
        return await published.get_response(path, request.scope)


def _add_state(
    app: FastAPI,
    desk: Desk,
    watch: ServiceMetrics,
    now: Callable[[], datetime],
    refreshed: Callable[[list[str]], tuple[str, ...] | None],
) -> None:
    get = partial(app.get, tags=["state"])

    @get("/symbols", response_model=models.Symbols, responses=_documented(unchanged=False))
    async def symbols(request: Request) -> Response:
        """What is published, and how old it is; and what is damaged."""
        found = await desk.state(now())
        request.state.empty = not found.symbols
        content = {"symbols": found.symbols, **found.said}
        return Response(answers.as_json(content), media_type=TYPES["json"], headers={"Cache-Control": "no-cache"})

    @get("/health", response_model=models.Health, responses=_documented(unchanged=False))
    async def health() -> Response:
        """Whether the service answers well and its data is new. Status 503 when nothing is published."""
        found = await desk.state(now())
        names = [item["symbol"] for item in found.symbols]
        left = retired(names, refreshed(names))
        is_late = any(item["is_stale"] and item["symbol"] not in left for item in found.symbols)
        degraded = bool(found.damaged) or is_late
        status = "down" if not found.symbols else "degraded" if degraded else "ok"
        content = {
            "status": status,
            "symbols": [
                {
                    "symbol": item["symbol"],
                    "latest": item["as_of"],
                    "age_hours": item["age_hours"],
                    "is_stale": item["is_stale"],
                    "is_refreshed": item["symbol"] not in left,
                    "warning": retired_notice(item["symbol"])
                    if item["symbol"] in left
                    else item["notice"]
                    if item["age_hours"] >= AGEING / timedelta(hours=1)
                    else None,
                }
                for item in found.symbols
            ],
            **found.said,
            "requests": watch.report(),
        }
        headers = {"Cache-Control": "no-store"}
        return Response(answers.as_json(content), 503 if status == "down" else 200, headers, TYPES["json"])

    @get(
        "/metrics",
        tags=["state"],
        responses={200: {"content": {"text/plain": {}}}, **_PROBLEMS},
        response_class=Response,
    )
    async def metrics() -> Response:
        """Counters and latencies for Prometheus."""
        found = await desk.state(now())
        ages = {item["symbol"]: item["age_hours"] for item in found.symbols}
        return Response(
            watch.exposition(ages, len(found.damaged), found.exposure),
            media_type="text/plain; version=0.0.4; charset=utf-8",
            headers={"Cache-Control": "no-store"},
        )


def _when(at: datetime | None) -> tuple[str, ...]:
    return (at.isoformat(),) if at else ()


def _name(timeframe: str) -> str:
    return timeframe if timeframe in TIMEFRAMES else f"{timeframe}d"


def _documented(*kinds: str, unchanged: bool = True) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {TYPES[kind].split(";")[0]: {} for kind in kinds}
    return {**({200: {"content": content}} if kinds else {}), **(_UNCHANGED if unchanged else {}), **_PROBLEMS}


def _describe(app: FastAPI, has_token: bool) -> None:
    """Put the problem shape, which routes refer to, into the OpenAPI document; and that a token is wanted."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = models.Problem.model_json_schema()
        if has_token:
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
        return document

    app.openapi = described  # type: ignore[method-assign]
