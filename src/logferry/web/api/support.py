"""``/system/support-bundle``: what somebody who helps has to know of this server, without secrets."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import Response

from logferry.server.first_run import loaded_config
from logferry.server.support import Subject, bundle
from logferry.web.auth import Context, WholeAdministrator
from logferry.web.context import WebContext
from logferry.web.metrics import REGISTRY
from logferry.web.trail import note

router = APIRouter(tags=["system"])
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/system/support-bundle", response_class=Response, responses=_ZIP)
def support_bundle(request: Request, context: Context, _who: WholeAdministrator, hide_names: bool = False) -> Response:
    """A zip with versions, settings (secrets masked), findings of doctor, metrics, sizes and the newest log lines."""
    return answer(request, context, hide_names=hide_names)


def answer(request: Request, context: WebContext, *, hide_names: bool) -> Response:
    """For the route and the page."""
    subject = Subject(
        loaded_config(context.config), context.catalog, context.archive, generate_latest(REGISTRY).decode()
    )
    data = bundle(subject, hide_names=hide_names, clock=context.clock)
    note(request, action="support.bundle", hide_names=hide_names, bytes=len(data))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(context.clock.now_ns() / 1e9))
    name = f"logferry-support-{stamp}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type="application/zip", headers=headers)
