"""The viewer's page: the head of one file and generation, and its first lines. All others come through the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.responses import RedirectResponse, Response

from logferry.archive.records import CopyRecord, FileRecord, GenerationRecord
from logferry.compressed import form_by_name
from logferry.encodings import ENCODINGS
from logferry.errors import NotFound
from logferry.web.api.shapes import file_state
from logferry.web.merging import series
from logferry.web.pages.facts import crumbs
from logferry.web.pages.first_lines import first_lines
from logferry.web.pages.guard import Visit
from logferry.web.pages.shell import root_of
from logferry.web.pages.words import stamp

_BACK_BYTES = 12_000
"""So far before a byte the script asks for lines while it has seen none (``log/source.js``: 100 lines of 120 bytes)."""


def view(visit: Visit) -> Response:
    """``/view/{agent}/{path}?gen=``"""
    agent, path = visit.request.path_params["agent"], visit.request.path_params["path"].strip("/")
    number = _number(visit.asked("gen"))
    try:
        file = visit.sight.file_at(agent, path)
    except NotFound as error:
        if _is_folder(visit, agent, path):
            return RedirectResponse(visit.link(f"/browse/{agent}/{path}"), 303)
        return _gone(visit, agent, path, number, error)
    try:
        generation = visit.sight.generation(file.id, number)[1]
    except NotFound as error:
        return _gone(visit, agent, path, number, error, newest=visit.link(f"/view/{agent}/{path}"))
    number = file.number if number is None else number
    packed = form_by_name(file.name)
    # A compressed file is shown unpacked, and its text does not grow line by line.
    live = generation.current and file.has_current and file.number == number and not packed
    return visit.page(
        "view.html",
        file=file,
        number=number,
        generation=generation,
        generations=_held(visit, file),
        crumbs=crumbs(root_of(visit.request), agent, path),
        shown_state=file_state(file, visit.now_ns) if live else "ended",
        live=live,
        still="compressed, shown unpacked" if packed and generation.current else _still(visit, generation),
        packed=packed,
        original=_original(visit, generation) if packed else None,
        newer="" if number == file.number else visit.link(f"/view/{agent}/{path}"),
        raw=visit.link(f"/api/v1/files/{file.id}/raw", gen=number, **({"text": 1} if packed else {})),
        download=visit.link(f"/api/v1/files/{file.id}/raw", gen=number, download=1),
        first_lines=[] if packed else first_lines(visit, file, generation),
        wrapped=visit.asked("wrap") == "1",
        from_end=visit.asked("at") == "end",
        first_question=_first_question(visit, file, number, generation.size),
        **_beside(visit, file),
        highlights=_highlights(visit),
        encodings=[(encoding.name, encoding.label) for encoding in ENCODINGS],
    )


def _highlights(visit: Visit) -> list[dict[str, Any]] | None:
    """The visitor's own, for the script; None: they never said."""
    own = visit.preferences.highlights
    return None if own is None else [asdict(one) for one in own]


def _gone(visit: Visit, agent: str, path: str, number: int | None, error: NotFound, newest: str = "") -> Response:
    """What was there before retention deleted it; ``newest`` leads to what is there now. Raises ``error`` where nothing
    was, or it may not be seen."""
    scope = visit.sight.scope
    was = visit.context.catalog.retaining.gone(agent, path, number) if scope.sees(agent, path) else None
    if was is None or not scope.sees(was.agent, was.path):
        raise error
    return visit.page(
        "gone.html",
        status=410,
        was=was,
        path=path,
        number=number,
        crumbs=crumbs(root_of(visit.request), agent, path),
        newest=newest,
        folder=visit.link(f"/browse/{agent}/{path.rpartition('/')[0]}".rstrip("/")),
    )


def _first_question(visit: Visit, file: FileRecord, number: int, size: int) -> str:
    """What the script will ask for first, so that the browser may ask at once. A line named behind # is not known.

    Nothing where only some lines are asked for: that is another question.
    """
    if visit.asked("lv") or "1" in (visit.asked("only"), visit.asked("fold")):
        return ""
    at = visit.asked("at")
    place: dict[str, object] = {"at_byte": 0}
    if at[:1] == "b" and at[1:].isdigit() and at.isascii():
        place = {"at_byte": max(0, min(int(at[1:17]), max(0, size - 1)) - _BACK_BYTES)}
    if at == "end":
        place = {"tail": 250}
    enc = visit.asked("enc")
    times = "true" if visit.asked("tz") in ("utc", "local") else ""
    return visit.link(f"/api/v1/files/{file.id}/lines", gen=number, count=250, times=times, **place, enc=enc)


def _beside(visit: Visit, file: FileRecord) -> dict[str, Any]:
    """The neighbours in its series, and the ways to read it together with others."""
    here = f"{file.agent}/{file.path}"
    pieces = series(visit.sight, file)
    at = next((number for number, piece in enumerate(pieces) if piece.id == file.id), -1)
    older = pieces[at - 1] if at > 0 else None
    newer = pieces[at + 1] if 0 <= at < len(pieces) - 1 else None
    return {
        "pieces": len(pieces) if len(pieces) > 1 else 0,
        "older_piece": visit.link(f"/view/{older.agent}/{older.path}", at="end") if older else "",
        "newer_piece": visit.link(f"/view/{newer.agent}/{newer.path}") if newer else "",
        "whole_series": visit.link("/view", s=here),
        "merge_with": visit.link("/view", **{"with": here}),
    }


def _is_folder(visit: Visit, agent: str, path: str) -> bool:
    try:
        visit.sight.folder(agent, path, limit=1)
    except NotFound:
        return False
    return True


def _number(asked: str) -> int | None:
    if not asked:
        return None
    if not asked.isascii() or not asked.isdigit() or len(asked) > 9:
        raise NotFound(f"{asked[:20]!r} is no generation", hint="generations are numbers: 1, 2, 3, …")
    return int(asked)


def _still(visit: Visit, generation: GenerationRecord) -> str:
    """Why this generation is not followed."""
    return f"ended {stamp(generation.ended_ns, visit.zone.zone)}" if generation.ended_ns else "moved to another path"


def _original(visit: Visit, generation: GenerationRecord) -> CopyRecord | None:
    """What a compressed generation is the copy of, if that may be seen."""
    link = visit.context.catalog.copies.links([generation.id]).get(generation.id)
    return link if link is not None and visit.sight.scope.sees(link.agent, link.path) else None


def _held(visit: Visit, file: FileRecord) -> list[dict[str, object]]:
    """The generations held under this path, newest first, each with its address."""
    return [
        {
            "number": held.number,
            "size": held.size,
            "started_ns": held.started_ns,
            "ended_ns": held.ended_ns,
            "link": visit.link(f"/view/{file.agent}/{file.path}", gen=held.number),
        }
        for held in reversed(visit.sight.generations(file.id))
    ]
