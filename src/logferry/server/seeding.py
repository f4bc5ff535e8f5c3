"""The older system's agents, users and stored tree into an archive. What is here already stays as it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from logferry import settings
from logferry.archive import Archive, Catalog, WholeFile
from logferry.archive.catalog.facts import TAKEN_OVER
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadName, Conflict, LogferryError, NotFound, Refused
from logferry.ftp.passwords import hash_password
from logferry.limits import (
    BUNDLE_BATCH_BYTES,
    BUNDLE_BATCH_MEMBERS,
    BUNDLE_MEMBER_BYTES_MAX,
    COPY_BYTES,
    OLD_CONFIG_BYTES_MAX,
    PASSWORD_CHARS_MAX,
    PASSWORD_CHARS_MIN,
    SEED_AGENTS_PER_USER_MAX,
)
from logferry.names import checked_agent_id, folded
from logferry.seed.decisions import Decision
from logferry.seed.reading import ConfigCopy, StoredFile, stored
from logferry.seed.users import UserPlan
from logferry.server import older_tree
from logferry.server.config import ServerConfig
from logferry.server.people import NO_PASSWORD, People, checked_user_name
from logferry.server.several import QUARANTINE, put_aside

Tell = Callable[[int, int], None]
"""Hears of files and bytes that were taken over."""


@dataclass(slots=True)
class Tree:
    """What was, or would be, taken over of one agent's files."""

    agent: str
    files: int = 0
    bytes: int = 0
    known: int = 0
    """Files that the archive holds already."""
    copies: list[ConfigCopy] = field(default_factory=list)
    said: list[Decision] = field(default_factory=list)
    failed: int = 0
    """Files that could not be taken over; ``said`` names them."""


