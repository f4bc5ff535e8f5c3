"""What is one's own: password, second factor, sessions, API tokens. The forms for how one likes it: ``preferences``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import segno
from starlette.responses import Response

from logferry.archive.records import TokenRecord
from logferry.errors import LogferryError, Refused
from logferry.limits import HIGHLIGHT_CHARS_MAX, HIGHLIGHTS_MAX, PASSWORD_CHARS_MIN, TOKENS_PER_USER_MAX
from logferry.server.people import Identity, session_id_of
from logferry.server.scope import ROLES, at_least
from logferry.server.totp import otpauth_uri
from logferry.web import managing
from logferry.web.pages import words
from logferry.web.pages.forms import back_to
from logferry.web.pages.guard import Visit
from logferry.web.pages.scopes import scope_in
from logferry.web.pages.sign_in import Form
from logferry.web.preferences import COLOURS, Highlight
from logferry.web.zone import all_zones

DAY_S = 86400.0
LASTING = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))
"""How long a token may last: days, words."""
BLANK_ROWS = 3
"""Empty rows below one's highlights: without script a form gets no longer."""
SAID = {
    "password": ("Your password is changed", "You stay signed in here; your other sessions are over."),
    "on": ("Signing in takes a code from now on", ""),
    "off": ("The second factor is off", "Your password alone is enough again."),
    "ended": ("The session is over", ""),
    "all-ended": ("Your other sessions are over", ""),
    "revoked": ("The token is worthless from now on", ""),
    "zone": ("Times are shown as you like", "In every browser you sign in with."),
    "looks": ("As you like it", "In every browser you sign in with."),
    "highlights": ("Your highlights are kept", "They are marked in every log that you read, in every browser."),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A notice above a page."""

    tone: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code as the path of an SVG: ``size`` modules wide, with the quiet margin that scanners need."""

    path: str
    size: int


def said_of(visit: Visit, known: dict[str, tuple[str, str]] = SAID) -> Said | None:
    """The notice that the address asks for."""
    found = known.get(visit.asked("said"))
    return Said("info", *found) if found else None


def refusal_of(error: LogferryError) -> Said:
    """The notice for what was refused."""
    return Said("bad", words.sentence(error.message), words.sentence(error.hint))


def me(visit: Visit) -> Response:
    """``/me``"""
    return me_page(visit, said_of(visit))


def me_page(visit: Visit, said: Said | None, status: int = 200, typed: Sequence[Highlight] | None = None) -> Response:
    """The page with a notice; ``typed``: highlights that were refused, to be mended."""
    people = visit.context.people
    row = visit.context.catalog.people.user(visit.who.name)
    sessions = [
        {"row": one, "id": session_id_of(one), "current": one.key_hash == visit.who.session}
        for one in (people.sessions(visit.who.name) if visit.who.via == "session" else [])
    ]
    highlights = visit.preferences.highlights or () if typed is None else typed
    ends = min(len(highlights) + BLANK_ROWS, HIGHLIGHTS_MAX)
    blank = [Highlight("", COLOURS[at % len(COLOURS)]) for at in range(len(highlights), ends)]
    return visit.page(
        "me.html", status=status, said=said, row=row, sessions=sessions, password_min=PASSWORD_CHARS_MIN,
        browser_of=browser_of, zones=all_zones(), highlights=[*highlights, *blank], colours=COLOURS,
        word_max=HIGHLIGHT_CHARS_MAX, highlights_max=HIGHLIGHTS_MAX,
    )  # fmt: skip


def new_password(visit: Visit, form: Form) -> Response:
    """``POST /me/password``"""
    try:
        if form.get("new", "") != form.get("again", ""):
            raise Refused("the two new passwords differ", hint="type the same one twice")
        managing.change_own_password(visit.request, visit.who, form.get("current", ""), form.get("new", ""))
    except LogferryError as error:
        return me_page(visit, refusal_of(error), error.http_status)
    return back_to(visit, "/me", said="password")


def end_session(visit: Visit, form: Form) -> Response:
    """``POST /me/sessions/end``: one of them, or all others."""
    managing.refuse_tokens(visit.who, "ends no sessions")
    if form.get("id"):
        managing.end_session(visit.request, form["id"], user_id=visit.who.user_id)
        return back_to(visit, "/me", said="ended")
    managing.end_sessions(visit.request, visit.who.name, but=visit.who.session)
    return back_to(visit, "/me", said="all-ended")


# The second factor ---------------------------------------------------------------------------------------------------


def second_factor(visit: Visit, form: Form) -> Response:
    """``POST /me/second-factor``: the password was typed; show the QR code and ask for the first code."""
    try:
        secret = managing.begin_second_factor(visit.request, visit.who, form.get("password", ""))
    except LogferryError as error:
        return me_page(visit, refusal_of(error), error.http_status)
    return _enrol(visit, secret, None)


def confirmed(visit: Visit, form: Form) -> Response:
    """``POST /me/second-factor/confirm``"""
    try:
        codes = managing.confirm_second_factor(visit.request, visit.who, form.get("code", ""))
    except LogferryError as error:
        people = visit.context.people
        begun = people.second.pending(people.get(visit.who.name))
        if begun:
            return _enrol(visit, begun, refusal_of(error), error.http_status)
        return me_page(visit, refusal_of(error), error.http_status)
    return visit.page("recovery_codes.html", codes=codes, said=Said("info", *SAID["on"]))


def other_codes(visit: Visit, form: Form) -> Response:
    """``POST /me/second-factor/recovery-codes``"""
    try:
        codes = managing.new_recovery_codes(visit.request, visit.who, form.get("password", ""))
    except LogferryError as error:
        return me_page(visit, refusal_of(error), error.http_status)
    return visit.page("recovery_codes.html", codes=codes, said=None)


def turned_off(visit: Visit, form: Form) -> Response:
    """``POST /me/second-factor/off``"""
    try:
        managing.turn_off_second_factor(visit.request, visit.who, form.get("password", ""))
    except LogferryError as error:
        return me_page(visit, refusal_of(error), error.http_status)
    return back_to(visit, "/me", said="off")


def _enrol(visit: Visit, secret: str, said: Said | None, status: int = 200) -> Response:
    uri = otpauth_uri(secret, name=visit.who.name, server=visit.request.url.netloc)
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return visit.page("second_factor.html", status=status, said=said, code=qr_code(uri), secret=groups, uri=uri)


def qr_code(text: str) -> Code:
    """The QR code of ``text``. Drawn by the page as a path: nothing of it is markup."""
    rows = [bytes(row) for row in segno.make(text, error="m", micro=False).matrix]
    steps = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            width = len(row[x:]) - len(row[x:].lstrip(b"\x01"))
            if width:
                steps.append(f"M{x + 4} {y + 4}h{width}v1h-{width}z")
            x += width or 1
    return Code("".join(steps), len(rows) + 8)


# Tokens --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token's row with its person."""

    row: TokenRecord
    user: str


def tokens(visit: Visit) -> Response:
    """``/me/tokens``"""
    return _tokens(visit, said_of(visit))


def _tokens(
    visit: Visit, said: Said | None, *, status: int = 200, secret: str = "", form: Form | None = None
) -> Response:
    shown = [ShownToken(row, visit.who.name) for row in visit.context.catalog.people.tokens(visit.who.user_id)]
    return visit.page(
        "tokens.html", status=status, said=said, secret=secret, tokens=shown,
        form=form or {}, lasting=LASTING, roles=roles_up_to(visit.who.role), tokens_max=TOKENS_PER_USER_MAX,
        address=f"{visit.request.url.scheme}://{visit.request.url.netloc}{visit.link('')}",
    )  # fmt: skip


def add_token(visit: Visit, form: Form) -> Response:
    """``POST /me/tokens``: the secret is shown once."""
    try:
        secret, _ = token_of(visit, visit.who, visit.who.name, form)
    except LogferryError as error:
        return _tokens(visit, refusal_of(error), status=error.http_status, form=form)
    return _tokens(visit, None, secret=secret)


def token_of(visit: Visit, who: Identity, name: str, form: Form) -> tuple[str, TokenRecord]:
    """The token that a form asks for. Raises Refused, BadName, NotPermitted, TooLarge."""
    days = form.get("days", "90")
    if days not in dict(LASTING):
        raise Refused(f"{days[:20]!r} is not how long a token may last", hint="choose from the list")
    return managing.new_token(
        visit.request, who, name, label=form.get("name", ""), scope=scope_in(form), role=form.get("role", ""),
        ttl_s=float(days) * DAY_S if days else None, password=form.get("password", ""),
    )  # fmt: skip


def revoke_token(visit: Visit, form: Form) -> Response:
    """``POST /me/tokens/revoke``"""
    managing.revoke_token(visit.request, visit.who, token_id_in(form))
    return back_to(visit, "/me/tokens", said="revoked")


def token_id_in(form: Form) -> int:
    """The id of the token that a form names; 0, which none has, for what is no number."""
    text = form.get("id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def roles_up_to(role: str) -> list[str]:
    """The roles of people that ``role`` includes, the least first."""
    return [one for one in ROLES if one != "agent" and at_least(role, one)]


def browser_of(agent: str) -> str:
    """``Firefox on Linux`` for what a browser says of itself; its beginning where that is nothing known."""
    browsers = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
                ("Safari/", "Safari"), ("logferry/", "logferry command"), ("curl/", "curl"))  # fmt: skip
    systems = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
               ("Mac OS X", "macOS"), ("Linux", "Linux"))  # fmt: skip
    browser = next((name for part, name in browsers if part in agent), "")
    system = next((name for part, name in systems if part in agent), "")
    if not browser:
        return words.shown(agent[:40]) or "unknown"
    return f"{browser} on {system}" if system else browser
