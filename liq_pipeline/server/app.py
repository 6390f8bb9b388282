"""The read-only service: routes. Everything it knows lies in `data/published/`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.server import answers, models
from liq_pipeline.server.gate import Gate
from liq_pipeline.server.problems import MEDIA_TYPE, answer_problems, problem
from liq_pipeline.server.store import Body, Published, Store
from liq_pipeline.server.watch import Watch
from liq_pipeline.staleness import AGEING
from liq_pipeline.views.page import page_part, plotly_name, plotly_script, service_html

SymbolName = Annotated[
    str,
    StringConstraints(to_upper=True),
    Query(min_length=1, max_length=40, description="perpetual, see /symbols", examples=["BTCUSDT"]),
]
Timeframe = Annotated[
    Literal["1d", "7d", "30d", "90d", "1", "7", "30", "90"], Query(description="days, with or without the d")
]
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}, "description": text}
    for status, text in (
        (401, "no bearer token, where one is set"), (404, "not published"), (413, "a request body"),
        (414, "a query that is too long"), (422, "a parameter that cannot be used"), (429, "too many requests"),
        (503, "files are being replaced; try again"),
    )
}  # fmt: skip
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "what the client has is still true"}}
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet",
          "coinglass": "application/json"}  # fmt: skip
_FRESH = "public, max-age=0, must-revalidate"
_FOR_EVER = "public, max-age=31536000, immutable"
_AGE_STEP = timedelta(minutes=6)  # answers tell the data's age; within a step they are the same, so ETags can match


def create_app(
    folder: Path,
    now: Callable[[], datetime],
    *,
    token: str = "",
    origins: tuple[str, ...] = (),
    rate: str = "",
) -> ASGIApp:
    """Return the service over a published folder.

    Args:
        folder: `data/published`.
        now: tells the current instant, UTC.
        token: bearer token that data is served with; empty for none.
        origins: web origins that may read it; none by default.
        rate: requests per client, such as '600/minute'; empty for no limit.
    """
    app = FastAPI(
        title="The open liquidation map",
        version=version("liq_pipeline"),
        description="Estimated liquidation levels of crypto perpetuals: exposure, not a forecast. Read-only.",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    store, watch = Store(folder), Watch()
    answer_problems(app)
    _describe_problems(app)
    clock = partial(_stepped, now)
    _add_pages(app, store)
    _add_data(app, store, clock)
    _add_state(app, store, watch, now)
    wrapped: ASGIApp = app
    if origins:
        wrapped = CORSMiddleware(
            app, allow_origins=list(origins), allow_methods=["GET"], allow_headers=["authorization"]
        )
    return Gate(wrapped, watch, token, rate)


def _stepped(now: Callable[[], datetime]) -> datetime:
    moment = now()
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % _AGE_STEP


def _add_pages(app: FastAPI, store: Store) -> None:
    static: dict[str, tuple[str, str, Callable[[], bytes]]] = {
        "page.css": ("text/css; charset=utf-8", _FRESH, lambda: page_part("page.css").encode()),
        "page.js": ("text/javascript; charset=utf-8", _FRESH, lambda: page_part("page.js").encode()),
        plotly_name(): ("text/javascript; charset=utf-8", _FOR_EVER, plotly_script),
    }

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        body = await _made(store, ("page",), service_html)
        return _answer(request, body, f"page-{version('liq_pipeline')}-{len(body.content)}", "text/html; charset=utf-8")

    @app.get("/static/{name}", include_in_schema=False)
    async def static_file(request: Request, name: str) -> Response:
        if name not in static:
            return problem(404, "There is no such file.")
        media, caching, make = static[name]
        body = await _made(store, ("static", name), make)
        return _answer(request, body, f"{name}-{len(body.content)}", media, caching)

    @app.get("/frontend/liquidation_map.html", include_in_schema=False)
    async def old_address(timeframe: str = "7", symbol: str = "") -> Response:
        name = timeframe if timeframe in TIMEFRAMES else f"{timeframe}d"
        query = {"timeframe": name if name in TIMEFRAMES else "7d", "view": "map"}
        return RedirectResponse(f"/?{urlencode(query | ({'symbol': symbol[:40]} if symbol else {}))}", 308)


def _add_data(app: FastAPI, store: Store, now: Callable[[], datetime]) -> None:
    @app.get("/liquidations/levels", response_model=models.Levels, responses=_documented("csv", "parquet"))
    async def liquidation_levels(
        request: Request,
        symbol: SymbolName,
        timeframe: Timeframe = "7d",
        side: Annotated[Literal["long", "short"] | None, Query(description="only one side")] = None,
        min_usd: Annotated[float, Query(ge=0, le=1e15, allow_inf_nan=False, description="smallest notional")] = 0,
        format: Annotated[Literal["json", "csv", "parquet"], Query()] = "json",
    ) -> Response:
        """Estimated liquidation levels of positions younger than the timeframe, per side, leverage and price bin."""
        name, moment = _name(timeframe), now()
        found = await _published(store, "liquidation_levels", symbol, name)
        make = partial(answers.levels, found, symbol, name, moment, format, side=side or "", min_usd=min_usd)
        request.state.empty = not found.manifest["row_count"]
        return await _data(request, store, found.sha256, (side or "", repr(min_usd)), make, format, moment)

    @app.get("/liquidations/heatmap", response_model=models.Heatmap | models.BotHeatmap, responses=_documented())
    async def liquidation_heatmap(
        request: Request,
        symbol: SymbolName,
        timeframe: Timeframe = "7d",
        format: Annotated[Literal["json", "coinglass"], Query(description="coinglass: the shape bots parse")] = "json",
    ) -> Response:
        """Every position alive at each time, by price, with candles; at display size."""
        name, moment = _name(timeframe), now()
        cells = await _published(store, "liquidation_heatmap", symbol, name)
        beside = await _published(store, "candles", symbol, name)
        make = partial(answers.heatmap, cells, beside, moment, format)
        request.state.empty = not cells.manifest["row_count"]
        return await _data(request, store, cells.sha256, ("heatmap", beside.sha256), make, format, moment)

    @app.get("/liquidations/summary", response_model=models.Summary, responses=_documented())
    async def liquidation_summary(request: Request, symbol: SymbolName, timeframe: Timeframe = "7d") -> Response:
        """Totals, imbalance, the nearest clusters, and the max-pain price with its definition."""
        name, moment = _name(timeframe), now()
        found = await _published(store, "liquidation_levels", symbol, name)
        make = partial(answers.summary, found, symbol, name, moment)
        request.state.empty = not found.manifest["row_count"]
        return await _data(request, store, found.sha256, ("summary",), make, "json", moment)

    @app.get("/candles", response_model=models.Candles, responses=_documented())
    async def candles(request: Request, symbol: SymbolName, timeframe: Timeframe = "7d") -> Response:
        """Candles of the heatmap's columns."""
        name, moment = _name(timeframe), now()
        found = await _published(store, "candles", symbol, name)
        make = partial(answers.candles, found, symbol, name, moment)
        request.state.empty = not found.manifest["row_count"]
        return await _data(request, store, found.sha256, ("candles",), make, "json", moment)


