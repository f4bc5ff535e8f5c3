"""What somebody picks to take out: folders with all below them, single files, or what a query finds.

Everything picked is looked up before the answer begins, so a wrong name is an error and not an empty archive. Scopes
hold for every single file: the ``Sight`` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from logferry.archive import Archive, GenerationReader
from logferry.archive.records import FileRecord
from logferry.errors import Damaged, NotFound, Refused
from logferry.limits import PAGE_ITEMS_MAX, PICKED_MAX
from logferry.server.people import Identity
from logferry.takeout import Member, Source
from logferry.web.context import WebContext
from logferry.web.sight import Sight
from logferry.zones import zone_named


@dataclass(frozen=True, slots=True)
class Picks:
    """``places`` are (agent, path) of files or folders, ``fids`` single files; or ``query`` alone."""

    places: tuple[tuple[str, str], ...] = ()
    fids: tuple[int, ...] = ()
    query: str = ""

    def __post_init__(self) -> None:
        if bool(self.query) == bool(self.places or self.fids):
            raise Refused(
                "say what to take out: agent and path, fid, or q",
                hint="agent=web-01&path=/var/log takes a folder, fid=12&fid=15 two files, q=ext:log what a query finds",
            )
        if len(self.places) + len(self.fids) > PICKED_MAX:
            raise Refused(f"more than {PICKED_MAX:,} picks in one request", hint="take their folder, or a query")

    @property
    def name(self) -> str:
        """What the thing taken out may be called."""
        if len(self.places) == 1 and not self.fids:
            agent, path = self.places[0]
            return path.rpartition("/")[2] or agent
        return "logferry"


class Taking:
    """Picks of one identity, looked up."""

    def __init__(self, context: WebContext, who: Identity, picks: Picks) -> None:
        """Look everything up.

        Raises:
            NotFound: one of them is not there, or nothing is.
            BadQuery, Refused.
        """
        self._context = context
        self._who = who
        self._picks = picks
        self._sight = Sight.of(context, who)
        self._places = _outermost(picks.places)
        self._within = frozenset(self._places)
        self.picked = [self._sight.file(fid) for fid in picks.fids]
        """The single files, also those that lie in one of the places."""
        self._singles = [file for file in self.picked if not self._covered(file)]
        for agent, path in self._places:
            if next(self._sight.below(agent, path), None) is None:
                raise NotFound(f"there is nothing at {agent}:/{path}", hint="the folder above shows what there is")
        if picks.query and next(self._found(), None) is None:
            raise NotFound("no file matches", hint="the file search shows what a query finds")

    def agents(self) -> list[str]:
        """The agents that files may belong to."""
        if self._picks.query:
            return [agent.id for agent in self._context.catalog.agents.list()]
        return [agent for agent, _ in self._places] + [file.agent for file in self._singles]

    def files(self) -> Iterator[FileRecord]:
        """The files, each once."""
        if self._picks.query:
            yield from self._found()
            return
        for agent, path in self._places:
            yield from self._sight.below(agent, path)
        yield from self._singles

    def members(self) -> Iterator[Member]:
        """The files as a zip or tar takes them."""
        for file in self.files():
            yield Member(
                file.agent,
                file.path,
                file.number,
                file.size,
                file.modified_ns,
                file.sha256,
                partial(self._context.archive.open, file.generation_id),
            )

    def sources(self, *, text: bool) -> Iterator[Source]:
        """The files as they become rows; ``text``: compressed ones unpacked."""
        archive = self._context.archive
        zones = self._context.catalog.zones
        own = {agent: zone_named(zone) for agent, zone in zones.own().items()}
        default = zone_named(zones.default)
        for file in self.files():
            opened: Callable[[], AbstractContextManager[GenerationReader]] = (
                partial(_text_of, archive, file.generation_id) if text else partial(archive.open, file.generation_id)
            )
            yield Source(file.agent, file.path, file.number, opened, own.get(file.agent, default))

    def _found(self) -> Iterator[FileRecord]:
        cursor = None
        while True:
            page = self._context.search.find_files(
                self._picks.query, scope=self._who.scope, cursor=cursor, limit=PAGE_ITEMS_MAX
            )
            yield from page.files
            cursor = page.next
            if cursor is None:
                return

    def _covered(self, file: FileRecord) -> bool:
        parts = file.path.split("/")
        return any((file.agent, "/".join(parts[:count])) in self._within for count in range(len(parts) + 1))


@contextmanager
def _text_of(archive: Archive, generation_id: int) -> Iterator[GenerationReader]:
    """The text; when all of it was read, raises Damaged if that is not the whole text."""
    text = archive.text(generation_id)
    with text.reader as reader:
        yield reader
        if text.why:
            raise Damaged(text.why, where=f"generation {generation_id}")


def _outermost(places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Places of which none lies in another one."""
    kept: list[tuple[str, str]] = []
    # By components all that lies in a place comes right behind it, so the last one kept is the only one to ask.
    for place in sorted(set(places), key=lambda place: (place[0], place[1].split("/") if place[1] else [])):
        if not kept or not _holds(kept[-1], place):
            kept.append(place)
    return kept


def _holds(place: tuple[str, str], other: tuple[str, str]) -> bool:
    return place[0] == other[0] and (not place[1] or place[1] == other[1] or other[1].startswith(f"{place[1]}/"))
