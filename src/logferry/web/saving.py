"""What people keep: which pages can be, what each is called, who may change it."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from starlette.requests import Request

from logferry.archive.catalog.saving import SavedRecord
from logferry.errors import NotFound, NotPermitted, Refused
from logferry.limits import SAVED_ADDRESS_CHARS_MAX, SAVED_NAME_CHARS_MAX
from logferry.server.people import Identity
from logferry.web.context import WebContext
from logferry.web.trail import note

log = structlog.get_logger("logferry.web")
KINDS = {"/search": "search", "/files": "files", "/tail": "tail", "/view": "file", "/browse": "folder"}
"""First step of an address, and what such a page is called."""


def kind_of(address: str) -> str:
    """What the page at an address is: ``search``, ``files``, ``tail``, ``file``, ``folder``; empty for any other."""
    first, rest = _first(urlsplit(address).path)
    kind = KINDS.get(first, "")
    # The first three are pages of their own, the others need to say which file or folder.
    return kind if kind and bool(rest) == (kind in ("file", "folder")) else ""


def _first(path: str) -> tuple[str, str]:
    first, _, rest = path[1:].partition("/")
    return f"/{first}", rest


def seen(context: WebContext, who: Identity) -> list[SavedRecord]:
    """The person's own, then what others share; but no file or folder that the person's scope leaves out."""
    return [row for row in context.catalog.saved.seen_by(who.user_id) if _may_see(who, row)]


def _may_see(who: Identity, row: SavedRecord) -> bool:
    kind = kind_of(row.address)
    if row.user_id == who.user_id or kind not in ("file", "folder"):
        return True
    agent, _, path = unquote(_first(urlsplit(row.address).path)[1]).partition("/")
    path = path.strip("/")
    return who.scope.sees(agent, path) if kind == "file" else who.scope.may_hold(agent, path)


def _found(context: WebContext, who: Identity, saved_id: int) -> SavedRecord:
    """Raises NotFound."""
    row = context.catalog.saved.get(saved_id, who.user_id)
    if not _may_see(who, row):
        raise NotFound(f"nothing is saved under number {saved_id}", hint="the list shows what is")
    return row


def words_of(address: str) -> str:
    """What an address asks for, for people: the query, or the path."""
    parts = urlsplit(address)
    asked = parse_qs(parts.query)
    words = list(asked.get("q", []))
    since, until = "".join(asked.get("from", [])), "".join(asked.get("to", []))
    if since or until:
        words.append(f"{since or '…'} – {until or 'now'}" if until else f"since {since}")
        if asked.get("tz"):
            words[-1] += f" ({asked['tz'][0]})"
    picked = len(asked.get("f", []))
    if picked:
        words.append(f"{picked} file{'s' if picked > 1 else ''}")
    return "  ".join(words) or unquote(_first(parts.path)[1]) or "everything"


def checked_name(name: str) -> str:
    """The name without what stands around it. Raises Refused."""
    name = " ".join(name.split())
    if not name or len(name) > SAVED_NAME_CHARS_MAX or not name.isprintable():
        raise Refused(f"a name has 1 to {SAVED_NAME_CHARS_MAX} characters", hint="for example: errors on web servers")
    return name


def checked_address(address: str, root: str = "") -> str:
    """The address below the root of the program, of a page that can be kept; a whole URL of ours is cut to that.

    Raises:
        Refused: it is no such page.
    """
    parts = urlsplit(address.strip())
    path = parts.path.removeprefix(root) if root and parts.path.startswith(f"{root}/") else parts.path
    kept = path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    plain = kept.startswith("/") and not kept.startswith(("//", "/\\")) and "\\" not in kept and kept.isprintable()
    if not plain or not kind_of(kept) or len(kept) > SAVED_ADDRESS_CHARS_MAX:
        raise Refused(
            "only a search, a file search, a tail, a file or a folder can be saved",
            hint="open it, then take its address: /search?q=error",
        )
    return kept


def keep(context: WebContext, who: Identity, name: str, address: str, *, shared: bool, root: str = "") -> SavedRecord:
    """Save a page under a name. Raises Refused, Conflict, NotPermitted for a viewer who wants to share."""
    if shared:
        _may_share(who)
    name, address = checked_name(name), checked_address(address, root)
    made = context.catalog.saved.add(who.user_id, name, address, shared=shared)
    return context.catalog.saved.get(made, who.user_id)


def change(
    context: WebContext,
    who: Identity,
    saved_id: int,
    *,
    name: str | None = None,
    address: str | None = None,
    shared: bool | None = None,
) -> SavedRecord:
    """Change one's own. Raises NotFound, Refused, Conflict, NotPermitted."""
    found = _found(context, who, saved_id)
    if found.user_id != who.user_id:
        raise NotPermitted(f"this belongs to {found.owner}", hint="save it under a name of your own")
    values: dict[str, object] = {}
    if name is not None:
        values["name"] = checked_name(name)
    if address is not None:
        values["address"] = checked_address(address)
    if shared is not None and shared != found.shared:
        _may_share(who)
        values["shared"] = shared
    if values:
        context.catalog.saved.change(saved_id, **values)
    return context.catalog.saved.get(saved_id, who.user_id)


def remove(context: WebContext, who: Identity, saved_id: int) -> SavedRecord:
    """Remove one's own, or for operators what others share; what it was. Raises NotFound, NotPermitted."""
    found = _found(context, who, saved_id)
    if found.user_id != who.user_id:
        who.require("operator")
        log.info("a shared search was removed", by=who.name, owner=found.owner, name=found.name)
    context.catalog.saved.remove(saved_id)
    return found


def note_saved(request: Request, did: str, row: SavedRecord) -> None:
    """A saved page was added, changed or removed."""
    note(
        request, action=f"saved.{did}", target=row.name, saved=row.id, owner=row.owner, address=row.address,
        shared=row.shared,
    )  # fmt: skip


def _may_share(who: Identity) -> None:
    if not who.may("operator"):
        raise NotPermitted("sharing takes an operator", hint="keep it for yourself, or send somebody its address")
