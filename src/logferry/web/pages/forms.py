"""Forms for people who are signed in: who sends it, whether it is their own page's, and the answer as a page."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from logferry import settings
from logferry.errors import Refused
from logferry.web import auth
from logferry.web.pages.guard import Visit, answered, to_sign_in, who_asks
from logferry.web.pages.shell import Shell
from logferry.web.pages.sign_in import Form, FormEndpoint, form_endpoint
from logferry.web.trail import note

Work = Callable[[Visit, Form], Response]


def guarded_form(shell: Shell, work: Work) -> FormEndpoint:
    """The endpoint of a form that changes something: with a session, and with the CSRF token of that session."""

    def checked(shell: Shell, request: Request, form: Form) -> Response:
        who = who_asks(shell, request)
        if who is None:
            note(request, skip=True)  # nobody changed anything
            return to_sign_in(request)

        def done() -> Response:
            auth.check_csrf(who, form.get("csrf", ""))
            return work(Visit(request, who, shell), form)

        return answered(shell, request, who, done)

    return form_endpoint(shell, checked)


def back_to(visit: Visit, path: str, **query: object) -> Response:
    """Where the browser goes when the work is done, so that a reload does not do it again."""
    return RedirectResponse(visit.link(path, **query), 303)


def managed_by(visit: Visit) -> None:
    """Raises NotPermitted unless this is an administrator who sees all of the archive."""
    visit.who.require("admin")
    visit.who.require_whole()


def whole_number(text: str, what: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
    """The number in a field. Raises Refused."""
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise Refused(f"{what}: {text[:20]!r} is not a number that is meant here", hint=f"write a number from {least}")
    return int(text)


def bound(text: str, what: str) -> int | None:
    """A quota as people write it: ``200 GB``, ``none``; empty: that of the settings. Raises Refused."""
    text = text.strip()
    if not text:
        return None
    if text.lower() == "none":
        return 0
    if what == "bytes":
        return settings.size_bytes(text)
    return whole_number(text.replace(",", ""), what)


def span_s(text: str) -> float | None:
    """A duration as people write it (``90 m``, ``1d``); empty: None. Raises Refused."""
    text = text.strip()
    return settings.duration_s(text) if text else None


def words_in(text: str) -> list[str]:
    """What stands between blanks and commas."""
    return text.replace(",", " ").split()
