"""The audit of the web: every change, and every way to read, becomes an entry here, before its answer goes out (of a
search before its end does).

One rule for all routes, so that none is forgotten: a request that may change something is a change unless ``DEEDS``
says what else it is, a request that reads is noted if ``DEEDS`` names it. Routes that know more than their address
tells (which file, which query) add it with ``note``. A deed that was refused as not permitted is noted too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logferry.server.audit import Audit, Deed, Kind
from logferry.server.people import Identity

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/api/v1"
_NOTE = "audit"
_QUERY_NOTED = frozenset({"q", "agent", "path", "f", "fid", "from", "to", "case", "format", "kind", "who", "user"})
"""Parameters of an address that say what was asked for; none of them is a secret."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route does, as the audit calls it. ``once``: going on with it is no deed of its own."""

    kind: Kind
    action: str
    once: bool = False


DEEDS: dict[tuple[str, str], Rule | None] = {
    ("GET", f"{_API}/files/{{fid}}/lines"): Rule("read", "file.read", once=True),
    ("GET", f"{_API}/tail"): Rule("read", "file.read", once=True),
    ("GET", f"{_API}/files/{{fid}}/raw"): Rule("download", "file.download"),
    ("GET", f"{_API}/archive.{{form}}"): Rule("download", "archive.download"),
    ("POST", f"{_API}/archive.{{form}}"): Rule("download", "archive.download"),
    ("GET", f"{_API}/export"): Rule("download", "lines.export"),
    ("GET", f"{_API}/search"): Rule("search", "search"),
    ("POST", f"{_API}/searches"): Rule("search", "search"),
    ("GET", f"{_API}/search/count"): Rule("search", "search.count", once=True),
    ("GET", f"{_API}/search/histogram"): Rule("search", "search.count", once=True),
    ("GET", f"{_API}/search/facets"): Rule("search", "search.count", once=True),
    ("GET", f"{_API}/audit"): Rule("read", "audit.read", once=True),
    ("GET", "/admin/audit"): Rule("read", "audit.read", once=True),
    ("POST", "/admin/audit/verify"): Rule("read", "audit.verify"),
    ("POST", f"{_API}/sessions"): Rule("sign-in", "session.begin"),
    ("POST", f"{_API}/setup"): Rule("sign-in", "setup"),
    ("POST", "/login"): Rule("sign-in", "session.begin"),
    ("POST", "/login/code"): Rule("sign-in", "session.begin"),
    ("POST", "/setup"): Rule("sign-in", "setup"),
    ("DELETE", f"{_API}/sessions/current"): Rule("sign-in", "session.end"),
    ("POST", "/logout"): Rule("sign-in", "session.end"),
    # Not of the archive, or of nobody.
    ("POST", f"{_API}/query/parse"): None,
    ("POST", f"{_API}/retention/preview"): None,
    ("POST", f"{_API}/agents/{{agent_id}}/heartbeat"): None,
    ("DELETE", f"{_API}/searches/{{job_id}}"): None,
    ("POST", f"{_API}/searches/{{job_id}}/cancel"): None,
    ("POST", "/theme"): None,
    ("POST", "/me/looks"): None,
}
"""(method, path as routes have it) -> what it is; None: nothing that is noted."""


_KNOWN = [(method, compile_path(path)[0], rule) for (method, path), rule in DEEDS.items()]


def rule_of(method: str, path: str) -> Rule | None:
    """What a request is for the audit, by its path below the root of the program; None: it is not noted."""
    for known, pattern, rule in _KNOWN:
        if known == method and pattern.match(path):
            return rule
    if method in _SAFE:
        return None
    return Rule("change", f"{method} {path.removeprefix(_API)}")


def note(
    request: Request, *, action: str = "", target: str = "", who: str = "", skip: bool = False, **detail: Any
) -> None:
    """What a route knows of its deed: on what, and anything worth telling. Never a secret.

    Args:
        action: what it is called, for changes: ``user.add``.
        who: for requests that come from nobody yet.
        skip: it turned out to be no deed.
    """
    told = request.scope.setdefault("state", {}).setdefault(_NOTE, {"detail": {}})
    told["skip"] = skip
    told["detail"].update(detail)
    for name, value in (("action", action), ("target", target), ("who", who)):
        if value:
            told[name] = value


class AuditTrail:
    """Middleware, innermost: by the time the answer begins, the route is known and the deed is an entry."""

    def __init__(self, app: ASGIApp, *, audit: Audit) -> None:
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        writing: asyncio.Task[object] | None = None

        async def noted(message: Message) -> None:
            nonlocal writing
            if message["type"] == "http.response.start":
                deed = _deed(scope, message["status"])
                if deed is not None and deed.kind == "search":
                    # Hits are streamed as they are found, and shall not wait for a disk; the end of them does.
                    writing = asyncio.create_task(run_in_threadpool(self._audit.note, deed))
                elif deed is not None:
                    await run_in_threadpool(self._audit.note, deed)
            elif writing is not None and not message.get("more_body", False):
                await asyncio.shield(writing)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if writing is not None:
                await asyncio.shield(writing)


def _deed(scope: Scope, status: int) -> Deed | None:
    method = scope["method"]
    rule = rule_of(method, _path(scope))
    state = scope.get("state", {})
    told: dict[str, Any] = state.get(_NOTE, {"detail": {}})
    is_refused = status in (401, 403)
    if rule is None or told.get("skip") or status == 304 or (status >= 400 and not is_refused):
        return None
    who: Identity | None = state.get("identity")
    if who is None and is_refused and rule.kind != "sign-in":
        return None  # a stranger at the door has done nothing
    request = Request(scope)
    detail = {k: v for k, v in request.query_params.items() if k in _QUERY_NOTED} | told["detail"]
    target = told.get("target") or "/".join(str(v) for v in scope.get("path_params", {}).values())
    if rule.kind == "search":
        target = target or str(detail.pop("q", "")) or "every line"
    if is_refused:
        detail["refused"] = status
    is_part = "range" in request.headers and rule.kind == "download"
    address = request.client.host if request.client else ""
    return Deed(
        kind=rule.kind,
        action=told.get("action") or rule.action,
        target=target,
        who=who.name if who else told.get("who", ""),
        role=who.role if who else "",
        via=_via(who),
        address=address,
        request_id=str(state.get("request_id", "")),
        detail=detail,
        again=_again(rule, target, detail, address, is_part=is_part, is_refused=is_refused),
    )


def _again(rule: Rule, target: str, detail: dict[str, Any], address: str, *, is_part: bool, is_refused: bool) -> str:
    """Under what a deed is known. Guesses of a password are one for each address: they must not fill the audit."""
    if rule.kind == "sign-in" and is_refused:
        return f"refused {address}"
    if rule.kind == "search":
        return f"{target} {sorted(detail.items())}" if rule.once else ""
    if rule.once or is_part:
        return f"{target} {detail.get('gen', '')}"
    return ""


def _via(who: Identity | None) -> str:
    if who is None:
        return ""
    return f"token {who.token}" if who.token else "session"


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
