"""The pages for strangers: set-up by one-time link, sign-in, sign-out; and the zone of a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from logferry.errors import Busy, LogferryError, NotSignedIn, Refused
from logferry.limits import FORM_FIELDS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from logferry.server.people import Identity, SignedIn
from logferry.web import auth, managing
from logferry.web.pages import words
from logferry.web.pages.guard import answered
from logferry.web.pages.joining import join_command
from logferry.web.pages.shell import Shell, root_of
from logferry.web.zone import ZONE_COOKIE, checked_choice

Form = dict[str, str]
FormEndpoint = Callable[[Request], Awaitable[Response]]
log = structlog.get_logger("logferry.web")
FIELD_CHARS_MAX = 4 * PASSWORD_CHARS_MAX


def form_endpoint(shell: Shell, work: Callable[[Shell, Request, Form], Response]) -> FormEndpoint:
    """The endpoint of a form: reads the fields on the event loop, works in a thread, refuses other sites' forms."""

    async def endpoint(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=FORM_FIELDS_MAX) as fields:
            form = {name: value[:FIELD_CHARS_MAX] for name, value in fields.items() if isinstance(value, str)}

        def checked() -> Response:
            auth.refuse_cross_site(request)
            return work(shell, request, form)

        return await run_in_threadpool(answered, shell, request, None, checked)

    return endpoint


def own_page(target: str) -> str:
    """``target`` if it is a page of this program ("/view/a/b?gen=1"), else "/"; never another site's address."""
    if not target.startswith("/") or target.startswith("//") or "\\" in target or not target.isprintable():
        return "/"
    parts = urlsplit(target)  # of a path it raises nothing
    return "/" if parts.scheme or parts.netloc else target


# Sign-in -------------------------------------------------------------------------------------------------------------


def login(shell: Shell, request: Request) -> Response:
    """``/login?next=``"""
    target = own_page(request.query_params.get("next", "/"))
    if auth.session_secret(request) and shell.context.people.session(auth.session_secret(request)):
        return RedirectResponse(root_of(request) + target, 303)
    if shell.context.enrolment.setup_needed():
        return nobody_yet(shell, request)
    reason = "Your session is over." if auth.session_secret(request) else ""
    return login_page(shell, request, target, reason=reason)


def nobody_yet(shell: Shell, request: Request) -> Response:
    """Before there is an administrator nobody else gets in."""
    hint = "`logferry admin setup-link` on the server makes a new one."
    error = "This server has no administrator yet: open the set-up link it printed when it started."
    return shell.page(request, "setup.html", usable=False, error=error, hint=hint)


def login_page(
    shell: Shell,
    request: Request,
    target: str,
    *,
    status: int = 200,
    name: str = "",
    reason: str = "",
    error: str = "",
    hint: str = "",
    is_outside: bool = False,
) -> Response:
    """The form, and the button of the provider; ``is_outside``: what went wrong did so on the way to it or back."""
    provider = shell.context.provider
    return shell.page(
        request, "login.html", status=status, next=target, name=name, reason=reason, error=error, hint=hint,
        provider=provider.config.shown_name if provider else "", is_outside=is_outside,
    )  # fmt: skip


def logged_in(shell: Shell, request: Request, form: Form) -> Response:
    """``POST /login``: one text for any wrong sign-in; a wait after too many."""
    target, name = own_page(form.get("next", "/")), form.get("name", "")
    try:
        throttle = managing.throttle_of(request)
        row = managing.check_password(request, shell.context, throttle, name, form.get("password", ""))
        if row.totp:
            managing.note_password_right(request, row)
            return code_page(shell, request, managing.wait_for_code(shell.context, row).secret, target)
        session = managing.begun(request, shell.context, row)
    except (NotSignedIn, Busy) as error:
        text = words.sentence(error.message)
        return login_page(
            shell, request, target, status=error.http_status, name=name, error=text, hint=words.sentence(error.hint)
        )
    return with_session(shell, request, session, RedirectResponse(root_of(request) + target, 303))


def code_page(
    shell: Shell, request: Request, waiting: str, target: str, *, status: int = 200, error: str = "", hint: str = ""
) -> Response:
    """The second step: the code of the app, for whoever has just shown the right password."""
    return shell.page(request, "login_code.html", status=status, waiting=waiting, next=target, error=error, hint=hint)


def code_given(shell: Shell, request: Request, form: Form) -> Response:
    """``POST /login/code``"""
    target, waiting = own_page(form.get("next", "/")), form.get("waiting", "")
    try:
        session = managing.sign_in_with_code(request, shell.context, waiting, form.get("code", ""))
    except (NotSignedIn, Busy) as error:
        text, hint = words.sentence(error.message), words.sentence(error.hint)
        try:
            shell.context.people.second.waiting(waiting)
        except NotSignedIn as over:
            text, hint = words.sentence(over.message), words.sentence(over.hint)
            return login_page(shell, request, target, status=over.http_status, error=text, hint=hint)
        return code_page(shell, request, waiting, target, status=error.http_status, error=text, hint=hint)
    return with_session(shell, request, session, RedirectResponse(root_of(request) + target, 303))


def no_code_yet(_shell: Shell, request: Request) -> Response:
    """``/login/code``, opened or loaded again without the first step."""
    return RedirectResponse(words.address(root_of(request), "/login"), 303)


def with_session(shell: Shell, request: Request, session: SignedIn, response: Response) -> Response:
    """``response``, giving the browser its session."""
    auth.set_session_cookie(request, response, session, seconds=shell.context.config.web.session_ttl)
    return response


