"""What stands before the service's answers: who may ask, how much, and how many at once.

A pure ASGI layer. It reads a request whole, within bounds, before anything parses it; what it refuses never gets further.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from pipeline.artifacts import json_line
from pipeline.exposition import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset(("/healthz", "/readyz"))
"""What is answered without a token and however many requests wait."""

N_TIMES_HEARD = 4
"""A request that is too large is let finish up to so many times the limit, and cut off beyond."""


class Gate:
    """Wraps an ASGI application. `hosts` None allows every Host header; `token` None asks for none."""

    def __init__(
        self, app: App, *, hosts: Collection[str] | None, token: str | None, max_bytes: int, max_waiting: int, timeout_s: float, metrics: Metrics
    ):  # fmt: skip
        self.app, self.hosts, self.token = app, hosts, token
        self.max_bytes, self.max_waiting, self.timeout_s = max_bytes, max_waiting, timeout_s
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {
                    **message,
                    "headers": [*message["headers"], *_SAFE, *(_CLOSE if self.metrics.is_draining else ())],
                }
            await send(message)

        self.metrics.n_in_flight += 1
        try:
            await self._admit(scope, receive, answer)
        finally:
            self.metrics.n_in_flight -= 1
            self.metrics.count_request(scope["path"], status, time.monotonic() - began)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.hosts is not None and _host_name(headers.get(b"host", b"")) not in self.hosts:
            await _refuse(send, 403, "foreign_host", "this Host is not served; add it to hosts in configs/serve.yaml")
        elif scope["path"] not in OPEN_PATHS and not self._is_known(headers):
            await _refuse(
                send, 401, "no_token", "send the header 'Authorization: Bearer TOKEN'", (b"www-authenticate", b"Bearer")
            )
        elif scope["path"] not in OPEN_PATHS and self.metrics.n_in_flight > self.max_waiting:
            await _refuse(send, 503, "busy", "too many requests wait; come back in a second", (b"retry-after", b"1"))
        else:
            await self._read(scope, receive, send, headers)

    def _is_known(self, headers: dict[bytes, bytes]) -> bool:
        if self.token is None:
            return True
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), self.token.encode())

    async def _read(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        stated = headers.get(b"content-length", b"0")
        is_large = stated.isdigit() and (len(stated) > 18 or int(stated) > self.max_bytes)
        body, n_read = bytearray(), 0
        try:
            async with asyncio.timeout(self.timeout_s):
                while (message := await receive())["type"] == "http.request":
                    body += message.get("body", b"")
                    n_read += len(message.get("body", b""))
                    if is_large or n_read > self.max_bytes:
                        is_large = True
                        body.clear()  # read on a little, so that the client hears the answer
                    if not message.get("more_body", False) or n_read > N_TIMES_HEARD * self.max_bytes:
                        break
                else:
                    return  # the client has gone
        except TimeoutError:
            await _refuse(send, 408, "slow", "the request took too long to arrive")
            return
        if is_large:
            await _refuse(send, 413, "too_large", f"over {self.max_bytes:,} bytes; send fewer articles at a time")
            return
        rest = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def received() -> Message:
            return rest.pop() if rest else await receive()

        await self.app(scope, received, send)


_SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_CLOSE = ((b"connection", b"close"),)


def _host_name(host: bytes) -> str:
    """The name in a Host header, without the port; an IPv6 address without its brackets."""
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        name, closing, _ = text[1:].partition("]")
        return name if closing else ""
    return text.partition(":")[0]


async def _refuse(send: Send, status: int, reason: str, message: str, *headers: tuple[bytes, bytes]) -> None:
    body = json_line({"error": {"reason": reason, "message": message}})
    length = (b"content-length", str(len(body)).encode())
    close = () if status in (401, 403, 503) else _CLOSE
    shown = [(b"content-type", b"application/json"), length, *headers, *close]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body})
