"""Errors as problem+json (RFC 9457): what went wrong, in words that help."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from liq_pipeline.errors import NoData, NotPublished, PublishedDamaged
from liq_pipeline.server.store import MixedEdition

log = logging.getLogger("liq.serve")

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, headers: dict[str, str] | None = None, similar: tuple[str, ...] = ()) -> Response:
    """Return an error answer; `similar` are symbols that may have been meant."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if similar:
        content["similar"] = list(similar)
    return Response(
        json.dumps(content, ensure_ascii=False), status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE
    )


class _LeftToTheGate(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say nothing: the framework raises the error anew, and the gate logs it, once, and answers."""


def answer_problems(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        headers = {"Allow": "GET, HEAD"} if error.status_code == 405 else dict(error.headers or {})
        detail = str(error.detail)
        if detail == HTTPStatus.NOT_FOUND.phrase:  # the framework's word for an address that is none
            detail = "There is nothing at this address. To do: see /docs for all addresses, / for the page."
        return problem(error.status_code, detail, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        details = [
            f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        return problem(422, "; ".join(details))

    @app.exception_handler(NoData)
    async def too_early(_: Request, error: NoData) -> Response:
        return problem(404, str(error))

    @app.exception_handler(NotPublished)
    async def unknown(_: Request, error: NotPublished) -> Response:
        return problem(404, str(error), similar=error.similar)

    @app.exception_handler(MixedEdition)
    async def torn(_: Request, error: MixedEdition) -> Response:
        log.warning("%s", error)
        return problem(503, str(error), {"Retry-After": "1"})

    @app.exception_handler(PublishedDamaged)
    async def damaged(_: Request, error: PublishedDamaged) -> Response:
        log.warning("%s", error)
        return problem(503, str(error), {"Retry-After": "60"})

    @app.exception_handler(Exception)
    async def mistaken(_: Request, error: Exception) -> Response:
        return _LeftToTheGate()
