"""``/saved``: what somebody keeps and what others share; save as, rename, share, remove."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.catalog.saving import SavedRecord
from logferry.errors import LogferryError
from logferry.web import saving
from logferry.web.pages import words
from logferry.web.pages.forms import back_to, whole_number
from logferry.web.pages.guard import Visit
from logferry.web.pages.retention import Said
from logferry.web.pages.shell import root_of
from logferry.web.pages.sign_in import Form

PAGE = "/saved"
EXAMPLES = (
    ("Errors of the last day", "/search?q=level%3A%3E%3Derror&from=now-24h"),
    ("Refused sign-ins", "/search?q=%22Failed+password%22"),
    ("Large files of this week", "/files?q=size%3A%3E1GB+modified%3A%3E%3Dnow-7d"),
    ("All web servers, live", "/tail?q=agent%3Aweb-*"),
)
ICONS = {"search": "search", "files": "files", "tail": "follow", "file": "file", "folder": "files"}
DONE = {"saved": "Saved.", "changed": "Changed.", "removed": "Removed."}


@dataclass(frozen=True, slots=True)
class Kept:
    """A saved page as it is shown."""

    record: SavedRecord
    icon: str
    words: str
    link: str


def saved(visit: Visit) -> Response:
    """``/saved?add=<address>``: the list; with ``add`` the form for one more is filled in."""
    done = DONE.get(visit.asked("done"), "")
    return _page(visit, said=Said("info", done) if done else None, address=visit.asked("add"))


def _page(
    visit: Visit,
    *,
    status: int = 200,
    said: Said | None = None,
    name: str = "",
    address: str = "",
    shared: bool = False,
) -> Response:
    rows = saving.seen(visit.context, visit.who)
    kept = [shown_row(visit, row) for row in rows]
    return visit.page(
        "saved.html",
        status=status,
        said=said,
        mine=[one for one in kept if one.record.user_id == visit.who.user_id],
        others=[one for one in kept if one.record.user_id != visit.who.user_id],
        examples=[(title, example, saving.words_of(example)) for title, example in EXAMPLES],
        name=name,
        address=address,
        shared=shared,
    )


def shown_row(visit: Visit, row: SavedRecord) -> Kept:
    """As this page and Home show it."""
    icon = ICONS.get(saving.kind_of(row.address), "link")
    return Kept(row, icon, saving.words_of(row.address), root_of(visit.request) + row.address)


def added(visit: Visit, form: Form) -> Response:
    """``POST /saved``"""
    name, address, shared = form.get("name", ""), form.get("address", ""), form.get("shared") == "1"
    try:
        row = saving.keep(visit.context, visit.who, name, address, shared=shared, root=root_of(visit.request))
        saving.note_saved(visit.request, "add", row)
    except LogferryError as error:
        return _page(visit, status=error.http_status, said=_said(error), name=name, address=address, shared=shared)
    return back_to(visit, PAGE, done="saved")


def changed(visit: Visit, form: Form) -> Response:
    """``POST /saved/change``: its name, and whether it is shared."""
    try:
        shared = form.get("shared") == "1" if visit.who.may("operator") else None
        number = whole_number(form.get("id", ""), "id", least=1)
        row = saving.change(visit.context, visit.who, number, name=form.get("name", ""), shared=shared)
        saving.note_saved(visit.request, "change", row)
    except LogferryError as error:
        return _page(visit, status=error.http_status, said=_said(error))
    return back_to(visit, PAGE, done="changed")


def removed(visit: Visit, form: Form) -> Response:
    """``POST /saved/remove``"""
    try:
        row = saving.remove(visit.context, visit.who, whole_number(form.get("id", ""), "id", least=1))
        saving.note_saved(visit.request, "remove", row)
    except LogferryError as error:
        return _page(visit, status=error.http_status, said=_said(error))
    return back_to(visit, PAGE, done="removed")


def _said(error: LogferryError) -> Said:
    return Said("bad", words.sentence(words.shown(error.message)), words.sentence(words.shown(error.hint)))