class Delivering:
    """Users of the older kind: FTP alone, for several agents or for one. Changes count at once."""

    def __init__(self, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._catalog = catalog
        self._clock = clock

    def all(self) -> list[tuple[str, tuple[str, ...], bool]]:
        """(name, agents, whether it has a password and may log in) of each that several agents may share."""
        return [
            (row.name, row.scope, row.enabled and row.password_hash != NO_PASSWORD)
            for row in self._catalog.people.users()
            if row.role == "agent" and row.agent_id is None
        ]

    def add(self, name: str, agents: Sequence[str], password: str, *, home: str = "") -> None:
        """Add a user that delivers for ``agents``, or that has the tree of ``home`` as its root.

        ``password`` empty: it may not log in until it gets one.

        Raises:
            BadName, Conflict: the name is not allowed, or taken.
        """
        for agent in (*agents, *([home] if home else [])):
            self.need_agent(agent)
        self._catalog.people.add_user(
            checked_user_name(name), role="agent", scope=() if home else tuple(agents),
            password_hash=hash_password(password) if password else NO_PASSWORD,
            now_ns=self._clock.now_ns(), agent_id=home or None,
        )  # fmt: skip

    def change(
        self, name: str, *, more: Iterable[str] = (), less: Iterable[str] = (), password: str | None = None
    ) -> tuple[str, ...]:
        """Let a user deliver for more agents, or fewer, or give it another password; for whom it delivers now.

        Raises:
            NotFound: there is no such user that delivers.
            Refused: the password is too short, the agents are too many.
        """
        row = self._catalog.people.user(name)
        if row is None or row.role != "agent":
            raise NotFound(f"no user {name!r} that delivers", hint="`logferry admin delivers` shows all")
        dropped = set(less)
        if row.agent_id is not None and (dropped or list(more)):
            raise Refused(f"{row.name} has the tree of {row.agent_id} as its root", hint="others cannot share it")
        agents = tuple(dict.fromkeys(a for a in (*row.scope, *more) if a not in dropped))
        if len(agents) > SEED_AGENTS_PER_USER_MAX:
            raise Refused(f"{row.name} would deliver for {len(agents):,} agents", hint="join them instead")
        for agent in agents:
            self.need_agent(agent)
        values: dict[str, object] = {"scope": agents}
        if password is not None:
            values["password_hash"] = hash_password(checked_password(password))
        self._catalog.people.change_user(row.id, now_ns=self._clock.now_ns(), values=values)
        return agents

    def need_agent(self, agent: str) -> bool:
        """Make the agent where there is none of that id; whether it was made. Raises BadName, Conflict."""
        if self._catalog.agents.get(checked_agent_id(agent)) is not None:
            return False
        self._catalog.agents.add(agent)
        return True


def checked_password(password: str) -> str:
    """Return ``password`` if it is one that may be had. Raises Refused."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Refused(
            f"the password has {len(password)} characters", hint=f"use {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX}"
        )
    return password


def config_from_text(text: str, where: str, environment: Mapping[str, str]) -> ServerConfig:
    """The settings that a new ``server.toml`` of this text will give. Raises BadConfig."""
    values = settings.merge(
        settings.read_toml(text.encode(), where), settings.from_environment(ServerConfig, environment)
    )
    return settings.build(ServerConfig, values, where)


def known_users(catalog: Catalog) -> dict[str, str]:
    """Name (folded) -> role of everybody."""
    return {folded(row.name): row.role for row in catalog.people.users()}


def add_user(plan: UserPlan, people: People, delivering: Delivering) -> None:
    """Make the user that was decided on. Raises BadName, Conflict."""
    assert plan.fate in ("admin", "viewer", "agent")
    if plan.fate == "agent":
        delivering.add(plan.name, plan.agents, plan.password, home=plan.home)
    else:
        people.create(plan.name, plan.password or None, role=plan.fate, scope=plan.scope)


def refused_user(plan: UserPlan) -> str:
    """Why nobody can be called so; empty: somebody can."""
    try:
        checked_user_name(plan.name)
    except BadName as error:
        return str(error)
    return ""


class TreeImport:
    """Takes the files of the older archive over, agent by agent.

    Args:
        archive: None: only look; nothing is in an archive yet.
        in_place: move them instead of copying; they have to lie on the archive's file system.
        move_configs: take settings that agents uploaded out of the older tree as well.
    """

    def __init__(
        self, archive: Archive | None, data_dir: str, *, in_place: bool = False, move_configs: bool = False,
        tell: Tell = lambda _files, _bytes: None,
        clock: Clock = SYSTEM,
    ) -> None:  # fmt: skip
        self._archive = archive
        self._data_dir = data_dir
        self._in_place = in_place
        self._move_configs = move_configs
        self._tell = tell
        self._clock = clock
        self._done_ns: dict[str, int] = {}

    def look(self, root: str, agent: str) -> Tree:
        """What there is of an agent, and what of it the archive has already. Changes nothing."""
        tree = Tree(agent)
        for one in stored(root, agent):
            if isinstance(one, Decision):
                tree.said.append(one)
            elif isinstance(one, ConfigCopy):
                tree.copies.append(one)
            elif self._knows(one):
                tree.known += 1
            else:
                tree.files += 1
                tree.bytes += one.size
        return tree

    def take(self, root: str, agent: str) -> Tree:
        """Take over what the archive does not have: bytes durable, SHA-256 and times in the catalog."""
        assert self._archive is not None
        began_ns = self._clock.now_ns()
        tree = Tree(agent)
        batch: list[StoredFile] = []
        for one in stored(root, agent):
            if isinstance(one, Decision):
                tree.said.append(one)
            elif isinstance(one, ConfigCopy):
                tree.copies.append(one)
                self._put_aside(one, tree)
            elif self._knows(one):
                tree.known += 1
                self._finish_move(one)
            elif self._in_place or one.size > BUNDLE_MEMBER_BYTES_MAX:
                self._one(one, tree)
            else:
                batch.append(one)
                if len(batch) >= BUNDLE_BATCH_MEMBERS or sum(f.size for f in batch) >= BUNDLE_BATCH_BYTES:
                    self._many(batch, tree)
                    batch = []
        self._many(batch, tree)
        if not tree.failed:
            self._archive.catalog.facts.put(TAKEN_OVER + agent, str(began_ns))
        return tree

    def _knows(self, file: StoredFile) -> bool:
        """Whether the archive has something at the path, or had it: what retention took shall not come back."""
        if self._archive is None:
            return False
        if file.agent not in self._done_ns:
            self._done_ns[file.agent] = int(self._archive.catalog.facts.get(TAKEN_OVER + file.agent) or 0)
        if file.changed_ns < self._done_ns[file.agent]:
            return True
        return self._archive.catalog.files.at(file.agent, file.path) is not None

    def _many(self, batch: Sequence[StoredFile], tree: Tree) -> None:
        assert self._archive is not None
        files: list[StoredFile] = []
        whole: list[WholeFile] = []
        for one in batch:
            try:
                data = older_tree.content(one, BUNDLE_MEMBER_BYTES_MAX)
                whole.append(WholeFile(one.path, data, one.modified_ns))
                files.append(one)
            except (LogferryError, OSError) as error:
                _fail(tree, one, error)
        if not whole:
            return
        outcomes = self._archive.store_many(tree.agent, whole)
        for one, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, LogferryError):
                _fail(tree, one, outcome)
            else:
                self._taken(one, tree, outcome.generation_id)

    def _one(self, file: StoredFile, tree: Tree) -> None:
        assert self._archive is not None
        moved = False
        try:
            folder, name = older_tree.holding(file)
            if self._in_place and file.links == 1:
                moved = self._archive.adopt(file.agent, file.path, folder, name)
            if moved:
                found = self._archive.catalog.files.at(file.agent, file.path)
                generation_id = None if found is None else found.generation_id
            else:
                generation_id = self._copy(file)
        except (LogferryError, OSError) as error:
            _fail(tree, file, error)
            return
        self._taken(file, tree, generation_id)
        if moved:
            os.unlink(name, dir_fd=folder.fd)
        elif self._in_place:
            text = "has two names" if file.links > 1 else "lies on another file system, or belongs to somebody else"
            tree.said.append(Decision("warn", f"file {file.agent}/{file.path}", f"{text}: copied, and it stays there"))

    def _copy(self, file: StoredFile) -> int | None:
        assert self._archive is not None
        with older_tree.opened(file) as source:
            incoming = self._archive.begin(file.agent, file.path)
            try:
                while data := source.read(COPY_BYTES):
                    incoming.write(data)
                received = incoming.commit()
            except BaseException:
                incoming.abandon()
                raise
        self._archive.set_modified(file.agent, file.path, file.modified_ns, generation_id=received.generation_id)
        return received.generation_id

    def _taken(self, file: StoredFile, tree: Tree, generation_id: int | None) -> None:
        assert self._archive is not None
        if generation_id is not None:
            self._archive.digest(generation_id)
        tree.files += 1
        tree.bytes += file.size
        self._tell(tree.files, tree.bytes)

    def _finish_move(self, file: StoredFile) -> None:
        """Take the old name of a file away that was moved, when a crash came before that."""
        if not self._in_place or file.links < 2:
            return
        live = os.path.join(os.fsencode(self._data_dir), b"live", file.agent.encode(), file.path.encode())
        try:
            folder, name = older_tree.holding(file)
            there = folder.stat(name)
            if there is not None and os.path.samestat(os.lstat(live), there):
                os.unlink(name, dir_fd=folder.fd)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # it is not there, or not there any more
                raise

    def _put_aside(self, copy: ConfigCopy, tree: Tree) -> None:
        """Keep uploaded settings for the administrator of the machine; out of the older tree only if told so."""
        if not self._move_configs:
            return
        try:
            data = older_tree.content(copy, OLD_CONFIG_BYTES_MAX)
            put_aside(os.path.join(self._data_dir, QUARANTINE, copy.agent), copy.path, data)
            older_tree.remove(copy)
        except (LogferryError, OSError) as error:
            tree.failed += 1
            tree.said.append(Decision("warn", f"file {copy.agent}/{copy.path}", f"cannot be put aside: {error}"))


def free_bytes(folder: str) -> int:
    """What is free on the disk on which ``folder`` lies or would lie."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def _fail(tree: Tree, file: StoredFile, error: Exception) -> None:
    why = "the archive has it by now" if isinstance(error, Conflict) else str(error)
    hint = "mend that, then import again"
    tree.failed += 1
    tree.said.append(Decision("warn", f"file {file.agent}/{file.path}", f"not taken over: {why}", hint))
