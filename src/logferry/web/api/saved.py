"""``/saved``: searches and other pages that people keep under a name, for themselves or for everybody."""

from __future__ import annotations

import json

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from logferry.archive.catalog.saving import SavedRecord
from logferry.clock import rfc3339
from logferry.errors import LogferryError
from logferry.limits import SAVED_ADDRESS_CHARS_MAX, SAVED_MAX, SAVED_NAME_CHARS_MAX
from logferry.server.people import Identity
from logferry.web import saving
from logferry.web.api.ids import checked_id
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, Viewer
from logferry.web.ranges import disposition
from logferry.web.trail import note

router = APIRouter(tags=["saved"])
EXPORT_VERSION = 1


class SavedPage(Shape):
    """A page under a name: ``address`` is its path and query, ``kind`` what it is, ``mine`` whether you may change it.

    Whoever opens it sees what their own scope shows.
    """

    id: int
    name: str
    kind: str
    address: str
    owner: str
    mine: bool
    shared: bool
    created_at: str
    changed_at: str


class SavedList(Shape):
    """Yours, then what others share."""

    items: list[SavedPage]
    next: str | None = None


class NewSaved(BaseModel):
    """What to keep."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(max_length=SAVED_NAME_CHARS_MAX * 4, examples=["errors on web servers"])
    address: str = Field(max_length=SAVED_ADDRESS_CHARS_MAX * 2, examples=["/search?q=level%3A%3E%3Derror"])
    shared: bool = Field(False, description="everybody sees it; takes an operator")


class SavedChange(BaseModel):
    """What is to be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=SAVED_NAME_CHARS_MAX * 4)
    address: str | None = Field(None, max_length=SAVED_ADDRESS_CHARS_MAX * 2)
    shared: bool | None = None


class SavedImport(BaseModel):
    """As ``GET /saved/export`` gives it."""

    model_config = ConfigDict(extra="ignore")

    items: list[NewSaved] = Field(max_length=SAVED_MAX)


class NotImported(Shape):
    """One that was left out, and why."""

    name: str
    why: str


class Imported(Shape):
    """What an import did."""

    added: int
    left_out: list[NotImported]


@router.get("/saved")
def list_saved(context: Context, who: Viewer) -> SavedList:
    """What you keep, and what others share."""
    return SavedList(items=[_shape(row, who) for row in saving.seen(context, who)])


@router.post("/saved", status_code=201)
def add_saved(request: Request, body: NewSaved, context: Context, who: Viewer) -> SavedPage:
    """Keep a page: a search, a file search, a tail, a file, a folder. 409 for a name you have used."""
    row = saving.keep(context, who, body.name, body.address, shared=body.shared)
    saving.note_saved(request, "add", row)
    return _shape(row, who)


@router.get("/saved/export")
def export_saved(context: Context, who: Viewer) -> Response:
    """Yours as one JSON document, to keep or to import elsewhere."""
    mine = [row for row in context.catalog.saved.seen_by(who.user_id) if row.user_id == who.user_id]
    items = [{"name": row.name, "address": row.address, "shared": row.shared} for row in mine]
    text = json.dumps({"logferry_saved": EXPORT_VERSION, "items": items}, indent=1, ensure_ascii=False) + "\n"
    name = disposition("attachment", "logferry-saved.json")
    return Response(text, media_type="application/json", headers={"Content-Disposition": name})


@router.post("/saved/import")
def import_saved(request: Request, body: SavedImport, context: Context, who: Viewer) -> Imported:
    """Add what is there; a name you have used, a page that cannot be kept, is left out and named.

    What was shared is shared again if you may share.
    """
    added: list[str] = []
    left_out: list[NotImported] = []
    for item in body.items:
        try:
            shared = item.shared and who.may("operator")
            added.append(saving.keep(context, who, item.name, item.address, shared=shared).name)
            # After each: should the next one fail altogether, these are kept all the same.
            note(request, action="saved.import", target=f"{len(added)} saved", names=added)
        except LogferryError as error:
            left_out.append(NotImported(name=item.name[:SAVED_NAME_CHARS_MAX], why=error.message))
    note(request, action="saved.import", target=f"{len(added)} saved", names=added)
    return Imported(added=len(added), left_out=left_out)


@router.patch("/saved/{saved_id}")
def change_saved(request: Request, saved_id: int, body: SavedChange, context: Context, who: Viewer) -> SavedPage:
    """Rename yours, give it another address, share it or not."""
    row = saving.change(context, who, _checked(saved_id), name=body.name, address=body.address, shared=body.shared)
    saving.note_saved(request, "change", row)
    return _shape(row, who)


@router.delete("/saved/{saved_id}", status_code=204)
def remove_saved(request: Request, saved_id: int, context: Context, who: Viewer) -> Response:
    """Remove yours; operators also what others share."""
    saving.note_saved(request, "remove", saving.remove(context, who, _checked(saved_id)))
    return Response(status_code=204)


def _checked(saved_id: int) -> int:
    return checked_id(saved_id, "saved search or view", "take id from the list")


def _shape(row: SavedRecord, who: Identity) -> SavedPage:
    return SavedPage(
        id=row.id,
        name=row.name,
        kind=saving.kind_of(row.address),
        address=row.address,
        owner=row.owner,
        mine=row.user_id == who.user_id,
        shared=row.shared,
        created_at=rfc3339(row.created_ns),
        changed_at=rfc3339(row.changed_ns),
    )
