"""What one identity may see of the archive. The only place where scopes are applied: routes and pages ask here.

No right and no such thing look the same: both are NotFound. For an identity that sees only a part, the sums of agents
and folders count that part alone.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.measuring import Measures
from logferry.archive.records import (
    AgentRecord,
    CopyRecord,
    FileRecord,
    FolderPage,
    FolderRecord,
    GenerationRecord,
)
from logferry.compressed import form_by_name
from logferry.errors import NotFound
from logferry.limits import FOLDER_PAGE_ENTRIES
from logferry.server.people import Identity
from logferry.server.scope import Scope
from logferry.web.context import WebContext


@dataclasses.dataclass(slots=True)
class _Sum:
    files: int = 0
    bytes: int = 0
    changed_ns: int = 0

    def add(self, file: FileRecord) -> None:
        self.files += 1
        self.bytes += file.size
        self.changed_ns = max(self.changed_ns, file.changed_ns)


class Sight:
    """The archive as one identity sees it."""

    def __init__(self, catalog: Catalog, archive: Archive, scope: Scope) -> None:
        self._catalog = catalog
        self._archive = archive
        self.scope = scope

    @classmethod
    def of(cls, context: WebContext, who: Identity) -> Sight:
        """What ``who`` sees."""
        return cls(context.catalog, context.archive, who.scope)

    # Agents ----------------------------------------------------------------------------------------------------------

    def agents(self) -> list[AgentRecord]:
        """The agents of which anything may be seen, by id."""
        return [self._summed(agent) for agent in self._catalog.agents.list() if self.scope.may_hold(agent.id, "")]

    def agent(self, agent_id: str) -> AgentRecord:
        """One agent. Raises NotFound."""
        found = self._catalog.agents.get(agent_id) if self.scope.may_hold(agent_id, "") else None
        if found is None:
            raise NotFound(f"there is no agent {agent_id}", hint="the list of agents shows those you may see")
        return self._summed(found)

    def _summed(self, agent: AgentRecord) -> AgentRecord:
        if self.scope.covers(agent.id, ""):
            return agent
        total = _Sum()
        for file in self._seen_below(agent.id, ""):
            total.add(file)
        last = agent.last_path if self.scope.sees(agent.id, agent.last_path) else ""
        # An error text names paths: it is for those who may see all of the agent.
        error = "an upload failed" if agent.error else ""
        return dataclasses.replace(agent, files=total.files, bytes=total.bytes, last_path=last, error=error)

    # Folders ---------------------------------------------------------------------------------------------------------

    def folder(
        self, agent: str, path: str, *, cursor: str | None = None, limit: int = FOLDER_PAGE_ENTRIES
    ) -> tuple[FolderRecord, FolderPage]:
        """A folder and one page of what lies in it. Raises NotFound, Refused for a foreign cursor."""
        record = self._catalog.files.folder_record(agent, path) if self.scope.may_hold(agent, path) else None
        if record is None:
            # An agent that has sent nothing yet has no root folder, but it exists.
            if path == "" and self.scope.may_hold(agent, "") and self._catalog.agents.get(agent) is not None:
                return FolderRecord(agent, "", "", 0, 0, 0), FolderPage((), (), None)
            raise NotFound(f"there is no folder {agent}/{path}", hint="the folder above shows what there is")
        page = self._catalog.files.folder(agent, path, cursor=cursor, limit=limit)
        if self.scope.covers(agent, path):
            return record, page
        return self._narrowed(record, page)

    def _narrowed(self, record: FolderRecord, page: FolderPage) -> tuple[FolderRecord, FolderPage]:
        whole, parts = _Sum(), defaultdict[str, _Sum](_Sum)
        skip = len(record.path) + 1 if record.path else 0
        for file in self._seen_below(record.agent, record.path):
            whole.add(file)
            name, slash, _ = file.path[skip:].partition("/")
            if slash:
                parts[name].add(file)
        if not whole.files:
            raise NotFound(f"there is no folder {record.agent}/{record.path}", hint="it may have been removed")
        folders = tuple(_with_sum(folder, parts[folder.name]) for folder in page.folders if folder.name in parts)
        files = tuple(file for file in page.files if self.scope.sees(file.agent, file.path))
        return _with_sum(record, whole), FolderPage(folders, files, page.next)

    def below(self, agent: str, path: str) -> Iterator[FileRecord]:
        """The file at ``path``, or all files below that folder, by path. Nothing where nothing may be seen."""
        if self.scope.may_hold(agent, path) or self.scope.sees(agent, path):
            yield from self._seen_below(agent, path)

    def _seen_below(self, agent: str, folder: str) -> Iterator[FileRecord]:
        for file in self._catalog.files.each(agents=[agent], below=folder):
            if self.scope.sees(file.agent, file.path):
                yield file

    # Files -----------------------------------------------------------------------------------------------------------

    def file_at(self, agent: str, path: str) -> FileRecord:
        """The file at a path. Raises NotFound."""
        found = self._catalog.files.at(agent, path) if self.scope.sees(agent, path) else None
        if found is None:
            raise _no_file(f"{agent}/{path}")
        return found

    def named(self, agent: str, folder: str, prefix: str, limit: int) -> list[FileRecord]:
        """Files directly in a folder whose names begin with ``prefix``, by name; at most ``limit`` are looked at."""
        found = self._catalog.files.named(agent, folder, prefix, limit)
        return [file for file in found if self.scope.sees(file.agent, file.path)]

    def file(self, file_id: int) -> FileRecord:
        """The file with this id. Raises NotFound."""
        found = self._catalog.files.get(file_id)
        if found is None or not self.scope.sees(found.agent, found.path):
            raise _no_file(f"number {file_id}")
        return found

    def generation(self, file_id: int, number: int | None) -> tuple[FileRecord, GenerationRecord]:
        """A generation that the file has or had under ``number`` (None: the shown one), with its file.

        Between the two halves of a rotation a path holds nothing; then the file is the one that has the bytes now.
        Raises NotFound.
        """
        found = self._catalog.files.generation(file_id, number)
        if found is None or found.file_id == file_id:
            file = self.file(file_id)
        else:
            # Its bytes moved on to another path: that path must be seen as well.
            holder = self.file(found.file_id)
            file = holder if self._catalog.files.get(file_id) is None else self.file(file_id)
        if found is None:
            raise NotFound(
                f"{file.agent}/{file.path} has no generation {number}",
                hint="the list of its generations shows those kept",
            )
        return file, found

    def originals(self, files: Iterable[FileRecord]) -> dict[int, CopyRecord]:
        """Those of the files whose shown generation is a compressed copy of one that may be seen, by generation id."""
        packed = [file.generation_id for file in files if form_by_name(file.name)]
        if not packed:
            return {}
        links = self._catalog.copies.links(packed)
        return {made: link for made, link in links.items() if self.scope.sees(link.agent, link.path)}

    def measures(self, files: Iterable[FileRecord]) -> dict[int, Measures]:
        """How many lines the shown generations of files have, and from when to when, by generation id; nothing of
        those of which it is not known, and of compressed ones, whose bytes are no lines."""
        sizes = [(file.generation_id, file.size) for file in files if not form_by_name(file.name)]
        return self._catalog.measuring.of(sizes) if sizes else {}

    def generations(self, file_id: int) -> list[GenerationRecord]:
        """All generations held under a file, oldest first. Raises NotFound."""
        return self._catalog.files.generations(self.file(file_id).id)

    def next_generation(self, file_id: int, number: int) -> int | None:
        """The number of the first generation after ``number`` that the path has had; None while there is none."""
        later = [g.number for g in self._catalog.files.generations(file_id) if g.number > number]
        return min(later, default=None)


def _with_sum(folder: FolderRecord, total: _Sum) -> FolderRecord:
    return dataclasses.replace(folder, files=total.files, bytes=total.bytes, changed_ns=total.changed_ns)


def _no_file(what: str) -> NotFound:
    return NotFound(f"there is no file {what}", hint="the folder above shows what there is")
