"""The web application, assembled in one place: routes, middleware in their order, error handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

import logferry
from logferry.errors import LogferryError, NotFound
from logferry.limits import SEARCH_JOBS_SWEEP_S
from logferry.server.heartbeats import AgentPasswords
from logferry.web import api, docs, pages, problem
from logferry.web.api.heartbeat import Nurse
from logferry.web.api.system import plain
from logferry.web.context import WebContext
from logferry.web.foremost import Foremost
from logferry.web.jobs import Jobs
from logferry.web.pages.assets import Assets
from logferry.web.searching import Slots
from logferry.web.security import BodyLimit, KnownHost, RequestLog, SecurityHeaders
from logferry.web.streams import Streams
from logferry.web.throttle import SignInThrottle
from logferry.web.trail import AuditTrail

_DESCRIPTION = (
    "Files, lines, search and live tails of the archive. Sign in for a session cookie (changes then need X-CSRF-Token) "
    "or send Authorization: Bearer. Errors are RFC 9457 problems with request_id and hint; lists have items and next; "
    "times are RFC 3339 in UTC."
)


def create_app(context: WebContext) -> FastAPI:
    """The application on the given parts. It owns none of them: whoever made them closes them."""
    app = FastAPI(
        title="Logferry",
        description=_DESCRIPTION,
        version=logferry.__version__,
        openapi_url=f"{api.PREFIX}/openapi.json",
        docs_url=None,  # the framework's pages load their parts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[
            Middleware(RootPath, root_path=context.config.web.root_path),
            Middleware(Foremost, precedence=context.search.precedence),
            Middleware(RequestLog),
            Middleware(SecurityHeaders, https=context.config.web.secure),
            Middleware(KnownHost),
            Middleware(BodyLimit),
            Middleware(AuditTrail, audit=context.audit),
        ],
        exception_handlers={
            LogferryError: problem.on_logferry_error,
            HTTPException: problem.on_http_exception,
            RequestValidationError: problem.on_validation_error,
            Exception: problem.on_bug,
        },
        responses={"default": {"description": "a problem", "content": {problem.MEDIA_TYPE: {}}}},
    )
    app.state.context = context
    app.state.throttle = SignInThrottle(context.clock)
    app.state.code_throttle = SignInThrottle(context.clock)
    app.state.oidc_throttle = SignInThrottle(context.clock)
    app.state.logout_throttle = SignInThrottle(context.clock)
    app.state.nurse = Nurse(AgentPasswords(context.catalog), SignInThrottle(context.clock))
    app.state.searches = slots = Slots(context.clock)
    app.state.jobs = Jobs(context.search, slots, context.clock)
    assets = Assets()
    # Before all others: of these a page asks for dozens at once, and routes are looked through one by one.
    app.router.routes.insert(0, Mount("/static", assets))
    app.include_router(api.router())
    app.include_router(plain)
    app.add_route("/api", docs.docs_page, include_in_schema=False)
    app.add_route("/api/{rest:path}", _nothing, include_in_schema=False)
    app.router.routes.extend(pages.routes(context, assets.version))
    return app


def _nothing(request: Request) -> Response:
    raise NotFound(f"there is nothing at {request.url.path}", hint="/api lists all there is")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.streams = streams = Streams()
    jobs: Jobs = app.state.jobs
    sweeping = asyncio.create_task(_sweep(jobs))
    try:
        yield
    finally:
        sweeping.cancel()
        streams.stop()
        await run_in_threadpool(jobs.close)
        streams.close()


async def _sweep(jobs: Jobs) -> None:
    while True:
        await asyncio.sleep(SEARCH_JOBS_SWEEP_S)
        jobs.sweep()


class RootPath:
    """Serves the program below a path, whether the proxy in front takes that path away or not."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = self._root_path
        if root and scope["type"] in ("http", "websocket"):
            path = scope["path"]
            if path != root and not path.startswith(f"{root}/"):
                path = root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)
