"""Looking files up in the catalog: by path, by id, folder by folder, by pattern, or all of them.

Lists are read in pages with a cursor that names the last entry seen, so a page costs the same wherever it is and
stays right while files arrive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Dialect, and_, bindparam, case, func, literal_column, null, or_, select, tuple_
from sqlalchemy.engine import Engine

from logferry.archive.catalog.filing import LIVE
from logferry.archive.catalog.nameblocks import Named, folded, having_all
from logferry.archive.catalog.naming import Naming
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import files, folders, former_names, generations
from logferry.archive.records import FilePage, FileRecord, FolderPage, FolderRecord, GenerationRecord, Sums
from logferry.errors import Refused
from logferry.limits import (
    CATALOG_PAGE_ROWS,
    FIND_AGENTS_MAX,
    FIND_WALK_ROWS,
    FIND_WALK_ROWS_MAX,
    FOLDER_PAGE_ENTRIES,
)

_G = generations.c
_SHOWN = files.join(generations, and_(_G.file_id == files.c.id, _G.number == files.c.shown))
_SHA = case((_G.sha256_size == _G.size, _G.sha256), else_=null())
# In the order of FileRecord's fields; has_current becomes a truth value in _file.
_FILE = (
    files.c.id, files.c.agent_id, files.c.path, files.c.name, _G.size, _G.number, files.c.held, _G.ended_ns,
    _G.modified_ns, _G.started_ns, _G.changed_ns, _SHA, _G.id,
)  # fmt: skip
_GENERATION = (
    _G.id, _G.file_id, _G.number, _G.size, _G.started_ns, _G.changed_ns, _G.ended_ns, _G.modified_ns, _SHA,
    _G.state, _G.place, files.c.agent_id, files.c.path,
)  # fmt: skip
_HELD = files.join(generations, _G.file_id == files.c.id)
_FOLDER = (
    folders.c.agent_id, folders.c.path, folders.c.name, folders.c.files, folders.c.bytes, folders.c.changed_ns,
    folders.c.present,
)  # fmt: skip


class Files:
    """The files of all agents, as they were last committed. Thread-safe."""

    def __init__(self, engine: Engine, readers: Readers, naming: Naming) -> None:
        self._engine = engine
        self._readers = readers
        self._naming = naming
        dialect: Dialect = engine.dialect
        by_path = and_(files.c.agent_id == bindparam("agent"), files.c.path == bindparam("at"))
        by_id = files.c.id == bindparam("file")
        this = _G.id == bindparam("generation")
        self._at = Prepared(select(*_FILE).select_from(_SHOWN).where(by_path), dialect)
        self._get = Prepared(select(*_FILE).select_from(_SHOWN).where(by_id), dialect)
        self._generation = Prepared(select(*_GENERATION).select_from(_HELD).where(this), dialect)
        number = _G.number == bindparam("number")
        self._numbered = Prepared(select(*_GENERATION).select_from(_HELD).where(by_id, number), dialect)
        self._shown = Prepared(select(*_GENERATION).select_from(_SHOWN).where(by_id), dialect)
        self._all = Prepared(select(*_GENERATION).select_from(_HELD).where(by_id).order_by(_G.number), dialect)
        self._holds = Prepared(
            select(_G.id).where(_G.place == bindparam("where"), _G.place != literal_column("''")).limit(1), dialect
        )
        self._former = Prepared(
            select(former_names.c.generation_id).where(
                former_names.c.file_id == bindparam("file"), former_names.c.number == bindparam("number")
            ),
            dialect,
        )
        self._folder_id = Prepared(
            select(folders.c.id, *_FOLDER).where(
                folders.c.agent_id == bindparam("agent"), folders.c.path == bindparam("at")
            ),
            dialect,
        )

    # One file, one generation ----------------------------------------------------------------------------------------

    def at(self, agent: str, path: str) -> FileRecord | None:
        """The file at ``path``, or None when there is none or it holds nothing any more."""
        with self._readers.cursor() as cursor:
            return _file(self._at.one(cursor, agent=agent, at=path))

    def get(self, file_id: int) -> FileRecord | None:
        """The file with this id, or None when there is none or it holds nothing any more."""
        with self._readers.cursor() as cursor:
            return _file(self._get.one(cursor, file=file_id))

    def generations(self, file_id: int) -> list[GenerationRecord]:
        """The generations held under a file, oldest first."""
        with self._readers.cursor() as cursor:
            return [_generation(row) for row in self._all.all(cursor, file=file_id)]

    def generation(self, file_id: int, number: int | None = None) -> GenerationRecord | None:
        """The generation that a file had under ``number`` (None: the shown one), wherever it is held now."""
        with self._readers.cursor() as cursor:
            if number is None:
                row = self._shown.one(cursor, file=file_id)
            else:
                row = self._numbered.one(cursor, file=file_id, number=number)
                if row is None:
                    moved = self._former.one(cursor, file=file_id, number=number)
                    row = self._generation.one(cursor, generation=moved[0]) if moved else None
            return _generation(row) if row is not None else None

    def by_generation(self, generation_id: int) -> tuple[FileRecord, GenerationRecord] | None:
        """A generation by its id, with the file that holds it now."""
        with self._readers.cursor() as cursor:
            row = self._generation.one(cursor, generation=generation_id)
            if row is None:
                return None
            file = _file(self._get.one(cursor, file=row[1]))
            return (file, _generation(row)) if file is not None else None

    def every_generation(self) -> Iterator[GenerationRecord]:
        """All generations held, by id. Reads on as it is consumed, some rows at a time."""
        last = 0
        while True:
            query = select(*_GENERATION).select_from(_HELD).where(_G.id > last).order_by(_G.id).limit(CATALOG_PAGE_ROWS)
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield _generation(row)
            if len(rows) < CATALOG_PAGE_ROWS:
                return
            last = rows[-1][0]

    def holds(self, place: str) -> bool:
        """Whether a generation lies at ``place`` in ``generations``."""
        with self._readers.cursor() as cursor:
            return self._holds.one(cursor, where=place) is not None

    # Lists -----------------------------------------------------------------------------------------------------------

    def folder_record(self, agent: str, path: str) -> FolderRecord | None:
        """The folder at ``path`` (``""``: the agent's root) with its sums, or None."""
        with self._readers.cursor() as cursor:
            row = self._folder_id.one(cursor, agent=agent, at=path)
            return _folder(row[1:]) if row is not None else None

    def folder(
        self, agent: str, path: str, *, cursor: str | None = None, limit: int = FOLDER_PAGE_ENTRIES
    ) -> FolderPage:
        """One page of what lies directly in a folder: folders first, then files, each by name in byte order.

        A folder that does not exist is an empty page (ask ``folder_record``).

        Raises:
            Refused: the cursor is not one of ours.
        """
        stage, after = _opened(cursor, ("d", "f")) if cursor else ("d", [""])
        with self._readers.cursor() as raw:
            row = self._folder_id.one(raw, agent=agent, at=path)
        if row is None:
            return FolderPage((), (), None)
        found_folders: list[FolderRecord] = []
        if stage == "d":
            found_folders = self._folders_in(int(row[0]), after[0], limit + 1)
            if len(found_folders) > limit:
                kept = found_folders[:limit]
                return FolderPage(tuple(kept), (), _closed("d", kept[-1].name))
            after = [""]
        room = limit - len(found_folders)
        found = self._files_in(int(row[0]), after[0], room + 1)
        if len(found) <= room:
            return FolderPage(tuple(found_folders), tuple(found), None)
        last = found[room - 1].name if room else ""
        return FolderPage(tuple(found_folders), tuple(found[:room]), _closed("f", last))

    def named(self, agent: str, folder: str, prefix: str, limit: int) -> list[FileRecord]:
        """The first ``limit`` files directly in a folder whose names begin with ``prefix``, by name."""
        with self._readers.cursor() as raw:
            row = self._folder_id.one(raw, agent=agent, at=folder)
        if row is None or not prefix:
            return []
        exact = self.at(agent, f"{folder}/{prefix}" if folder else prefix)
        found = [exact] if exact is not None else []
        after = prefix
        while len(found) < limit:
            page = self._files_in(int(row[0]), after, FOLDER_PAGE_ENTRIES)
            kept = [file for file in page if file.name.startswith(prefix)]
            found += kept
            if len(kept) < FOLDER_PAGE_ENTRIES:
                break
            after = kept[-1].name
        return found[:limit]

    def find(
        self,
        *,
        needed: Sequence[str] = (),
        agents: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = FOLDER_PAGE_ENTRIES,
    ) -> FilePage:
        """One page of files, by agent and path.

        Args:
            needed: texts that stand in ``agent/path``, in any case: only files with all of them.
            agents: only files of these; None: of all.

        Raises:
            Refused: the cursor is not one of ours.
        """
        after = (str(opened[0]), str(opened[1])) if cursor and (opened := _opened(cursor, ("p",))[1]) else None
        wanted = None if agents is None else frozenset(agents)
        rows = self._candidates([folded(text) for text in needed if text], wanted, after, limit)
        found: list[FileRecord] = []
        for row in rows:
            if wanted is not None and row[1] not in wanted:
                continue
            found.append(_known(row))
            if len(found) > limit:
                return FilePage(tuple(found[:limit]), self.cursor_behind(found[limit - 1]))
        return FilePage(tuple(found), None)

    @staticmethod
    def cursor_behind(file: FileRecord) -> str:
        """The cursor for ``find`` with which a page begins behind this file."""
        return _closed("p", file.agent, file.path)

    def each(self, *, agents: Sequence[str] | None = None, below: str = "") -> Iterator[FileRecord]:
        """Every file shown, by agent and path: of ``agents`` (None: all), at or below the folder ``below``.

        Reads on as it is consumed, some rows at a time, so what changes meanwhile may be seen or not.
        """
        for agent in [None] if agents is None else sorted(set(agents)):
            for row in self._walk(agent, below, None):
                if not below or row[2] == below or row[2].startswith(below + "/"):
                    yield _known(row)

    def sums(self, agent: str | None = None) -> Sums:
        """How much there is, of one agent or of all. Counts all generations: not for every page view."""
        roots = select(func.coalesce(func.sum(folders.c.files), 0), func.coalesce(func.sum(folders.c.bytes), 0)).where(
            folders.c.path == ""
        )
        held = select(func.count(_G.id), func.coalesce(func.sum(_G.size), 0)).select_from(_HELD)
        if agent is not None:
            roots, held = roots.where(folders.c.agent_id == agent), held.where(files.c.agent_id == agent)
        with self._engine.connect() as connection:
            shown, all_held = connection.execute(roots).one(), connection.execute(held).one()
        return Sums(int(shown[0]), int(shown[1]), int(all_held[0]), int(all_held[1]))

    def current_below(self, agent: str, folder: str, limit: int) -> list[str]:
        """Paths below ``folder`` that have a current generation, the first ``limit`` in byte order."""
        query = (
            select(files.c.path)
            .select_from(_SHOWN)
            .where(
                files.c.agent_id == agent, files.c.path > f"{folder}/", files.c.path < f"{folder}0",
                _G.ended_ns.is_(null()),
            )
            .order_by(files.c.path)
            .limit(limit)
        )  # fmt: skip
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def folders_below(self, agent: str, folder: str) -> list[str]:
        """Paths of the folders below ``folder`` that the node has."""
        query = select(folders.c.path).where(
            folders.c.agent_id == agent, folders.c.path > f"{folder}/", folders.c.path < f"{folder}0",
            folders.c.present == 1,
        )  # fmt: skip
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(folders.c.path)).scalars())

    # Inside ----------------------------------------------------------------------------------------------------------

    def _folders_in(self, folder_id: int, after: str, limit: int) -> list[FolderRecord]:
        query = (
            select(*_FOLDER)
            .where(
                folders.c.parent_id == folder_id,
                folders.c.name > after,
                or_(folders.c.present == 1, folders.c.files > 0),
            )
            .order_by(folders.c.name)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_folder(row) for row in connection.execute(query)]

    def _files_in(self, folder_id: int, after: str, limit: int) -> list[FileRecord]:
        query = (
            select(*_FILE)
            .select_from(_SHOWN)
            .where(files.c.folder_id == folder_id, files.c.name > after)
            .order_by(files.c.name)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_known(row) for row in connection.execute(query)]

    def _candidates(
        self, literals: list[str], agents: frozenset[str] | None, after: tuple[str, str] | None, limit: int
    ) -> Iterator[Any]:
        """Rows of files by (agent, path), behind ``after``, whose names have all of ``literals`` (folded) in them.

        Those of other agents than ``agents`` may be among them.
        """
        if literals and agents is not None and self._are_few(agents):
            for names in self._naming.of_agents(sorted(agents), after or ("", "")):
                yield from self._rows_of(having_all(names, literals), limit)
            return
        if not literals:
            for agent in [None] if agents is None else sorted(agents):
                yield from self._walk(agent, "", after)
            return
        # Where there are many, going through all in their order finds a page of them sooner than asking the blocks.
        after = after or ("", "")
        left = max(FIND_WALK_ROWS, self._naming.worth_walking(literals, limit))
        while left > 0:
            names = self._naming.following(after)
            yield from self._rows_of(having_all(names, literals), limit)
            if len(names) < CATALOG_PAGE_ROWS:
                return
            after = names[-1][:2]
            left -= len(names)
        count = max(2 * limit, CATALOG_PAGE_ROWS)
        while True:
            names = self._naming.first(literals, after, count)
            yield from self._rows_of(names, limit)
            if len(names) < count:
                return
            after = names[-1][:2]

    def _are_few(self, agents: frozenset[str]) -> bool:
        """Whether all files of these agents are soon gone through."""
        if len(agents) > FIND_AGENTS_MAX:
            return False
        roots = and_(folders.c.agent_id.in_(sorted(agents)), folders.c.path == "")
        with self._engine.connect() as connection:
            count = connection.execute(select(func.coalesce(func.sum(folders.c.files), 0)).where(roots)).scalar_one()
        return int(count) <= FIND_WALK_ROWS_MAX

    def _rows_of(self, names: Sequence[Named], limit: int) -> Iterator[Any]:
        """What is shown of these files, by (agent, path): of as many at a time as may be wanted (``limit``)."""
        step = min(limit + 1, CATALOG_PAGE_ROWS)
        for start in range(0, len(names), step):
            ids = [name.id for name in names[start : start + step]]
            query = select(*_FILE).select_from(_SHOWN).where(files.c.id.in_(ids))
            with self._engine.connect() as connection:
                yield from sorted(connection.execute(query).all(), key=lambda row: (row[1], row[2]))

    def _walk(self, agent: str | None, below: str, after: tuple[Any, ...] | None) -> Iterator[Any]:
        """Rows of files by (agent, path), of ``agent`` (None: of all), paths beginning with ``below``.

        Plain rows, read without Core: somebody may look through millions of them for a few.
        """
        narrowed: list[ColumnElement[bool]] = []
        if agent is not None:
            narrowed.append(files.c.agent_id == agent)
        if below:
            narrowed += [files.c.path >= below, files.c.path < f"{below}\U0010ffff"]  # in byte order of UTF-8
        base = select(*_FILE).select_from(_SHOWN).where(*narrowed).order_by(files.c.agent_id, files.c.path)
        dialect, page = self._engine.dialect, base.limit(CATALOG_PAGE_ROWS)
        first = Prepared(page, dialect)
        beyond = tuple_(files.c.agent_id, files.c.path) > tuple_(bindparam("last_agent"), bindparam("last_path"))
        following = Prepared(page.where(beyond), dialect)
        while True:
            with self._readers.cursor() as cursor:
                if after is None:
                    rows = first.all(cursor)
                else:
                    rows = following.all(cursor, last_agent=after[0], last_path=after[1])
            yield from rows
            if len(rows) < CATALOG_PAGE_ROWS:
                return
            after = (rows[-1][1], rows[-1][2])


