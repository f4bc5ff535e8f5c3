"""Theme and density of a page: as the person says, else as this browser looked last, which the sign-in page needs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from logferry.web import auth
from logferry.web.preferences import CHOICES, Preferences

_COOKIES = {"theme": "logferry_theme", "density": "logferry_density"}
_YEAR_S = 365 * 86400


def shown_looks(request: Request, preferences: Preferences) -> dict[str, str]:
    """``theme`` and ``density`` of a page for whoever has these preferences."""
    return {name: _said(preferences, name) or _remembered(request, name) for name in _COOKIES}


def remember_looks(request: Request, response: Response, preferences: Preferences, root: str) -> None:
    """Let the browser remember what it does not know already. ``root``: the sub-path of the program."""
    for name, cookie in _COOKIES.items():
        said = _said(preferences, name)
        if said and request.cookies.get(cookie) != said:
            https = auth.is_https(request)
            response.set_cookie(cookie, said, max_age=_YEAR_S, path=f"{root}/", secure=https, samesite="lax")


def _said(preferences: Preferences, name: str) -> str:
    return str(getattr(preferences, name))


def _remembered(request: Request, name: str) -> str:
    kept = request.cookies.get(_COOKIES[name], "")
    return kept if kept in CHOICES[name] else CHOICES[name][0]
