"""What people look at: the page, the description of the interface, and their scripts, all from this service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.server.problems import problem
from liq_pipeline.server.reply import FOR_EVER, FRESH, Desk, answer
from liq_pipeline.views.page import page_assets, page_part, service_html

_MEDIA = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_SWAGGER = {"swagger-ui-bundle.js": _MEDIA["js"], "swagger-ui.css": _MEDIA["css"]}


def _swagger_part(name: str) -> bytes:
    """Return a file of Swagger UI, as the package fastapi-offline brings it."""
    return (files("fastapi_offline") / "static" / name).read_bytes()


def add_pages(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    assets = page_assets()
    static: dict[str, tuple[str, str, Callable[[], bytes]]] = {
        **{name: (_MEDIA[name.split(".")[-1]], FOR_EVER, partial(assets.__getitem__, name)) for name in assets},
        "docs.js": (_MEDIA["js"], FRESH, lambda: page_part("docs.js").encode()),
        **{name: (media, FRESH, partial(_swagger_part, name)) for name, media in _SWAGGER.items()},
    }

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        body = await desk.body(("page",), service_html)
        return answer(request, body, body.digest, "text/html; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        body = await desk.body(("docs",), lambda: page_part("docs.html").encode())
        return answer(request, body, body.digest, "text/html; charset=utf-8")

    @app.get("/static/{name}", include_in_schema=False)
    async def static_file(request: Request, name: str) -> Response:
        if name not in static:
            return problem(404, "There is no such file.")
        media, caching, make = static[name]
        body = await desk.body(("static", name), make)
        return answer(request, body, body.digest, media, caching)

    @app.get("/frontend/liquidation_map.html", include_in_schema=False)
    async def old_address(timeframe: str = "7", symbol: str = "") -> Response:
        name = timeframe if timeframe in TIMEFRAMES else f"{timeframe}d"
        query = {"timeframe": name if name in TIMEFRAMES else "7d", "view": "map"}
        return RedirectResponse(f"/?{urlencode(query | ({'symbol': symbol[:40]} if symbol else {}))}", 308)
