"""Middleware around every request: request id and log line, security headers, body limit. Plain ASGI, in one order.

The order is fixed in ``app.create_app``: log (outermost) -> headers -> host -> body limit -> audit (``trail``) ->
routes. Streams pass through untouched.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logferry.limits import BODY_BYTES_MAX
from logferry.web.metrics import REQUEST_S, REQUESTS
from logferry.web.problem import problem

log = structlog.get_logger("logferry.web")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
RAW_SECURITY_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For bytes that somebody else wrote: nothing in them may run, load or be framed."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class RequestLog:
    """Gives each request an id, answers with it, writes one structured line when the answer is out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        seen: dict[str, Any] = {"status": 0, "bytes": 0}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            elif message["type"] == "http.response.body":
                seen["bytes"] += len(message.get("body", b""))
            await send(message)

        start_s = time.perf_counter()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("request failed", **_facts(scope, request_id))
            raise
        finally:
            took_s = time.perf_counter() - start_s
            # A client may call its method anything, and each label is kept for good.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(method, str(seen["status"])).inc()
            REQUEST_S.observe(took_s)
            log.info("request", **_facts(scope, request_id), **seen, ms=round(took_s * 1000, 1))


def _facts(scope: Scope, request_id: str) -> dict[str, Any]:
    # The path alone: a query string may hold a set-up code.
    client = scope.get("client")
    return {
        "request_id": request_id,
        "method": scope["method"],
        "path": scope["path"],
        "client": client[0] if client else "",
        "who": scope.get("state", {}).get("who", ""),
    }


class SecurityHeaders:
    """Sets the headers that keep hostile content inert; a route may set a stricter policy of its own."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if self._https:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await self._app(scope, receive, with_headers)


class KnownHost:
    """Refuses requests whose ``Host`` is no host: no address can be made of it, nor compared with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        found = _HOST.fullmatch(host)
        if host and (found is None or int(found["port"] or 0) > 65535):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            request = Request({**scope, "headers": others})
            await problem(request, 400, "the Host header names no host", hint="send the server's name")(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies over ``BODY_BYTES_MAX``, by their announced length or as they arrive."""

    def __init__(self, app: ASGIApp, *, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._detail = f"the body is larger than {bytes_max:,} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._bytes_max:
            await self._refuse(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            if message["type"] == "http.request":
                arrived += len(message.get("body", b""))
                if arrived > self._bytes_max:
                    # The one kind of exception that the framework lets out of the reading of a body.
                    raise HTTPException(413, self._detail, headers={"Connection": "close"})
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(Request(scope), 413, self._detail, hint="send less", headers={"Connection": "close"})
        await response(scope, receive, send)
