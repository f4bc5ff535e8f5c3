"""The rule by which requests become entries of the audit: what was changed is told whatever became of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from logferry.archive.catalog import Catalog
from logferry.clock import SYSTEM
from logferry.errors import Later, LogferryError
from logferry.server.audit import Audit, AuditFilter
from logferry.server.people import Identity
from logferry.server.scope import Scope
from logferry.web.trail import AuditTrail, note


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A new one."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", SYSTEM) as catalog:
        yield catalog


@pytest.fixture
def client(catalog: Catalog) -> Iterator[TestClient]:
    """Changes as ann makes them: ``/made/{how}`` notes it and then does as told, ``/none`` fails before."""

    async def made(request: Request) -> Response:
        request.scope.setdefault("state", {})["identity"] = Identity(1, "ann", "admin", Scope(), "session")
        how = request.path_params["how"]
        if how != "none":
            note(request, action="user.add", target=how)
        if how == "later":
            raise Later("busy just now")
        if how == "bug":
            raise RuntimeError("a bug")
        return JSONResponse({}, {"conflict": 409, "none": 500}.get(how, 200))

    async def on_error(_request: Request, _error: Exception) -> Response:
        return JSONResponse({}, 503)

    app = Starlette(
        routes=[Route("/made/{how}", made, methods=["POST"])],
        middleware=[Middleware(AuditTrail, audit=Audit(catalog))],
        exception_handlers={LogferryError: on_error},
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_change_is_told_whatever_became_of_its_answer(client: TestClient, catalog: Catalog) -> None:
    """Also after a bug; what failed before anything was changed is no entry."""
    statuses = [client.post(f"/made/{how}").status_code for how in ("well", "conflict", "later", "bug", "none")]
    assert statuses == [200, 409, 503, 500, 500]
    rows = list(catalog.auditing.each(AuditFilter()))
    assert [(row.who, row.action, row.target, json.loads(row.detail)) for row in reversed(rows)] == [
        ("ann", "user.add", "well", {}),
        ("ann", "user.add", "conflict", {"failed": 409}),
        ("ann", "user.add", "later", {"failed": 503}),
        ("ann", "user.add", "bug", {"failed": 500}),
    ]