def _file(row: Any | None) -> FileRecord | None:
    return _known(row) if row is not None else None


def _known(row: Any) -> FileRecord:
    values = list(row)
    values[7] = values[7] is None
    return FileRecord(*values)


def _folder(row: Any) -> FolderRecord:
    values = list(row)
    values[6] = bool(values[6])
    return FolderRecord(*values)


def _generation(row: Any) -> GenerationRecord:
    values, (sha256, state, place, agent, path) = list(row[:8]), row[8:]
    values += [sha256, row[6] is None, f"live/{agent}/{path}" if state == LIVE else place]
    return GenerationRecord(*values)


def _closed(stage: str, *after: str) -> str:
    return json.dumps([stage, *after], separators=(",", ":"))


def _opened(cursor: str, stages: tuple[str, ...]) -> tuple[str, list[str]]:
    try:
        stage, *after = json.loads(cursor)
        json.dumps(after, ensure_ascii=False).encode()  # fails on half a surrogate pair, which no name holds
    except (ValueError, TypeError, RecursionError):
        stage, after = "", []
    if stage not in stages or not after or not all(isinstance(part, str) for part in after):
        raise Refused("the cursor is not one this server made", hint="start again without a cursor")
    if (stage == "p") != (len(after) == 2):
        raise Refused("the cursor is not one this server made", hint="start again without a cursor")
    return stage, after
