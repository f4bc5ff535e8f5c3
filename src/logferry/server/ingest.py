"""What an FTP session sees of the archive: an agent delivers into its own tree, a person reads what the scope shows.

An agent's root is its own tree. It may upload, continue, rename its own names, make folders and set times; nothing it
does takes away what is archived, and it reads nothing back but names, sizes, times and the SHA-256 of whole files. A
person's root lists the agents; files are read through the archive's one reader. ``app.log;gen=2`` names an older
generation in RETR, SIZE, MDTM and MLST; listings do not show such names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import structlog

from logferry.archive import Archive, Catalog, GenerationReader, Incoming, WholeFile
from logferry.archive.catalog.facts import RESTORED
from logferry.archive.records import FileRecord, GenerationRecord, Node, Received
from logferry.errors import Conflict, Later, LogferryError, NotFound, NotPermitted
from logferry.ftp import BundleMember, Download, Entry, Filesystem, Outcome, Upload, User
from logferry.limits import STORED_FRESH_S
from logferry.names import checked_path, from_wire
from logferry.server.accounts import is_shared
from logferry.server.scope import Scope

log = structlog.get_logger("logferry.server")

_GENERATION = re.compile(r"(?P<name>.+);gen=(?P<number>[0-9]{1,12})", re.DOTALL)
_READ_ONLY = "the archive is read-only for people"


@lru_cache(maxsize=1024)  # the same path comes in STOR, SIZE and MFMT
def archive_path(virtual: str) -> str:
    """``/var/log/app.log`` as the wire has it -> ``var/log/app.log``. Raises BadName."""
    path = virtual[1:]
    if path.isascii() and path.isprintable():  # nothing that ``from_wire`` would change
        return checked_path(path)
    return checked_path("/".join(from_wire(part) for part in path.split("/"))) if path else ""


def entry(node: Node) -> Entry:
    """An entry of the tree as FTP lists it."""
    return Entry(node.name, node.is_folder, node.size, node.modified_ns, 0o755 if node.is_folder else 0o444)


class AgentFilesystem:
    """The ``Filesystem`` of one agent's session. ``failed`` is told what could not be stored, and why."""

    atomic = True
    keeps = True

    def __init__(
        self,
        archive: Archive,
        agent: str,
        failed: Callable[[str, str], None],
        *,
        mark: str = "",
        is_paused: Callable[[str], bool] = lambda _agent: False,
    ) -> None:
        """``mark``: of which restore the archive comes; ``is_paused``: whether a person paused an agent."""
        self.mark = mark
        self._is_paused = is_paused
        self._archive = archive
        self._agent = agent
        self._failed = failed
        self._stored: Received | None = None
        self._stored_as = ""
        self._stored_s = 0.0
        """The last upload of this session, its path as the wire has it, when (monotonic seconds)."""
        self._sent: tuple[int | None, int, int] = (None, 0, 0)
        """Into which generation that upload went, from where to where: a generation's bytes never change."""

    def stat(self, path: str) -> Entry:
        """The entry at ``path``. Raises NotFound."""
        return entry(self._archive.stat(self._agent, archive_path(path)))

    def entries(self, path: str) -> Iterator[Entry]:
        """What the agent's folder holds. Raises NotFound."""
        return map(entry, self._archive.entries(self._agent, archive_path(path)))

    def size(self, path: str) -> int:
        """Bytes stored and durable, those of an interrupted upload included. Raises NotFound."""
        stored = self._just_stored(path)
        if stored is not None:  # agents ask right behind each upload; the commit has just said it
            return stored.size
        size = self._archive.size(self._agent, archive_path(path))
        if size is None:
            raise NotFound(f"no file {path}")
        return size

    def open_download(self, path: str) -> Download:
        """Refused: whoever steals an agent's password reads nothing with it."""
        raise NotPermitted(f"agents deliver and do not read ({path})", hint="sign in as a person to read")

    def open_hash(
        self,
        path: str,
        algorithm: str,
        start: int,
        stop: int | None,
        *,
        may_read: bool,  # noqa: ARG002 - agents never read
    ) -> Download:
        """HASH of what is confirmed, so that an agent can verify it, but nothing by which a password's thief reads.

        Whoever may hash any range, or just any beginning, finds the bytes one by one. So an agent gets the SHA-256 of
        a whole current file, and anything within what this very session uploaded last, which its client knows anyway.
        A thief learns whether a whole file is one they have already (as repeating the upload would tell them too). An
        upload that is not whole is not hashed.
        """
        file = self._archive.catalog.files.at(self._agent, archive_path(path))
        if file is None or not file.has_current:
            raise NotFound(f"no whole file {path}")
        reader = self._archive.open(file.generation_id)
        stop = reader.size if stop is None else min(stop, reader.size)
        whole = start == 0 and stop == reader.size and algorithm == "SHA-256"
        sent_to, first, end = self._sent
        sent = sent_to == file.generation_id and first <= start <= stop <= end
        if not whole and not sent:
            reader.close()
            raise NotPermitted(
                f"agents hash whole files with SHA-256, or what they have just sent ({path})",
                hint="OPTS HASH SHA-256, and no RANG",
            )
        return _ReaderDownload(reader)

    def free_bytes(self, path: str) -> int:  # noqa: ARG002 - one disk for all
        """AVBL: how much may still arrive."""
        return self._archive.free_bytes()

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:
        """Begin an upload into the agent's tree."""
        if self._is_paused(self._agent):
            raise self._paused()
        self._stored = None
        try:
            incoming = self._archive.begin(self._agent, archive_path(path), offset=offset, append=append)
        except (LogferryError, OSError) as error:
            self._note(path, error)
            raise
        return _AgentUpload(incoming, lambda received, sent: self._note_stored(path, received, sent))

    def publish_many(self, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
        """Many small files of a bundle at once (``logferry.ftp.BundleFilesystem``)."""
        if self._is_paused(self._agent):
            return [self._paused()] * len(members)
        self._stored = None
        outcomes: list[Outcome] = [None] * len(members)
        files: list[WholeFile] = []
        places: list[int] = []
        for index, member in enumerate(members):
            try:
                path = archive_path(member.path)
                if member.data is None:
                    self._ensure_folder(path, make=make_folders)
                    continue
            except (LogferryError, OSError) as error:
                outcomes[index] = error
                continue
            files.append(WholeFile(path, member.data, member.modified_ns))
            places.append(index)
        stored = self._archive.store_many(self._agent, files, make_folders=make_folders)
        for index, outcome in zip(places, stored, strict=True):
            if isinstance(outcome, LogferryError):
                outcomes[index] = outcome
                self._note(members[index].path, outcome)
        return outcomes

    def _paused(self) -> Later:
        """Upon it an agent waits: its logs keep what is to be sent."""
        return Later(f"a person paused {self._agent}", hint="it goes on when it is let go on")

    def _ensure_folder(self, path: str, *, make: bool) -> None:
        """Raises NotPermitted where it is missing and may not be made."""
        try:
            if self._archive.stat(self._agent, path).is_folder:
                return
        except NotFound:
            if not make:
                raise NotPermitted(f"the folder {path} is missing and this user may make none") from None
        self._archive.make_folder(self._agent, path)

    def make_folder(self, path: str) -> None:
        """Make a folder. Raises Conflict."""
        self._archive.make_folder(self._agent, archive_path(path))

    def remove_folder(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"agents cannot remove {path}", hint="what is archived stays")

    def remove_file(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"agents cannot remove {path}", hint="what is archived stays")

    def rename(self, source: str, target: str) -> None:
        """Publish, move aside or move within the agent's own tree."""
        self._stored = None
        try:
            self._archive.rename(self._agent, archive_path(source), archive_path(target))
        except (LogferryError, OSError) as error:
            self._note(target, error)
            raise

    def set_modified(self, path: str, ns: int) -> None:
        """Note the node's modification time."""
        stored = self._just_stored(path)
        generation_id = stored.generation_id if stored is not None else None
        self._archive.set_modified(self._agent, archive_path(path), ns, generation_id=generation_id)

    def _note_stored(self, path: str, received: Received, sent: tuple[int, int]) -> None:
        self._stored, self._stored_as, self._stored_s = received, path, time.monotonic()
        self._sent = (received.generation_id, *sent)

    def _just_stored(self, path: str) -> Received | None:
        """What this session stored at ``path`` a moment ago, if that was the last thing it stored."""
        fresh = self._stored_as == path and time.monotonic() - self._stored_s < STORED_FRESH_S
        return self._stored if fresh else None

    def _note(self, path: str, error: Exception) -> None:
        """Tell what failed; a conflict or an absent file is part of the protocol, the agent has an answer to it."""
        if not isinstance(error, (Conflict, NotFound)):
            self._failed(self._agent, f"{path}: {error}")


class _AgentUpload:
    """An upload into the archive as FTP sees it. Its failures come back as the server's ``Incomplete`` events."""

    __slots__ = ("_incoming", "_start", "_stored", "write")

    def __init__(self, incoming: Incoming, stored: Callable[[Received, tuple[int, int]], None]) -> None:
        self._incoming = incoming
        self._stored = stored
        self._start = incoming.position
        self.write = incoming.write

    @property
    def position(self) -> int:
        """Where the next byte lands."""
        return self._incoming.position

    def commit(self) -> None:
        """Make it durable and findable."""
        end = self._incoming.position
        self._stored(self._incoming.commit(), (self._start, end))

    def abandon(self) -> None:
        """Keep what can be continued."""
        try:
            self._incoming.abandon()
        except LogferryError as error:  # nothing was promised; the next upload of the path finds out
            log.warning("a broken upload could not be kept", path=self._incoming.path, error=str(error))


class _ReaderDownload:
    """A generation's bytes as an FTP download."""

    def __init__(self, reader: GenerationReader) -> None:
        self._reader = reader
        self.size = reader.size
        self.fileno = reader.fileno
        self.read_at = reader.read_at
        self.close = reader.close


class ReadingFilesystem:
    """The ``Filesystem`` of a person's session: agents at the root, everything limited to what ``scope`` says now."""

    atomic = False

    def __init__(self, archive: Archive, catalog: Catalog, scope: Callable[[], Scope]) -> None:
        self._archive = archive
        self._catalog = catalog
        self._scope = scope

    def stat(self, path: str) -> Entry:
        """The entry at ``path``, which may name an older generation. Raises NotFound."""
        agent, inner = self._split(path)
        if not agent:
            return Entry("", True, 0, 0, 0o555)
        if not inner:
            return self._agent_entry(agent)
        older = self._older(agent, inner)
        if older is not None:
            return Entry(inner.rpartition("/")[2], False, older.size, older.modified_ns, 0o444)
        node = self._archive.stat(agent, inner)
        scope = self._scope()
        seen = scope.may_hold(agent, inner) if node.is_folder else scope.sees(agent, inner)
        if not seen:
            raise _not_found(path)
        return entry(node)

    def entries(self, path: str) -> Iterator[Entry]:
        """What a folder holds of what may be seen. Raises NotFound."""
        agent, inner = self._split(path)
        if not agent:
            return self._agents()
        self._agent_entry(agent)
        if inner and not self._scope().may_hold(agent, inner):
            raise _not_found(path)
        return self._visible(agent, inner, self._archive.entries(agent, inner))

    def size(self, path: str) -> int:
        """Bytes of a file or of an older generation. Raises NotFound."""
        found = self.stat(path)
        if found.is_folder:
            raise _not_found(path)
        return found.size

    def open_download(self, path: str) -> Download:
        """Open a file, or an older generation of it, through the archive's reader. Raises NotFound."""
        agent, inner = self._split(path)
        older = self._older(agent, inner)
        generation = older.id if older is not None else self._file(agent, inner).generation_id
        return _ReaderDownload(self._archive.open(generation))

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:  # noqa: ARG002 - the protocol's names
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({path})", hint="deliver with an agent's user")

    def make_folder(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({path})")

    def remove_folder(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({path})")

    def remove_file(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({path})")

    def rename(self, source: str, target: str) -> None:  # noqa: ARG002
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({source})")

    def set_modified(self, path: str, ns: int) -> None:  # noqa: ARG002
        """Refused."""
        raise NotPermitted(f"{_READ_ONLY} ({path})")

    def _split(self, virtual: str) -> tuple[str, str]:
        agent, _, inner = archive_path(virtual).partition("/")
        return agent, inner

    def _agents(self) -> Iterator[Entry]:
        scope = self._scope()
        for agent in self._catalog.agents.list():
            if scope.may_hold(agent.id, ""):
                yield Entry(agent.id, True, 0, agent.uploaded_ns or agent.created_ns, 0o555)

    def _agent_entry(self, agent: str) -> Entry:
        found = self._catalog.agents.get(agent)
        if found is None or not self._scope().may_hold(agent, ""):
            raise _not_found(f"/{agent}")
        return Entry(agent, True, 0, found.uploaded_ns or found.created_ns, 0o555)

    def _visible(self, agent: str, folder: str, nodes: Iterator[Node]) -> Iterator[Entry]:
        scope = self._scope()
        for node in nodes:
            path = f"{folder}/{node.name}" if folder else node.name
            if scope.may_hold(agent, path) if node.is_folder else scope.sees(agent, path):
                yield entry(node)

    def _file(self, agent: str, inner: str) -> FileRecord:
        found = self._catalog.files.at(agent, inner) if inner and self._scope().sees(agent, inner) else None
        if found is None:
            raise _not_found(f"/{agent}/{inner}")
        return found

    def _older(self, agent: str, inner: str) -> GenerationRecord | None:
        """The generation that ``name;gen=N`` means, None for any other name. Raises NotFound."""
        matched = _GENERATION.fullmatch(inner)
        if matched is None or self._catalog.files.at(agent, inner) is not None:  # a file may really be called that
            return None
        file = self._file(agent, matched["name"])
        found = self._catalog.files.generation(file.id, int(matched["number"]))
        if found is None or (found.file_id != file.id and not self._holder_is_seen(found)):
            raise _not_found(f"/{agent}/{inner}")
        return found

    def _holder_is_seen(self, generation: GenerationRecord) -> bool:
        """Whether the path that a generation moved on to may be seen as well: there it may have grown."""
        holder = self._catalog.files.get(generation.file_id)
        return holder is not None and self._scope().sees(holder.agent, holder.path)


def _not_found(path: str) -> NotFound:
    return NotFound(f"no such file: {path}")


def filesystems(
    archive: Archive,
    catalog: Catalog,
    failed: Callable[[str, str], None],
    *,
    is_paused: Callable[[str], bool],
    shared: Callable[[str, Callable[[str], AgentFilesystem], str], Filesystem],
) -> Callable[[User], Filesystem]:
    """The factory that gives each FTP session its view: an agent's by the user's home, a person's by the scope.

    ``shared`` makes that of a user whom agents share, from its home, what makes the view of one, and the mark.
    ``is_paused``: whether an agent's uploads wait.
    """

    mark = catalog.facts.get(RESTORED)  # nothing is restored while a server runs

    def own(agent: str) -> AgentFilesystem:
        return AgentFilesystem(archive, agent, failed, mark=mark, is_paused=is_paused)

    def make(user: User) -> Filesystem:
        if is_shared(user.home):
            return shared(user.home, own, mark)
        if user.home:
            return own(user.home)

        def scope() -> Scope:
            # Asked anew for each command: a scope that was narrowed holds for whoever is connected, too.
            record = catalog.people.user(user.name)
            if record is None:
                raise NotFound(f"no user {user.name}")
            return Scope(record.scope)

        scope()
        return ReadingFilesystem(archive, catalog, scope)

    return make
