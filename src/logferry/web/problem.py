"""Errors as the browser, the command line and other programs get them: RFC 9457 problems with a request id.

One table: a ``LogferryError`` knows its own status; a framework error keeps its own; anything else is a bug and becomes
a 500 that says nothing but its request id, under which the log has the traceback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from logferry.errors import BadQuery, Busy, LogferryError, NotSignedIn, SecondFactorNeeded

MEDIA_TYPE = "application/problem+json"


def request_id(request: Request) -> str:
    """The id of this request, as the answer's ``X-Request-Id`` and the log carry it."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem document: ``{type, title, status, detail, hint, instance, request_id, ...}``."""
    body = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": detail,
        "hint": hint,
        "instance": request.url.path,
        "request_id": request_id(request),
        **more,
    }
    text = json.dumps(body, ensure_ascii=True)  # a lone surrogate in a name must not break the answer
    return Response(text, status, dict(headers or {}), MEDIA_TYPE)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def from_error(request: Request, error: LogferryError) -> Response:
    """The problem for one of our own errors; a query error also has its ``column`` (1-based),
    a sign-in that lacks the code of a second factor ``second_factor``."""
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    if isinstance(error, BadQuery):
        more["column"] = error.column
    if isinstance(error, Busy):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, SecondFactorNeeded):
        more["second_factor"] = True
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="logferry"'
    return problem(request, error.http_status, error.message, hint=error.hint, headers=headers, **more)


async def on_logferry_error(request: Request, error: Exception) -> Response:
    """Exception handler for ``LogferryError``."""
    assert isinstance(error, LogferryError)
    return from_error(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for the framework's own 404, 405 and the like."""
    assert isinstance(error, HTTPException)
    hint = "send less" if error.status_code == 413 else "/api lists all there is"
    return problem(request, error.status_code, str(error.detail), hint=hint, headers=error.headers)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Exception handler for parameters and bodies of the wrong shape: 400, naming each."""
    assert isinstance(error, RequestValidationError)
    wrong = [{"where": ".".join(str(part) for part in e["loc"]), "what": str(e["msg"])} for e in error.errors()[:20]]
    detail = "; ".join(f"{w['where']}: {w['what']}" for w in wrong)
    return problem(request, 400, detail, hint="see /api for every parameter and its range", errors=wrong)


async def on_bug(request: Request, _error: Exception) -> Response:
    """Exception handler for everything unforeseen; the log has the traceback under the same request id."""
    return problem(request, 500, "the server failed on this request", hint="look in the server's log for request_id")
