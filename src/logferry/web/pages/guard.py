"""Who may open a page, and what is shown when something goes wrong: sign-in first, one face for every error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from logferry.errors import LogferryError, NotFound, NotPermitted, NotSignedIn
from logferry.server.people import Identity
from logferry.web import auth
from logferry.web.context import WebContext
from logferry.web.pages import words
from logferry.web.pages.shell import Shell, root_of
from logferry.web.preferences import Preferences
from logferry.web.sight import Sight
from logferry.web.zone import ShownZone

log = structlog.get_logger("logferry.web")


@dataclass(frozen=True, slots=True)
class Visit:
    """One signed-in request for a page, with what every page needs."""

    request: Request
    who: Identity
    shell: Shell

    @property
    def context(self) -> WebContext:
        """The parts of the server."""
        return self.shell.context

    @property
    def sight(self) -> Sight:
        """The archive as this visitor may see it."""
        return Sight.of(self.context, self.who)

    @property
    def zone(self) -> ShownZone:
        """In which zone the visitor is shown times."""
        return self.shell.zone(self.request, self.who)

    @property
    def preferences(self) -> Preferences:
        """How the visitor likes it."""
        return self.shell.preferences(self.request, self.who)

    @property
    def now_ns(self) -> int:
        """The server's time of this request."""
        return self.context.clock.now_ns()

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render ``template`` for this visitor."""
        return self.shell.page(self.request, template, who=self.who, status=status, **values)

    def link(self, path: str, **query: object) -> str:
        """An address inside the program."""
        return words.address(root_of(self.request), path, **query)

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return self.request.query_params.get(name, default)


Handler = Callable[[Visit], Response]
Endpoint = Callable[[Request], Response]


def guarded(shell: Shell, handler: Handler) -> Endpoint:
    """The endpoint of a page for people who are signed in. Runs in a worker thread: it may wait for the catalog."""

    def endpoint(request: Request) -> Response:
        who = who_asks(shell, request)
        if who is None:
            return to_sign_in(request)
        return answered(shell, request, who, lambda: handler(Visit(request, who, shell)))

    return endpoint


def who_asks(shell: Shell, request: Request) -> Identity | None:
    """Who is signed in; None: nobody, or no longer."""
    try:
        return auth.identify(request, shell.context)
    except NotSignedIn:
        return None


def answered(shell: Shell, request: Request, who: Identity | None, work: Callable[[], Response]) -> Response:
    """The answer of ``work``, or the page for what it raised."""
    try:
        return work()
    except NotSignedIn:
        return to_sign_in(request)
    except LogferryError as error:
        return error_page(shell, request, who, error)
    except Exception:
        # The edge of the program: the visitor gets the request id, the log the traceback under it.
        log.exception("page failed", path=request.url.path)
        return error_page(shell, request, who, None)


def to_sign_in(request: Request) -> Response:
    """Send a stranger to the sign-in page and back afterwards."""
    root = root_of(request)
    here = request.url.path.removeprefix(root) or "/"
    if request.url.query:
        here = f"{words.address('', here)}?{request.url.query}"
    else:
        here = words.address("", here)
    back = here if request.method == "GET" and here != "/" else ""
    return RedirectResponse(words.address(root, "/login", next=back), 303, {"Cache-Control": "no-store"})


def error_page(shell: Shell, request: Request, who: Identity | None, error: LogferryError | None) -> Response:
    """What failed, what to do next, the request id. ``error`` None: a fault of ours that we know nothing of."""
    status = error.http_status if error else 500
    retry = str(request.url) if request.method == "GET" and status not in (400, 403, 404) else ""
    return shell.page(
        request,
        "error.html",
        who=who,
        status=status,
        title=_title(error),
        text=words.sentence(words.shown(error.message)) if error else "The server could not make this page.",
        hint=words.sentence(words.shown(error.hint))
        if error
        else "Try again; the server's log has the reason under the request id.",
        retry=retry,
    )


def _title(error: LogferryError | None) -> str:
    if isinstance(error, NotFound):
        return "Nothing here"
    if isinstance(error, NotPermitted):
        return "Not for you"
    if error is None:
        return "Something broke"
    return "That did not work" if error.http_status < 500 else "Not now"
