"""``/view``: several files as one, by time: the files, what can be done with them. The lines come through the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from logferry.archive.records import FileRecord
from logferry.errors import LogferryError
from logferry.limits import LINE_BYTES_SHOWN_MAX, MERGE_SOURCES_MAX
from logferry.web.merging import Picked, Wish, picked, wishes
from logferry.web.pages import words
from logferry.web.pages.facts import parent_of
from logferry.web.pages.guard import Visit
from logferry.web.pages.home import arrivals

_OFFERED = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """One file of the view: the number of its colour, where it is alone, and the view without it or as its series."""

    wish: Wish
    file: FileRecord | None
    parts: int
    problem: LogferryError | None
    without: str
    other: str
    """The same with its whole series instead of the file, or the other way round."""

    @property
    def name(self) -> str:
        """Agent and path, or what was asked for."""
        return f"{self.file.agent}/{self.file.path}" if self.file else self.wish.text


def merged(visit: Visit) -> Response:
    """``/view?f=&f=&s=``: ``f`` a file, ``s`` a rotated log; ``fid`` is another name of ``f``.

    ``with=`` (of a file's own page) asks what it shall be merged with.
    """
    wanted = wishes(visit.request.query_params.multi_items())
    found = picked(visit.context, visit.sight, wanted)
    if not found and visit.asked("with"):
        return _choose(visit, picked(visit.context, visit.sight, [Wish(visit.asked("with").strip())])[0])
    alone = found[0] if len(found) == 1 else None
    if alone is not None and alone.file is not None and not alone.wish.series:
        return RedirectResponse(visit.link(f"/view/{alone.file.agent}/{alone.file.path}"), 303)
    if found and all(each.file is None for each in found):
        assert found[0].problem is not None
        raise found[0].problem
    named = [_named(each) for each in found]
    return visit.page(
        "merged.html",
        shown_files=[_shown(visit, named, at, each) for at, each in enumerate(found)],
        query=_query(named),
        offered=_offered(visit, found) if len(found) < MERGE_SOURCES_MAX else [],
        kept=[("s" if wish.series else "f", wish.text) for wish in named],
        most=MERGE_SOURCES_MAX,
        line_bytes=LINE_BYTES_SHOWN_MAX,
    )


def _choose(visit: Visit, first: Picked) -> Response:
    """Files to tick that may be merged with one. Raises NotFound, Refused."""
    if first.problem is not None:
        raise first.problem
    return visit.page(
        "merged.html", shown_files=[], query="", offered=_offered(visit, [first]), kept=[("f", first.wish.text)],
        most=MERGE_SOURCES_MAX, line_bytes=LINE_BYTES_SHOWN_MAX,
    )  # fmt: skip


def view_of(visit: Visit, wanted: Sequence[Wish]) -> str:
    """The address of the view of these files."""
    query = _query(wanted)
    return f"{visit.link('/view')}{'?' if query else ''}{query}"


def _named(each: Picked) -> Wish:
    """The wish with a path instead of the number of a file, so that its address can be read."""
    if each.file is None or not each.wish.text.isdigit():
        return each.wish
    return Wish(f"{each.file.agent}/{each.file.path}", each.wish.series)


def _query(wanted: Sequence[Wish]) -> str:
    return urlencode([("s" if wish.series else "f", wish.text) for wish in wanted], safe="/")


def _shown(visit: Visit, named: Sequence[Wish], at: int, each: Picked) -> Shown:
    rest = [wish for number, wish in enumerate(named) if number != at]
    other = [Wish(wish.text, wish.series != (number == at)) for number, wish in enumerate(named)]
    without, switched = view_of(visit, rest), view_of(visit, other)
    return Shown(each.wish, each.file, len(each.parts), each.problem, without, switched)


def _offered(visit: Visit, found: Sequence[Picked]) -> list[str]:
    """Files that may be wanted beside those: of the same folders, then the latest of each agent."""
    held = {f"{each.file.agent}/{each.file.path}" for each in found if each.file}
    files: list[FileRecord] = []
    for agent, folder in dict.fromkeys((each.file.agent, parent_of(each.file.path)) for each in found if each.file):
        files += visit.sight.folder(agent, folder, limit=_OFFERED)[1].files
    files += arrivals(visit, visit.sight.agents())
    names = dict.fromkeys(f"{file.agent}/{file.path}" for file in files)
    return [name for name in names if name not in held and words.shown(name) == name][:_OFFERED]
