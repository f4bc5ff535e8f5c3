"""What the FTP user of the older system sees, whom several agents share: a folder for each of them, made of its tree.

Older agents log in with one user and its password, go to ``/<AGENT_ID>`` (or make it) and store below it. Each such
folder is the agent's own tree here, with all that holds for it. Beside these there is nothing: no reading, no agent
that the user was not given.

Older agents also upload their own settings, with the password in them. Those are accepted, because an agent that is
refused gives up, and put where nobody lists or reads them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from logferry.errors import Conflict, NotFound, NotPermitted, TooLarge
from logferry.ftp import BundleMember, Download, Entry, Outcome, Upload
from logferry.limits import OLD_CONFIG_BYTES_MAX, OLD_CONFIGS_MAX
from logferry.seed.agent import is_config_name
from logferry.server.files import write_durable
from logferry.server.ingest import AgentFilesystem

QUARANTINE = "quarantine"
"""The folder below the data directory."""


class SharedFilesystem:
    """The ``Filesystem`` of a session of such a user.

    Args:
        trees: agent id -> the tree of that agent.
        quarantine: the folder for settings that agents upload.
        heard: told of which agent there was a sign of life.
    """

    atomic = True
    keeps = True

    def __init__(
        self, trees: dict[str, AgentFilesystem], quarantine: str, heard: Callable[[str], None], *, mark: str = ""
    ) -> None:
        self.mark = mark
        self._trees = trees
        self._quarantine = quarantine
        self._heard = heard

    def stat(self, path: str) -> Entry:
        """The entry at ``path``. Raises NotFound."""
        agent, inner = self._split(path)
        if not agent:
            return Entry("", True, 0, 0, 0o755)
        self._refuse_config(inner, path)
        found = self._tree(agent, path).stat(inner)
        return found if inner != "/" else Entry(agent, True, 0, found.modified_ns, 0o755)

    def entries(self, path: str) -> Iterator[Entry]:
        """What a folder holds. Raises NotFound."""
        agent, inner = self._split(path)
        if not agent:
            return (Entry(agent, True, 0, 0, 0o755) for agent in sorted(self._trees))
        return self._tree(agent, path).entries(inner)

    def size(self, path: str) -> int:
        """Bytes stored and durable. Raises NotFound."""
        agent, inner = self._split(path)
        self._refuse_config(inner, path)
        return self._tree(agent, path).size(inner)

    def open_download(self, path: str) -> Download:
        """Refused: whoever steals the password reads nothing with it."""
        raise NotPermitted(f"agents deliver and do not read ({path})", hint="sign in as a person to read")

    def open_hash(self, path: str, algorithm: str, start: int, stop: int | None, *, may_read: bool) -> Download:
        """HASH as far as the agent's own tree allows it."""
        agent, inner = self._split(path)
        return self._tree(agent, path).open_hash(inner, algorithm, start, stop, may_read=may_read)

    def free_bytes(self, path: str) -> int:
        """AVBL: how much may still arrive."""
        agent, inner = self._split(path)
        tree = self._trees.get(agent) or next(iter(self._trees.values()), None)
        if tree is None:
            raise NotFound(f"no folder {path}")
        return tree.free_bytes(inner)

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:
        """Begin an upload into an agent's tree; its settings go aside."""
        agent, inner = self._split(path)
        tree = self._tree(agent, path)
        if is_config_name(inner.rpartition("/")[2]):
            return _AsideUpload(os.path.join(self._quarantine, agent), inner.rpartition("/")[2])
        return tree.open_upload(inner, offset=offset, append=append)

    def publish_many(self, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
        """Many small files of a bundle, agent by agent."""
        outcomes: list[Outcome] = [None] * len(members)
        batches: dict[str, list[int]] = {}
        for index, member in enumerate(members):
            agent, inner = self._split(member.path)
            try:
                self._tree(agent, member.path)
                self._refuse_config(inner, member.path)
            except (NotPermitted, NotFound) as error:
                outcomes[index] = error
            else:
                batches.setdefault(agent, []).append(index)
        for agent, places in batches.items():
            inside = [members[i]._replace(path=self._split(members[i].path)[1]) for i in places]
            stored = self._trees[agent].publish_many(inside, make_folders=make_folders)
            for index, outcome in zip(places, stored, strict=True):
                outcomes[index] = outcome
        return outcomes

    def make_folder(self, path: str) -> None:
        """Make a folder in an agent's tree. That of the agent itself is there."""
        agent, inner = self._split(path)
        tree = self._tree(agent, path)
        if inner == "/":
            raise Conflict(f"{path} is there already")
        tree.make_folder(inner)

    def remove_folder(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"agents cannot remove {path}", hint="what is archived stays")

    def remove_file(self, path: str) -> None:
        """Refused."""
        raise NotPermitted(f"agents cannot remove {path}", hint="what is archived stays")

    def rename(self, source: str, target: str) -> None:
        """Publish, move aside or move within one agent's tree."""
        agent, inner = self._split(source)
        other, new = self._split(target)
        tree = self._tree(agent, source)
        if other != agent:
            raise NotPermitted(f"{source} stays with its agent", hint="rename it within its own folder")
        self._refuse_config(new, target)
        tree.rename(inner, new)

    def set_modified(self, path: str, ns: int) -> None:
        """Note the node's modification time."""
        agent, inner = self._split(path)
        if is_config_name(inner.rpartition("/")[2]):
            return
        self._tree(agent, path).set_modified(inner, ns)

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        """``/plc-01/logs/a`` -> (``plc-01``, ``/logs/a``)."""
        agent, _, inner = path[1:].partition("/")
        return agent, "/" + inner

    def _tree(self, agent: str, path: str) -> AgentFilesystem:
        tree = self._trees.get(agent)
        if tree is None:
            if not agent:
                raise NotPermitted(f"{path} is in no agent's folder", hint="store below /<AGENT_ID>/")
            raise NotPermitted(
                f"this user does not deliver for an agent {agent}",
                hint="logferry admin delivers USER --agent ID, on the server, lets it",
            )
        self._heard(agent)
        return tree

    @staticmethod
    def _refuse_config(inner: str, path: str) -> None:
        """Settings that were put aside are not there for anybody."""
        if is_config_name(inner.rpartition("/")[2]):
            raise NotFound(f"no file {path}")


class _AsideUpload:
    """Settings that an older agent uploads: kept for the administrator of the machine, seen by nobody else."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._name = name
        self._data = b""

    @property
    def position(self) -> int:
        """Where the next byte lands."""
        return len(self._data)

    def write(self, data: memoryview | bytes) -> None:
        """Take all of ``data``. Raises TooLarge."""
        if len(self._data) + len(data) > OLD_CONFIG_BYTES_MAX:
            raise TooLarge(f"{self._name} is larger than any agent's settings", hint="give the log another name")
        self._data += bytes(data)

    def commit(self) -> None:
        """Put it aside, durably; what was there of this agent is replaced."""
        put_aside(self._folder, self._name, self._data)

    def abandon(self) -> None:
        """Nothing is kept."""
        self._data = b""


def put_aside(folder: str, path: str, data: bytes) -> str:
    """Keep an older agent's settings in ``folder`` below the quarantine, for the owner alone; where, is returned.

    Raises:
        TooLarge: as many as any agent has are there already: who goes on means to fill the disk.
        OSError.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    place = os.path.join(folder, quote(path, safe=" ").casefold())
    if not os.path.lexists(place) and len(os.listdir(folder)) >= OLD_CONFIGS_MAX:
        raise TooLarge(f"there are {OLD_CONFIGS_MAX} settings of this agent already", hint="give the log another name")
    write_durable(place, data, 0o600)
    return place
