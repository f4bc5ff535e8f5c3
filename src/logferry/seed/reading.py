"""Finding and reading the older system's files. Nothing here writes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from logferry.errors import BadConfig, BadName, LogferryError, Refused
from logferry.limits import SEED_FILE_BYTES_MAX
from logferry.names import checked_agent_id, escape_path
from logferry.seed.agent import OldAgent, is_config_name, old_agent
from logferry.seed.decisions import Decision
from logferry.seed.records import recorded
from logferry.seed.server import OldServer, old_server
from logferry.seed.settings_text import SeedSettings, settings_of
from logferry.seed.users import OldUser, old_users

_USER_FILES = ("userRecord.json", "userRcd.json")
_EXACT_AGENT, _EXACT_SERVER = "AgentConfig.txt", "ServerConfig.txt"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the older archive: whose, its archive path, where it lies, how large and how old it is.

    ``top`` is the agent's folder, ``inner`` the file's path in it: whoever opens it goes from one to the other through
    no link, because others may write there meanwhile. ``changed_ns`` is the file system's own time of its last change,
    of its names too.
    """

    agent: str
    path: str
    top: bytes
    inner: bytes
    size: int
    modified_ns: int
    changed_ns: int
    links: int


@dataclass(frozen=True, slots=True)
class ConfigCopy:
    """An agent's settings file that it uploaded, password included."""

    agent: str
    path: str
    top: bytes
    inner: bytes


@dataclass(slots=True)
class Found:
    """What lies in the older system's folder. ``said`` is what had to be told on the way."""

    folder: str
    server: OldServer | None = None
    agents: list[OldAgent] = field(default_factory=list)
    """Those whose settings lie in the folder itself."""
    users: list[OldUser] = field(default_factory=list)
    root: str = ""
    """Where the stored tree is, or should be."""
    has_tree: bool = False
    said: list[Decision] = field(default_factory=list)

    def record_of(self, agent: OldAgent) -> list[str] | None:
        """What the agent believed to have uploaded; None without a record, or with a damaged one."""
        path = os.path.join(self.folder, agent.record)
        if not os.path.isfile(path):
            return None
        return recorded(_read(path), path)

    def log_folder(self, agent: OldAgent) -> str:
        """The absolute path of its logs, or as it was written where it is one of Windows and this is not."""
        if agent.has_windows_path and os.name != "nt":
            return agent.log_dir
        return os.path.normpath(os.path.join(self.folder, agent.log_dir))


def look(folder: str) -> Found:
    """Read the settings and the users in ``folder``.

    Raises:
        Refused: nothing of the older system is there.
        BadConfig, BadName: a file that counts makes no sense.
    """
    folder = os.path.abspath(folder)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise Refused(f"cannot read {folder}: {error.strerror}", hint="name the older system's folder") from error
    found = Found(folder)
    _server(found, names)
    _agents(found, names)
    if found.server is None and not found.agents:
        raise Refused(
            f"there is no ServerConfig.txt and no AgentConfig.txt in {folder}",
            hint="name the folder in which the older server, or the older agent, was started",
        )
    return found


def _server(found: Found, names: Sequence[str]) -> None:
    candidates = [n for n in names if n.casefold().startswith("serverconfig") and n.casefold().endswith(".txt")]
    chosen = _chosen(found, candidates, _EXACT_SERVER)
    if not chosen:
        return
    found.server = old_server(_settings(found, chosen), chosen)
    root = os.path.normpath(os.path.join(found.folder, found.server.log_dir))
    found.root, found.has_tree = root, os.path.isdir(root)
    if not found.has_tree:
        found.said.append(Decision("warn", "archive", f"there is no stored tree {root}", "LOG_DIR says where it is"))
    elif not _is_within(root, found.folder):
        text = f"the stored tree is {root}, outside of {found.folder}: is that the older archive?"
        found.said.append(Decision("warn", "archive", text, "every folder in it is taken for an agent's"))
    for name in dict.fromkeys((found.server.users_file, *_USER_FILES)):
        path = os.path.join(found.folder, name)
        if os.path.isfile(path):
            found.users = old_users(_read(path), name)
            return
    found.said.append(Decision("warn", "users", f"there is no {found.server.users_file}: no user is imported"))


