"""The forms for how one likes it: zone, looks, keys, highlights. They are kept for the person, in every browser."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from logferry.errors import Refused
from logferry.limits import HIGHLIGHTS_MAX
from logferry.web.pages.forms import back_to
from logferry.web.pages.guard import Visit
from logferry.web.pages.looks import remember_looks
from logferry.web.pages.me import me_page, refusal_of
from logferry.web.pages.shell import root_of
from logferry.web.pages.sign_in import Form, own_page
from logferry.web.preferences import CHOICES, Highlight, Preferences, change_highlights, change_preferences
from logferry.web.zone import ZONE_COOKIE


def zone(visit: Visit, form: Form) -> Response:
    """``POST /me/zone``; what the top bar said for this session ends."""
    change_preferences(visit.request, visit.who, {"zone": form.get("zone", "")})
    response = back_to(visit, "/me", said="zone")
    response.delete_cookie(ZONE_COOKIE, path=f"{root_of(visit.request)}/", samesite="lax")
    return response


def looks(visit: Visit, form: Form) -> Response:
    """``POST /me/looks``: theme, density, keys."""
    change_preferences(visit.request, visit.who, {name: form[name] for name in CHOICES if name in form})
    return back_to(visit, "/me", said="looks")


def theme(visit: Visit, form: Form) -> Response:
    """``POST /theme``: from the top bar, back to where it was. The sign-in page may be the next to be seen."""
    chosen = form.get("theme", "")
    change_preferences(visit.request, visit.who, {"theme": chosen})
    root = root_of(visit.request)
    response = RedirectResponse(root + own_page(form.get("next", "/")), 303)
    remember_looks(visit.request, response, Preferences(theme=chosen), root)
    return response


def highlights(visit: Visit, form: Form) -> Response:
    """``POST /me/highlights``: all of them; those without a word go."""
    rows = (_row(form, number) for number in range(HIGHLIGHTS_MAX))
    typed = [row for row in rows if row.word]
    try:
        change_highlights(visit.request, visit.who, typed)
    except Refused as error:
        return me_page(visit, refusal_of(error), error.http_status, typed)
    return back_to(visit, "/me", said="highlights")


def _row(form: Form, number: int) -> Highlight:
    return Highlight(form.get(f"word{number}", ""), form.get(f"colour{number}", ""), f"exact{number}" in form)
