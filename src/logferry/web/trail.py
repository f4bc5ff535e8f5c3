"""The audit of the web: every change, and every way to read, becomes an entry here, before its answer goes out (of a
search before its end does).

One rule for all routes, so that none is forgotten: a request that may change something is a change unless ``DEEDS``
says what else it is, a request that reads is noted if ``DEEDS`` names it. Routes that know more than their address
tells (which file, which query) add it with ``note``. A deed that was refused as not permitted is noted too, and so is
a change that was made before its answer failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
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
HALF_IN = "session.password"
"""The action of who has shown the right password and not yet the code that it takes as well."""
_QUERY_NOTED = frozenset({"q", "agent", "path", "f", "fid", "from", "to", "case", "format", "kind", "who", "user"})
"""Parameters of an address that say what was asked for; none of them is a secret."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route does, as the audit calls it. ``once``: going on with it is no deed of its own. ``if_told``: it is
    one only where the route notes of what."""

    kind: Kind
    action: str
    once: bool = False
    if_told: bool = False


DEEDS: dict[tuple[str, str], Rule | None] = {
    ("GET", f"{_API}/files/{{fid}}/lines"): Rule("read", "file.read", once=True),
    ("GET", f"{_API}/files/{{fid}}/kept"): Rule("read", "file.read", once=True),
    ("GET", f"{_API}/files/{{fid}}/text"): Rule("read", "file.read", once=True),
    ("GET", "/view/{agent}/{path:path}"): Rule("read", "file.read", once=True, if_told=True),
    ("GET", f"{_API}/merged"): Rule("read", "file.read", once=True),
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
    ("GET", "/login/oidc/back"): Rule("sign-in", "session.begin"),
    ("POST", "/login/oidc/logout"): Rule("sign-in", "session.end"),
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
    ("POST", "/zone"): None,
}
"""(method, path as routes have it) -> what it is; None: nothing that is noted."""


_KNOWN = [(method, compile_path(path)[0], rule) for (method, path), rule in DEEDS.items()]


def rule_of(method: str, path: str, template: str = "") -> Rule | None:
    """What a request is for the audit, by its path below the root of the program; None: it is not noted.

    ``template``: the path as the route has it; whoever asks cannot choose it, so a change without a name has it.
    """
    for known, pattern, rule in _KNOWN:
        if known == method and pattern.match(path):
            return rule
    if method in _SAFE:
        return None
    return Rule("change", f"{method} {(template or path).removeprefix(_API)}")


def note(
    request: Request,
    *,
    action: str = "",
    target: str = "",
    who: str = "",
    proven: str = "",
    skip: bool = False,
    **detail: Any,
) -> None:
    """What a route knows of its deed: on what, and anything worth telling. Never a secret.

    Args:
        action: what it is called, for changes: ``user.add``.
        who: for requests that come from nobody yet.
        proven: whose right password came with it: a refusal after that is one of theirs, not one of the address.
        skip: it turned out to be no deed.
    """
    told = request.scope.setdefault("state", {}).setdefault(_NOTE, {"detail": {}})
    told["skip"] = skip
    told["detail"].update(detail)
    for name, value in (("action", action), ("target", target), ("who", who), ("proven", proven)):
        if value:
            told[name] = value


def note_agent_change(request: Request, agent: str, values: Mapping[str, object]) -> None:
    """Quotas or zone of an agent were set; None is the settings' value, which the entry says, too."""
    told: dict[str, Any] = {name: "default" if value is None else value for name, value in values.items()}
    note(request, action="agent.change", target=agent, **told)


def note_at_once(request: Request, audit: Audit) -> None:
    """Make the deed of a request that succeeded an entry now, in this thread: the middleware has no more to do."""
    told = request.scope.setdefault("state", {}).setdefault(_NOTE, {"detail": {}})
    deed = _deed(request.scope, 200)
    if deed is not None:
        audit.note(deed)
    told["skip"] = True


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
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal writing, has_begun
            if message["type"] == "http.response.start":
                has_begun = True
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
        except Exception:
            # A bug: it is answered further out, and what was changed before it has been changed.
            deed = None if has_begun else _deed(scope, 500)
            if deed is not None:
                await run_in_threadpool(self._audit.note, deed)
            raise
        finally:
            if writing is not None:
                await asyncio.shield(writing)


def _deed(scope: Scope, status: int) -> Deed | None:
    method, path = scope["method"], _path(scope)
    template = _template(scope, path)
    rule = rule_of(method, path, template)
    state = scope.get("state", {})
    told: dict[str, Any] = state.get(_NOTE, {"detail": {}})
    if rule is None or told.get("skip") or status == 304 or (rule.if_told and not told.get("target")):
        return None
    action = told.get("action") or rule.action
    is_let_in = action == HALF_IN
    is_refused = status in (401, 403) and not is_let_in
    # A change that has its name has been made, whatever became of the answer.
    has_failed = status >= 400 and not is_refused and not is_let_in
    if has_failed and not (rule.kind == "change" and told.get("action")):
        return None
    who: Identity | None = state.get("identity")
    if who is None and is_refused and rule.kind != "sign-in":
        return None  # a stranger at the door has done nothing
    request = Request(scope)
    asked = request.query_params
    detail: dict[str, Any] = {k: asked[k] if len(asked.getlist(k)) == 1 else asked.getlist(k) for k in asked}
    detail = {k: v for k, v in detail.items() if k in _QUERY_NOTED} | told["detail"]
    target = told.get("target") or "/".join(str(v) for v in (scope.get("path_params") or {}).values())
    if rule.kind == "search":
        target = target or str(detail.pop("q", "")) or "every line"
    if is_refused or has_failed:
        detail["refused" if is_refused else "failed"] = status
    address = request.client.host if request.client else ""
    if is_let_in or (is_refused and rule.kind == "sign-in"):
        # Guesses are one for each address, and for each person once the password was right: nobody fills the audit.
        again = f"refused {told.get('proven', '')} {address}"
    elif is_refused:
        again = f"refused {method} {template}"
    else:
        again = _again(rule, target, detail, status)
    return Deed(
        kind=rule.kind,
        action=action,
        target=target,
        who=who.name if who else told.get("who", ""),
        role=who.role if who else "",
        via=_via(who),
        address=address,
        request_id=str(state.get("request_id", "")),
        detail=detail,
        again=again,
    )


def _again(rule: Rule, target: str, detail: dict[str, Any], status: int) -> str:
    """Under what a deed is known: going on with it is no other one. Empty: each is told."""
    if rule.once and rule.kind == "search":
        return f"{target} {sorted(detail.items())}"
    # Only a file has parts that are asked for one by one; elsewhere a range is what the client says, and means nothing.
    if rule.once or (rule.action == "file.download" and status == 206):
        files = json.dumps(detail.get("files", [])).encode("ascii")
        return f"{target} {detail.get('gen', '')} {hashlib.sha256(files).hexdigest()}"
    return ""


def _via(who: Identity | None) -> str:
    if who is None:
        return ""
    return f"token {who.token}" if who.token else "session"


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _template(scope: Scope, path: str) -> str:
    """The path as its route has it: with the names of parameters in place of what was asked for."""
    route = getattr(scope.get("route"), "path", "")
    if route:
        return str(route)
    for name, value in (scope.get("path_params") or {}).items():
        before, found, after = path.rpartition(f"/{value}")
        path = f"{before}/{{{name}}}{after}" if found else path
    return path