def _add_state(app: FastAPI, store: Store, watch: Watch, now: Callable[[], datetime]) -> None:
    @app.get("/symbols", response_model=models.Symbols, responses=_documented(unchanged=False))
    async def symbols(request: Request) -> Response:
        """What is published, and how old it is."""
        found = await run_in_threadpool(answers.symbols, store, now())
        request.state.empty = not found
        return Response(
            answers.as_json({"symbols": found}), media_type=_TYPES["json"], headers={"Cache-Control": "no-cache"}
        )

    @app.get("/health", response_model=models.Health, responses=_documented(unchanged=False))
    async def health() -> Response:
        """Whether the service answers well and its data is new. Status 503 when nothing is published."""
        found = await run_in_threadpool(answers.symbols, store, now())
        status = "down" if not found else "degraded" if any(item["is_stale"] for item in found) else "ok"
        content = {
            "status": status,
            "symbols": [
                {
                    "symbol": item["symbol"],
                    "latest": item["as_of"],
                    "age_hours": item["age_hours"],
                    "is_stale": item["is_stale"],
                    "warning": item["notice"] if item["age_hours"] >= AGEING / timedelta(hours=1) else None,
                }
                for item in found
            ],
            "requests": watch.report(),
        }
        headers = {"Cache-Control": "no-store"}
        return Response(answers.as_json(content), 503 if status == "down" else 200, headers, _TYPES["json"])

    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **_PROBLEMS}, response_class=Response)
    async def metrics() -> Response:
        """Counters and latencies for Prometheus."""
        found = await run_in_threadpool(answers.symbols, store, now())
        text = watch.exposition({item["symbol"]: item["age_hours"] for item in found})
        return Response(
            text, media_type="text/plain; version=0.0.4; charset=utf-8", headers={"Cache-Control": "no-store"}
        )


async def _published(store: Store, dataset: str, symbol: str, timeframe: str) -> Published:
    kept = store.kept(dataset, symbol, timeframe)
    return kept if kept else await run_in_threadpool(store.read, dataset, symbol, timeframe)


async def _made(store: Store, key: tuple[str, ...], make: Callable[[], bytes]) -> Body:
    kept = store.kept_body(key)
    return kept if kept else await run_in_threadpool(store.body, key, make)


async def _data(
    request: Request,
    store: Store,
    digest: str,
    asked: tuple[str, ...],
    make: Callable[[], bytes],
    kind: str,
    moment: datetime,
) -> Response:
    """Answer with data: the same bytes for the same files, question and step of age."""
    step = f"{moment.timestamp():.0f}" if kind == "json" else ""
    key = (
        digest,
        *asked,
        kind,
        step,
        request.query_params.get("symbol", ""),
        request.query_params.get("timeframe", ""),
    )
    etag = f"{digest[:20]}-{step}"
    if _has(request, etag):
        return Response(status_code=304, headers={"ETag": f'W/"{etag}"', "Cache-Control": _FRESH})
    return _answer(request, await _made(store, key, make), etag, _TYPES[kind])


def _answer(request: Request, body: Body, etag: str, media: str, caching: str = _FRESH) -> Response:
    headers = {"ETag": f'W/"{etag}"', "Cache-Control": caching, "Vary": "Accept-Encoding"}
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    if body.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(body.compressed, media_type=media, headers={**headers, "Content-Encoding": "gzip"})
    return Response(body.content, media_type=media, headers=headers)


def _has(request: Request, etag: str) -> bool:
    asked = request.headers.get("if-none-match", "")
    return f'"{etag}"' in asked or asked.strip() == "*"


def _name(timeframe: str) -> str:
    return timeframe if timeframe in TIMEFRAMES else f"{timeframe}d"


def _documented(*kinds: str, unchanged: bool = True) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {_TYPES[kind].split(";")[0]: {} for kind in kinds}
    return {**({200: {"content": content}} if kinds else {}), **(_UNCHANGED if unchanged else {}), **_PROBLEMS}


def _describe_problems(app: FastAPI) -> None:
    """Put the problem shape into the OpenAPI document, which routes refer to."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = models.Problem.model_json_schema()
        return document

    app.openapi = described  # type: ignore[method-assign]