def logged_out(shell: Shell, request: Request, form: Form) -> Response:
    """``POST /logout``: the session ends on the server at once."""
    secret = auth.session_secret(request)
    who = auth.identify(request, shell.context) if secret else None
    way_out = ""
    if who is not None:
        auth.check_csrf(who, form.get("csrf", ""))
        way_out = _way_out(shell, request, who, shell.context.people.sign_out(secret))
    response: Response = RedirectResponse(words.address(root_of(request), "/login"), 303)
    if way_out:
        response = shell.page(request, "signed_out.html", way_out=way_out)
        # No redirection: our pages may not send forms elsewhere (form-action), and this one answers a form.
        response.headers["Refresh"] = f"0; url={way_out}"
    auth.clear_session_cookie(request, response)
    return response


def _way_out(shell: Shell, request: Request, who: Identity, id_token: str) -> str:
    """Where a session that began at a provider ends there, too; empty: it did not, or the provider cannot say."""
    provider = shell.context.provider
    if provider is None or who.provider != provider.config.issuer:
        return ""
    try:
        return provider.way_out(id_token, f"{auth.origin_of(request)}{root_of(request)}/login")
    except LogferryError as error:
        log.warning("signed out here alone", why=error.message)
        return ""


# Set-up --------------------------------------------------------------------------------------------------------------


def setup(shell: Shell, request: Request) -> Response:
    """``/setup?code=``"""
    code = request.query_params.get("code", "")[:200]
    try:
        shell.context.enrolment.check_setup_code(code)
    except NotSignedIn as error:
        status = error.http_status
        return shell.page(
            request,
            "setup.html",
            status=status,
            usable=False,
            error=words.sentence(error.message),
            hint=words.sentence(error.hint),
        )
    return _setup_page(shell, request, code)


def _setup_page(
    shell: Shell,
    request: Request,
    code: str,
    *,
    status: int = 200,
    name: str = "admin",
    error: str = "",
    hint: str = "",
) -> Response:
    return shell.page(
        request, "setup.html", status=status, usable=True, code=code, name=name, error=error, hint=hint,
        password_min=PASSWORD_CHARS_MIN,
    )  # fmt: skip


def set_up(shell: Shell, request: Request, form: Form) -> Response:
    """``POST /setup``: makes the administrator, signs in, shows how the first agent joins."""
    code, name, password = form.get("code", ""), form.get("name", "").strip(), form.get("password", "")
    context = shell.context
    try:
        if password != form.get("again", ""):
            raise Refused("The two passwords differ", hint="Type the same one twice.")
        session = managing.set_up(request, context, managing.throttle_of(request), code, name, password)
    except NotSignedIn as error:
        return shell.page(
            request,
            "setup.html",
            status=error.http_status,
            usable=False,
            error=words.sentence(error.message),
            hint=words.sentence(error.hint),
        )
    except LogferryError as error:
        return _setup_page(
            shell,
            request,
            code,
            status=error.http_status,
            name=name,
            error=words.sentence(error.message),
            hint=words.sentence(error.hint),
        )
    join = join_command(request, context, context.enrolment.new_join_token())
    page = shell.page(request, "welcome.html", name=session.identity.name, join=join)
    return with_session(shell, request, session, page)


# A link that sets a password ------------------------------------------------------------------------------------------


def reset(shell: Shell, request: Request) -> Response:
    """``/reset?code=``"""
    code = request.query_params.get("code", "")[:200]
    try:
        row = shell.context.people.reset_of(code)
    except NotSignedIn as error:
        return _reset_page(shell, request, "", status=error.http_status, error=error.message, hint=error.hint)
    return _reset_page(shell, request, code, name=row.name)


def _reset_page(
    shell: Shell, request: Request, code: str, *, status: int = 200, name: str = "", error: str = "", hint: str = ""
) -> Response:
    return shell.page(
        request, "reset.html", status=status, code=code, name=name, error=words.sentence(error),
        hint=words.sentence(hint), password_min=PASSWORD_CHARS_MIN,
    )  # fmt: skip


def reset_done(shell: Shell, request: Request, form: Form) -> Response:
    """``POST /reset``: sets the password; signing in with it comes next."""
    code, password = form.get("code", ""), form.get("password", "")
    name = ""
    try:
        name = shell.context.people.reset_of(code).name
        if password != form.get("again", ""):
            raise Refused("The two passwords differ", hint="Type the same one twice.")
        row = managing.set_password_by_link(request, shell.context, code, password, keep_tokens="keep_tokens" in form)
    except NotSignedIn as error:
        return _reset_page(shell, request, "", status=error.http_status, error=error.message, hint=error.hint)
    except LogferryError as error:
        return _reset_page(
            shell, request, code, status=error.http_status, name=name, error=error.message, hint=error.hint
        )
    return login_page(shell, request, "/", name=row.name, reason="The password is set: sign in with it.")


# What a browser keeps while it is open --------------------------------------------------------------------------------


def zone(_shell: Shell, request: Request, form: Form) -> Response:
    """``POST /zone``: in which zone times are shown until the browser is closed."""
    root = root_of(request)
    response = RedirectResponse(root + own_page(form.get("next", "/")), 303)
    response.set_cookie(
        ZONE_COOKIE,
        quote(checked_choice(form.get("zone", ""))),
        path=f"{root}/",
        secure=auth.is_https(request),
        samesite="lax",
    )
    return response
