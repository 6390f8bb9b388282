"""How data is answered: the body of one edition, made once; its ETag; compressed where the client can read that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from liq_pipeline.server import answers
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.files import index
from liq_pipeline.server.once import Once
from liq_pipeline.server.store import Body, Edition, MixedEdition, Store

TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet",
         "arrow": "application/vnd.apache.arrow.stream", "coinglass": "application/json",
         "packed": "application/octet-stream"}  # fmt: skip
_BY_TYPE = {TYPES[kind].split(";")[0]: kind for kind in ("json", "csv", "parquet", "arrow")}
FRESH = "public, max-age=0, must-revalidate"
FOR_EVER = "public, max-age=31536000, immutable"
_ATTEMPTS = 3


class Desk:
    """Answers with data of a store."""

    def __init__(self, store: Store, once: Once) -> None:
        self._store, self._once = store, once

    async def answer(self, request: Request, asked: Asked, make: Callable[[Edition, Asked], bytes]) -> Response:
        """Answer with what `make` makes of an edition: the same bytes for the same files, question and step of age."""
        place = (asked.datasets, asked.symbol, asked.timeframe)
        for attempt in range(1, _ATTEMPTS + 1):
            edition = self._store.kept(*place)
            if edition is None:
                edition = await self._once.run(place, partial(self._store.read, *place), heavy=asked.is_heavy)
            request.state.empty = not edition[0].manifest["row_count"]
            key = asked.key(edition)
            etag = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
            if has(request, etag):
                return unchanged(etag, vary="Accept, Accept-Encoding")
            try:
                body = await self.body(key, partial(make, edition, asked), edition, asked.is_heavy)
            except MixedEdition:  # replaced since it was looked up
                if attempt == _ATTEMPTS:
                    raise
            else:
                return answer(request, body, etag, TYPES[asked.kind], vary="Accept, Accept-Encoding")
        raise AssertionError("not reached")

    async def body(
        self, key: tuple[str, ...], make: Callable[[], bytes], made_of: Edition = (), heavy: bool = False
    ) -> Body:
        """Return what `make` gives, made once. The key must name the content."""
        kept = self._store.kept_body(key)
        return kept if kept else await self._once.run(key, partial(self._store.body, key, make, made_of), heavy=heavy)

    async def state(self, now: datetime) -> answers.State:
        """Return what is published."""
        return await self._once.run("state", partial(answers.state, self._store, now))

    async def index(self) -> dict[str, Any]:
        """Return every published file."""
        return await self._once.run("index", partial(index, self._store))


def answer(
    request: Request, body: Body, etag: str, media: str, caching: str = FRESH, vary: str = "Accept-Encoding"
) -> Response:
    """Answer with a body, or that the client has it."""
    if has(request, etag):
        return unchanged(etag, caching, vary)
    headers = _headers(etag, caching, vary)
    if body.compressed is not None and takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(body.compressed, media_type=media, headers={**headers, "Content-Encoding": "gzip"})
    return Response(body.content, media_type=media, headers=headers)


def unchanged(etag: str, caching: str = FRESH, vary: str = "Accept-Encoding") -> Response:
    """Answer that what the client has is still true."""
    return Response(status_code=304, headers=_headers(etag, caching, vary))


def has(request: Request, etag: str) -> bool:
    """Return whether the client has what the tag names."""
    asked = request.headers.get("if-none-match", "")
    return f'"{etag}"' in asked or asked.strip() == "*"


def _headers(etag: str, caching: str, vary: str) -> dict[str, Any]:
    return {"ETag": f'W/"{etag}"', "Cache-Control": caching, "Vary": vary}


@lru_cache(256)
def takes_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header accepts gzip, and does not prefer the plain bytes (RFC 9110, 12.5.3)."""
    weights = _weights(header)
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


@lru_cache(256)
def kind_accepted(header: str) -> str:
    """Return the format that an Accept header likes best; JSON where it likes none, or several as well (12.5.1)."""
    weights = _weights(header)

    def weight(media: str) -> float:
        names = (media, f"{media.partition('/')[0]}/*", "*/*")
        return next((weights[name] for name in names if name in weights), 0.0)

    best = max(_BY_TYPE, key=weight)  # of equals the first, which is JSON
    return _BY_TYPE[best] if weight(best) > 0 else "json"


def _weights(header: str) -> dict[str, float]:
    """Return what a header lists, in lower case, with the weight of each; 1 where it names none."""
    weights: dict[str, float] = {}
    for item in header.lower()[:1000].split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if name:
            weights[name] = weight if 0 <= weight <= 1 else 0.0
    return weights
