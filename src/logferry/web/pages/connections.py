"""``/admin/connections``: who is connected over FTP and what they do, and an end to it."""

from __future__ import annotations

from starlette.responses import Response

from logferry.errors import Later, LogferryError
from logferry.web.callers import Caller, callers, end_caller
from logferry.web.pages import words
from logferry.web.pages.forms import back_to, managed_by, whole_number
from logferry.web.pages.guard import Visit
from logferry.web.pages.retention import Said
from logferry.web.pages.sign_in import Form

PAGE = "/admin/connections"


def connections(visit: Visit) -> Response:
    """The page, which goes on by itself where scripts run."""
    managed_by(visit)
    done = visit.asked("done") == "ended"
    return _page(
        visit, said=Said("info", "The connection is ended; an agent connects again by itself.") if done else None
    )


def _page(visit: Visit, *, status: int = 200, said: Said | None = None) -> Response:
    found: list[Caller] = []
    away: LogferryError | None = None
    try:
        found = callers(visit.context)
    except Later as error:  # the page stands without it and says why
        away = error
    return visit.page(
        "connections.html",
        status=status,
        said=said,
        callers=found,
        busy=sum(1 for one in found if one.session.doing != "idle"),
        agents=len({one.agent for one in found if one.agent}),
        away=Said("bad", words.sentence(away.message), words.sentence(away.hint)) if away else None,
    )


def ended(visit: Visit, form: Form) -> Response:
    """``POST /admin/connections/end``"""
    managed_by(visit)
    try:
        end_caller(visit.request, visit.who, whole_number(form.get("session", ""), "session"))
    except LogferryError as error:
        said = Said("bad", words.sentence(error.message), words.sentence(error.hint))
        return _page(visit, status=error.http_status, said=said)
    return back_to(visit, PAGE, done="ended")