def _is_within(path: str, folder: str) -> bool:
    """Links followed."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder


def _agents(found: Found, names: Sequence[str]) -> None:
    candidates = [name for name in names if is_config_name(name)]
    if _EXACT_AGENT in candidates or found.server is not None:
        # Beside a server, what is not the very file is a template that came along with the program.
        chosen = [_EXACT_AGENT] if _EXACT_AGENT in candidates else []
        found.said += [Decision("skip", "agents", f"{name} is not read") for name in candidates if name not in chosen]
        candidates = chosen
    for name in candidates:
        found.agents.append(old_agent(_settings(found, name), name))
    ids = [agent.id for agent in found.agents]
    if len(set(ids)) < len(ids):
        raise BadConfig(f"two settings files in {found.folder} have the same AGENT_ID", hint="import one after another")


def _chosen(found: Found, candidates: Sequence[str], exact: str) -> str:
    """The file to read of several: the one with the very name, else the first."""
    if not candidates:
        return ""
    chosen = exact if exact in candidates else candidates[0]
    found.said += [Decision("skip", "server", f"{name} is not read") for name in candidates if name != chosen]
    return chosen


def _settings(found: Found, name: str) -> SeedSettings:
    settings = settings_of(_read(os.path.join(found.folder, name)))
    if settings.strange:
        lines = ", ".join(map(str, settings.strange[:5]))
        found.said.append(Decision("skip", name, f"line {lines}: no setting"))
    return settings


def _at_once(path: str, flags: int) -> int:
    """Opening a pipe that lies there must not hang; on plain files it means nothing."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused(f"{path} is no plain file", hint="look at what lies there")
            raw = file.read(SEED_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}", hint="run this as a user who may") from error
    if len(raw) > SEED_FILE_BYTES_MAX:
        raise Refused(f"{path} is larger than {SEED_FILE_BYTES_MAX // 2**20} MiB", hint="that is no such file")
    return raw


# The stored tree -----------------------------------------------------------------------------------------------------


def agent_folders(found: Found) -> tuple[list[str], list[Decision]]:
    """The agents that have a folder in the stored tree, and what is said of everything else there."""
    agents: list[str] = []
    said: list[Decision] = []
    if not found.has_tree:
        return agents, said
    with os.scandir(found.root) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if not entry.is_dir(follow_symlinks=False):
                said.append(Decision("warn", f"file {entry.name}", "it is in no agent's folder; it stays where it is"))
                continue
            try:
                agents.append(checked_agent_id(entry.name))
            except BadName as error:
                said.append(Decision("warn", f"folder {entry.name}", f"{error.message}; it stays", error.hint))
    return agents, said


def stored(root: str, agent: str) -> Iterator[StoredFile | ConfigCopy | Decision]:
    """What lies in an agent's folder, in order: files, copies of its settings, and what cannot be taken over."""
    top = os.path.join(os.fsencode(root), agent.encode())
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            place = os.path.join(folder, name)
            yield _stored(agent, top, place[len(top) + 1 :])


def _stored(agent: str, top: bytes, raw: bytes) -> StoredFile | ConfigCopy | Decision:
    about = f"file {agent}/{os.fsdecode(raw)}"
    try:
        path = escape_path(raw)
        found = os.lstat(os.path.join(top, raw))
    except (LogferryError, OSError) as error:
        return Decision("warn", about, f"{error}; it stays where it is")
    if not stat.S_ISREG(found.st_mode):
        return Decision("warn", about, "no plain file; it stays where it is")
    if is_config_name(path.rpartition("/")[2]):
        return ConfigCopy(agent, path, top, raw)
    return StoredFile(agent, path, top, raw, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink)


def named_users(root: str, agents: Sequence[str]) -> dict[str, set[str]]:
    """User -> ids of the agents whose uploaded settings name it. Copies that make no sense name nobody."""
    names: dict[str, set[str]] = {}
    for agent in agents:
        path = os.path.join(root, agent, _EXACT_AGENT)
        if not os.path.isfile(path) or os.path.islink(path):
            continue
        try:
            user = settings_of(_read(path)).values.get("USER_NAME", "")
        except Refused:
            continue
        if user:
            names.setdefault(user, set()).add(agent)
    return names
