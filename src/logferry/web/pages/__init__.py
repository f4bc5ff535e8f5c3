"""The pages: rendered on the server, readable without script, alive with a little of it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from logferry.errors import NotFound
from logferry.web.context import WebContext
from logferry.web.pages import (
    agents,
    alerts,
    audit,
    connections,
    files,
    folders,
    guide,
    home,
    me,
    merged,
    oidc,
    preferences,
    retention,
    saved,
    search,
    sign_in,
    system,
    tail,
    users,
    view,
)
from logferry.web.pages.forms import Work, back_to, guarded_form
from logferry.web.pages.guard import Handler, Visit, answered, guarded
from logferry.web.pages.shell import ADMIN_TABS, Shell

__all__ = ["routes"]

Stranger = Callable[[Shell, Request], Response]


def routes(context: WebContext, assets_version: str) -> list[BaseRoute]:
    """All pages. Put them after the API: the last route answers every other path with a page."""
    shell = Shell(context, assets_version)

    def page(path: str, handler: Handler) -> Route:
        return Route(path, guarded(shell, handler), methods=["GET"])

    def open_page(path: str, handler: Stranger) -> Route:
        def endpoint(request: Request) -> Response:
            return answered(shell, request, None, lambda: handler(shell, request))

        return Route(path, endpoint, methods=["GET"])

    def form(path: str, work: Callable[[Shell, Request, sign_in.Form], Response]) -> Route:
        return Route(path, sign_in.form_endpoint(shell, work), methods=["POST"])

    def own_form(path: str, work: Work) -> Route:
        return Route(path, guarded_form(shell, work), methods=["POST"])

    return [
        open_page("/setup", sign_in.setup),
        form("/setup", sign_in.set_up),
        open_page("/login", sign_in.login),
        form("/login", sign_in.logged_in),
        open_page("/login/oidc", oidc.began),
        open_page("/login/oidc/back", oidc.came_back),
        Route("/login/oidc/logout", oidc.left_endpoint(shell), methods=["POST"]),
        open_page("/login/code", sign_in.no_code_yet),
        form("/login/code", sign_in.code_given),
        open_page("/reset", sign_in.reset),
        form("/reset", sign_in.reset_done),
        form("/logout", sign_in.logged_out),
        own_form("/theme", preferences.theme),
        form("/zone", sign_in.zone),
        page("/", home.home),
        page("/agents", agents.agents),
        page("/agents/add", agents.add_agent),
        own_form("/agents/add", agents.added_agent),
        page("/agents/{agent}", agents.agent),
        own_form("/agents/{agent}/settings", agents.changed_agent),
        own_form("/agents/{agent}/password", agents.new_password),
        own_form("/agents/{agent}/revoke", agents.revoked),
        own_form("/agents/{agent}/remove", agents.removed_agent),
        page("/alerts", alerts.alerts),
        own_form("/alerts/mute", alerts.muted),
        own_form("/alerts/rules", alerts.added_rule),
        own_form("/alerts/rules/switch", alerts.switched_rule),
        own_form("/alerts/rules/remove", alerts.removed_rule),
        own_form("/alerts/test", alerts.tested),
        own_form("/alerts/messages/again", alerts.sent_again),
        page("/files", files.files),
        page("/browse/{agent}", folders.browse),
        page("/browse/{agent}/{path:path}", folders.browse),
        page("/view", merged.merged),
        page("/view/{agent}/{path:path}", view.view),
        page("/search", search.search),
        page("/tail", tail.tail),
        page("/saved", saved.saved),
        own_form("/saved", saved.added),
        own_form("/saved/change", saved.changed),
        own_form("/saved/remove", saved.removed),
        page("/admin", _admin),
        page("/admin/retention", retention.retention),
        own_form("/admin/retention/run", retention.ran),
        own_form("/admin/retention/holds", retention.held),
        own_form("/admin/retention/holds/end", retention.released),
        own_form("/admin/retention/quota", retention.bounded),
        page("/admin/connections", connections.connections),
        own_form("/admin/connections/end", connections.ended),
        page("/admin/system", system.system),
        own_form("/admin/system/scrub", system.scrubbed),
        own_form("/admin/system/support-bundle", system.supported),
        page("/me", me.me),
        own_form("/me/looks", preferences.looks),
        own_form("/me/highlights", preferences.highlights),
        own_form("/me/password", me.new_password),
        own_form("/me/zone", preferences.zone),
        own_form("/me/sessions/end", me.end_session),
        own_form("/me/second-factor", me.second_factor),
        own_form("/me/second-factor/confirm", me.confirmed),
        own_form("/me/second-factor/recovery-codes", me.other_codes),
        own_form("/me/second-factor/off", me.turned_off),
        page("/me/tokens", me.tokens),
        own_form("/me/tokens", me.add_token),
        own_form("/me/tokens/revoke", me.revoke_token),
        page("/help", guide.guide),
        page("/admin/users", users.users),
        own_form("/admin/users", users.add_user),
        page("/admin/users/{name}", users.user),
        own_form("/admin/users/{name}", users.change_user),
        page("/admin/tokens", users.tokens),
        own_form("/admin/tokens/revoke", users.revoke_token),
        page("/admin/audit", audit.audit),
        own_form("/admin/audit/verify", audit.verified),
        page("/{path:path}", _nothing),
    ]


def _admin(visit: Visit) -> Response:
    visit.who.require("admin")
    return back_to(visit, ADMIN_TABS[0][0])


def _nothing(_visit: Visit) -> Response:
    raise NotFound("There is no such page.", hint="The menu shows all there are.")
