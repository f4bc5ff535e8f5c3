"""``/tail``: the new lines of several files as they arrive. The lines come through the API."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.records import FileRecord
from logferry.compressed import form_by_name
from logferry.errors import BadQuery, Refused
from logferry.limits import TAIL_CHOICE_MAX, TAIL_FILES_MAX, TAIL_LINES_KEPT_MAX
from logferry.web.pages.facts import File, file_at
from logferry.web.pages.guard import Visit
from logferry.web.pages.home import arrivals
from logferry.web.pages.wrong import Wrong, wrong

BANDS = 8
"""Colours that tell files apart; more files share them, and each line names its file."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A file that is followed: the number of its colour, and the page without it."""

    record: FileRecord
    band: int
    without: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a selection comes to: files, and what is to be said about it."""

    files: list[FileRecord]
    remark: str = ""
    problem: Wrong | None = None


def tail(visit: Visit) -> Response:
    """``/tail?f=&f=`` or ``?q=``, a query for files; ``fid`` is another name of ``f``."""
    q = visit.asked("q").strip()[:400]
    chosen = _found(visit, q) if q else _picked(visit)
    fids = [file.id for file in chosen.files]
    followed = [
        Followed(file, at % BANDS, _tail_of(visit, [fid for fid in fids if fid != file.id]))
        for at, file in enumerate(chosen.files)
    ]
    return visit.page(
        "tail.html",
        status=400 if chosen.problem else 200,
        q=q,
        problem=chosen.problem,
        remark=chosen.remark,
        followed=followed,
        recent=_recent(visit) if not followed else [],
        most=TAIL_FILES_MAX,
        kept=TAIL_LINES_KEPT_MAX,
        here_again=_tail_of(visit, fids),
    )


def _tail_of(visit: Visit, fids: list[int]) -> str:
    return f"{visit.link('/tail')}{'?' if fids else ''}{'&'.join(f'f={fid}' for fid in fids)}"


def _picked(visit: Visit) -> Chosen:
    """Files by their numbers. Raises NotFound for one that is not there, Refused for too many."""
    told = [*visit.request.query_params.getlist("f"), *visit.request.query_params.getlist("fid")]
    fids = list(dict.fromkeys(_fid(text) for text in told))
    if len(fids) > TAIL_FILES_MAX:
        raise Refused(f"{len(fids):,} files are too many to follow at once", hint=f"pick {TAIL_FILES_MAX} at most")
    files = [visit.sight.file(fid) for fid in fids]
    return _followable(files, "")


def _fid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 19:
        raise Refused(f"{text[:20]!r} is not the number of a file", hint="pick files on the page of files")
    return int(text)


def _found(visit: Visit, q: str) -> Chosen:
    """The files that a query finds, those that grew last first."""
    try:
        page = visit.context.search.find_files(q, scope=visit.who.scope, cursor=None, limit=TAIL_CHOICE_MAX)
    except BadQuery as error:
        return Chosen([], problem=wrong(q, error))
    whole = _followable(list(page.files), "")
    files = heapq.nlargest(TAIL_FILES_MAX, whole.files, key=lambda file: file.changed_ns)
    if not page.files:
        return Chosen([], "No file matches.")
    remark = whole.remark
    if len(whole.files) > len(files) or page.next:
        matching = f"the first {TAIL_CHOICE_MAX:,}" if page.next else f"{len(whole.files):,}"
        remark = f"Of {matching} files that match, those {len(files)} are followed that grew last."
    return Chosen(sorted(files, key=lambda file: (file.agent, file.path)), remark)


def _followable(files: list[FileRecord], remark: str) -> Chosen:
    plain = [file for file in files if not form_by_name(file.name)]
    if len(plain) < len(files):
        remark = "Compressed files have no new lines: they are left out."
    return Chosen(plain, remark)


def _recent(visit: Visit) -> list[File]:
    """The latest file of each agent, to begin with."""
    found = (file_at(file, visit.now_ns) for file in arrivals(visit, visit.sight.agents()))
    return [file for file in found if not form_by_name(file.record.name)]
