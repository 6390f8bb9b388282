"""The simulated exchange's streams, on loopback: the forced orders of a market, pushed as the real ones are.

Of each symbol the largest order of a second is sent, at the end of that second, to whoever listens then; nobody is told
later. Addresses that are not routed connect and stay silent, as do streams that do not exist (exchange.md 4).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from liq_pipeline.simulator.market import Market

MOST_ORDERS_A_BAR = 4  # into which the liquidations of a bar and side are cut
_SECOND = 1000  # ms
_TICK_SECONDS = 0.002


@dataclass(frozen=True)
class StreamedOrder:
    """One order that the stream tells of: at `ts_ms` (ms since 1970) it traded, at `event_ms` it is sent.

    `price` is that of its fills; `bankruptcy_price` that of the order itself, None for the same.
    """

    symbol: str
    ts_ms: int
    event_ms: int
    side: str
    price: float
    quantity: float
    bankruptcy_price: float | None = None

    @property
    def usd(self) -> float:
        """What was liquidated."""
        return self.price * self.quantity

    def message(self) -> dict[str, Any]:
        """Return it as the exchange says it."""
        price, quantity = f"{self.price:.8g}", f"{self.quantity:.3f}"
        bankrupt = price if self.bankruptcy_price is None else f"{self.bankruptcy_price:.8g}"
        order = {
            "s": self.symbol, "S": self.side, "o": "LIMIT", "f": "IOC", "q": quantity, "p": bankrupt, "ap": price,
            "X": "FILLED", "l": quantity, "z": quantity, "T": self.ts_ms,
        }  # fmt: skip
        return {"e": "forceOrder", "E": self.event_ms, "o": order}


def forced_orders_of(market: Market) -> list[StreamedOrder]:
    """Return what the stream tells of a market, by time: less than what happened."""
    config, liquidations = market.config, market.liquidations
    rng = np.random.Generator(np.random.PCG64([config.seed, 4, *config.symbol.encode()]))
    opened = market.bars["open_time"].astype("datetime64[ms]").astype(np.int64)
    width = config.bar_minutes * 60 * _SECOND
    largest: dict[int, StreamedOrder] = {}
    for side, name, sign in (("SELL", "long", -1), ("BUY", "short", 1)):
        contracts, usd = liquidations[f"{name}_contracts"], liquidations[f"{name}_usd"]
        for bar in np.flatnonzero(contracts > 0):
            shares = rng.dirichlet(np.ones(rng.integers(1, MOST_ORDERS_A_BAR + 1)))
            instants = opened[bar] + rng.integers(1, width, shares.size)
            for share, at in zip(shares, instants.tolist(), strict=True):
                quantity = round(float(contracts[bar] * share), 3)
                second = at // _SECOND
                price = float(usd[bar] / contracts[bar])
                order = StreamedOrder(
                    config.symbol, at, (second + 1) * _SECOND, side, price, quantity, price * (1 + sign * config.mmr)
                )
                if quantity > 0 and (second not in largest or largest[second].usd < order.usd):
                    largest[second] = order
    return sorted(largest.values(), key=lambda order: order.event_ms)


@dataclass
class _Client:
    connection: ServerConnection
    streams: frozenset[str]
    is_combined: bool
    sent: int = 0
    is_mute: bool = False

    def mute(self) -> None:
        self.is_mute = True


class StreamServer:
    """The streams on 127.0.0.1, as a context manager. Its faults may be called from any thread.

    Args:
        orders: what to tell; several symbols may be mixed.
        now: the clock: an order is sent once its event time is reached, those before the start never.
        port: 0 takes a free one.

    Attributes:
        url: the origin, without a path; valid inside the `with`.
        life_messages: each connection is ended after so many messages (the real one after 24 hours); None: never.
        told: orders whose time has come so far, whether somebody listened or not.
        opened: connections accepted so far.
    """

    def __init__(self, orders: Iterable[StreamedOrder], now: Callable[[], datetime], port: int = 0) -> None:
        self.orders: Sequence[StreamedOrder] = sorted(orders, key=lambda order: order.event_ms)
        self.now, self.port = now, port
        self.life_messages: int | None = None
        self.url = ""
        self.told = self.opened = 0
        self._clients: list[_Client] = []
        self._refusal: tuple[int, dict[str, str]] | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready: Future[None] = Future()
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @property
    def listeners(self) -> int:
        """Connections that are open."""
        return len(self._clients)

    def drop(self, most: int | None = None) -> None:
        """Break connections off, without a farewell: all of them, or the `most` oldest."""
        self._each(lambda client: client.connection.transport.abort(), most)

    def farewell(self, reason: str = "24 hours") -> None:
        """End every connection as the real one does after a day."""
        for client in list(self._clients):
            asyncio.run_coroutine_threadsafe(client.connection.close(1001, reason), self._loop).result()

    def mute(self) -> None:
        """Send nothing more to who is connected now, but go on answering pings."""
        self._each(_Client.mute)

    def freeze(self) -> None:
        """Neither send nor answer anything to who is connected now: as if the network were gone."""
        self.mute()
        self._each(lambda client: client.connection.transport.pause_reading())

    def thaw(self) -> None:
        """Answer the pings again that came in while frozen; orders are still not sent to who was connected then."""
        self._each(lambda client: client.connection.transport.resume_reading())

    def refuse(self, status: int, **headers: str) -> None:
        """Answer new connections with an HTTP error (451, 403, 503 ...)."""
        self._refusal = status, headers

    def accept(self) -> None:
        """Refuse no more."""
        self._refusal = None

    def say(self, text: str | bytes) -> None:
        """Send something to everybody: garbage, other events."""
        for client in list(self._clients):
            asyncio.run_coroutine_threadsafe(client.connection.send(text), self._loop).result()

    def _each(self, action: Callable[[_Client], None], most: int | None = None) -> None:
        async def act() -> None:
            for client in self._clients[:most]:
                action(client)

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    async def _serve(self) -> None:
        try:
            server = await serve(
                self._client, "127.0.0.1", self.port, process_request=self._refused, ping_interval=180,
                ping_timeout=600, close_timeout=0.2, compression=None,
            )  # fmt: skip
        except OSError as error:
            self._ready.set_exception(error)
            return
        async with server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            telling = asyncio.create_task(self._tell())
            self._ready.set_result(None)
            await self._stop.wait()
            telling.cancel()
            for client in list(self._clients):
                client.connection.transport.abort()

    def _refused(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._refusal is None:
            return None
        status, headers = self._refusal
        try:
            response = connection.respond(HTTPStatus(status), "Service unavailable from a restricted location\n")
        except ValueError:  # 418 and the like
            response = connection.respond(HTTPStatus.FORBIDDEN, "")
            response.status_code = status
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    async def _client(self, connection: ServerConnection) -> None:
        assert connection.request
        path = connection.request.path
        client = _Client(connection, _streams(path), urlsplit(path).path == "/market/stream")
        self._clients.append(client)
        self.opened += 1
        try:
            await connection.wait_closed()
        finally:
            self._clients.remove(client)

    async def _tell(self) -> None:
        orders, begun = self.orders, _ms(self.now())
        self.told = sum(order.event_ms <= begun for order in orders)
        while self.told < len(orders):
            now, position = _ms(self.now()), self.told
            while position < len(orders) and orders[position].event_ms <= now:
                await self._send(orders[position])
                position += 1
                self.told = position
            await asyncio.sleep(_TICK_SECONDS)

    async def _send(self, order: StreamedOrder) -> None:
        name = f"{order.symbol.lower()}@forceOrder"
        for client in list(self._clients):
            if client.is_mute or name not in client.streams:
                continue
            event = order.message()
            with suppress(Exception):  # a client that is gone is no news
                await client.connection.send(
                    json.dumps({"stream": name, "data": event} if client.is_combined else event)
                )
            client.sent += 1
            if self.life_messages is not None and client.sent >= self.life_messages:
                client.mute()
                await client.connection.close(1001, "24 hours")


def _streams(path: str) -> frozenset[str]:
    """Return the streams that an address asks for; none where it is not routed. Names are in lower case."""
    parts = urlsplit(path)
    if parts.path == "/market/stream":
        return frozenset(parse_qs(parts.query).get("streams", [""])[0].split("/"))
    if parts.path.startswith("/market/ws/"):
        return frozenset(unquote(parts.path).removeprefix("/market/ws/").split("/"))
    return frozenset()


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def steady_orders(
    symbol: str, since: datetime, seconds: int, price: float = 90_000.0, side: str = "SELL"
) -> list[StreamedOrder]:
    """Return one order for every second: the most that a stream can tell. Each has a quantity of its own."""
    first = _ms(since)
    return [
        StreamedOrder(symbol, first + n * _SECOND + 250, first + (n + 1) * _SECOND, side, price, (n + 1) / 1000)
        for n in range(seconds)
    ]
