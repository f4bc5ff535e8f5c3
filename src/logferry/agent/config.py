"""``agent.toml``: what the agent watches, where it sends it. Read once, checked whole, frozen."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from logferry.agent.https import parse_address
from logferry.agent.pace import Pace, quiet_timetable
from logferry.agent.patterns import Patterns
from logferry.clock import Clock
from logferry.errors import BadConfig
from logferry.ftp.timetable import check_rates, timetable
from logferry.limits import (
    AGENT_CONNECTIONS_MAX,
    HANDLES_LIMIT,
    HANDLES_MIN,
    PRIORITY_MAX,
    SECRET_BYTES_MAX,
    SERVERS_MAX,
)
from logferry.names import checked_agent_id, checked_path
from logferry.settings import build, from_environment, merge, read_toml, setting

DEFAULT_PORT = 21


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """``[agent]``: who it is, where it keeps its registry, how often it looks."""

    id: str = setting(doc="the agent's id: its FTP user's home on the server")
    group: str = setting("", doc="agents of one group are listed together")
    state_dir: str = setting("", doc="folder of the registry; default: agent-state beside agent.toml")
    scan_interval: float = setting(
        10.0,
        unit="duration",
        doc="pause between two looks at all sources; longer when a look costs much, or all is watched",
    )
    metrics_listen: str = setting("", doc="host:port where Prometheus may fetch /metrics; empty: nowhere")
    metrics_file: str = setting("", doc="file that gets the metrics, for node_exporter's textfile collector")

    def __post_init__(self) -> None:
        checked_agent_id(self.id)
        if self.metrics_listen:
            listen_address(self.metrics_listen)
        if self.metrics_file and not self.metrics_file.endswith(".prom"):
            raise BadConfig(
                f"metrics_file {self.metrics_file!r} must end in .prom", hint="node_exporter reads no other files"
            )
        if not 0.01 <= self.scan_interval <= 86400:
            raise BadConfig("scan_interval must be between 10ms and 1d", hint='the usual value is "10s"')


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``[server]``: where the files go and how the agent knows that it is the right server."""

    address: str = setting(doc="host:port of the server's FTP")
    tls: str = setting("required", choices=("required", "explicit", "off"), doc="off sends password and logs readable")
    pin: tuple[str, ...] = setting((), doc="the server's certificate, sha256/<hex>; two while it is being renewed")
    ca_file: str = setting("", doc="trusted certificates (PEM) when nothing is pinned; default: the system's")
    user: str = setting("", doc="FTP user; default: the agent's id")
    password_file: str = setting("agent.secret", doc="file with the password on its first line")
    heartbeat: str = setting("", doc="https:// address of the server's web part, told how the agent is; empty: not")
    heartbeat_trust: str = setting(
        "pin", choices=("pin", "authorities"), doc="its certificate: the pinned one, or one that authorities vouch for"
    )
    fallback: tuple[str, ...] = setting((), doc="other addresses of the archive, tried in turn when address is away")
    verify: str = setting(
        "hash", choices=("hash", "size"), doc="hash: digests of what was sent, where the server has them"
    )

    def __post_init__(self) -> None:
        for address in self.addresses:
            host_and_port(address)
        if len(set(self.addresses)) < len(self.addresses):
            raise BadConfig("fallback names an address twice", hint="each server once, address itself not again")
        if len(self.addresses) > SERVERS_MAX:
            raise BadConfig(f"fallback has more than {SERVERS_MAX - 1} addresses", hint="name the nearest ones")
        if self.heartbeat:
            parse_address(self.heartbeat, needs_scheme=True)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All servers, the preferred one first."""
        return (self.address, *self.fallback)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """``[[sources]]``: one watched folder."""

    path: str = setting(doc="the folder, with everything below it")
    to: str = setting("", doc="where it stands below the agent's home; default: the path without drive colon")
    include: tuple[str, ...] = setting(("*",), doc="patterns of files to send")
    exclude: tuple[str, ...] = setting((), doc="patterns of files and folders to pass over")
    mode: str = setting("grow", choices=("grow", "complete"), doc="complete: send when unchanged for settle")
    settle: float = setting(5.0, unit="duration", doc="how long a file is left alone in mode complete")
    compressed: str = setting(
        "ship", choices=("ship", "skip-copies"), doc="skip-copies: no .gz of a log that the server holds whole"
    )
    priority: int = setting(0, doc="higher goes first, lower gets an eighth of the line meanwhile; -9 to 9")

    def __post_init__(self) -> None:
        Patterns.of(self.include)
        Patterns.of(self.exclude)
        if not self.include:
            raise BadConfig("include = [] sends nothing", hint='leave it out for everything, or write ["*.log"]')
        if abs(self.priority) > PRIORITY_MAX:
            raise BadConfig(f"priority must be between -{PRIORITY_MAX} and {PRIORITY_MAX}", hint="the usual value is 0")

    @property
    def home(self) -> str:
        """Archive path of the folder below the agent's home (no slash at either end)."""
        return (self.to or self.path.replace(":", "").replace("\\", "/")).strip("/")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """``limits``: what the agent may take."""

    upload_rate: str = setting(
        "0", unit="schedule", doc="all connections together: a rate, or a timetable; 0 = no limit"
    )
    quiet_hours: str = setting("", doc="hours in which nothing is sent, or at most the rate behind them")
    connections: int = setting(4, doc="connections to the server at the same time")
    open_files: int = setting(256, doc="files kept open because they grew lately or were deleted before all was sent")
    held_bytes: int = setting(
        1 << 30, unit="size", doc="room on the disk that deleted files may take by being kept open"
    )
    held_time: float = setting(6 * 3600.0, unit="duration", doc="how long a deleted file is kept open without progress")

    def __post_init__(self) -> None:
        if not HANDLES_MIN <= self.open_files <= HANDLES_LIMIT:
            raise BadConfig(
                f"open_files must be between {HANDLES_MIN} and {HANDLES_LIMIT}", hint="the usual value is 256"
            )
        if self.held_bytes < 0 or self.held_time < 0:
            raise BadConfig("held_bytes and held_time cannot be negative", hint="0 keeps no deleted file open")
        if not 1 <= self.connections <= AGENT_CONNECTIONS_MAX:
            raise BadConfig(f"connections must be between 1 and {AGENT_CONNECTIONS_MAX}", hint="the usual value is 4")
        check_rates(upload_rate=self.upload_rate)
        try:
            quiet_timetable(self.quiet_hours)
        except BadConfig as error:
            raise BadConfig(f"quiet_hours: {error.message}", hint=error.hint) from error

    def pace(self, clock: Clock) -> Pace:
        """What these limits allow by the time of day."""
        return Pace(timetable(self.upload_rate), quiet_timetable(self.quiet_hours), clock)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The whole of ``agent.toml``, with every path made absolute by ``load_config``."""

    agent: AgentSettings
    server: ServerSettings
    sources: tuple[SourceSettings, ...] = ()
    limits: LimitSettings = field(default_factory=LimitSettings)

    def __post_init__(self) -> None:
        homes: dict[str, str] = {}
        for source in self.sources:
            if source.home in homes:
                raise BadConfig(
                    f"sources {homes[source.home]} and {source.path} go to the same place {source.home!r}",
                    hint='give one of them another to = "…"',
                )
            homes[source.home] = source.path

    @property
    def state_dir(self) -> Path:
        """Folder of the registry, the lock and ``status.json``."""
        return Path(self.agent.state_dir)

    @property
    def user(self) -> str:
        """The FTP user."""
        return self.server.user or self.agent.id

    def password(self) -> str:
        """The first line of ``password_file``, read anew each time so that it can be changed.

        Raises:
            BadConfig: it cannot be read or is empty.
        """
        name = self.server.password_file
        try:
            with open(name, "rb") as file:
                line = file.read(SECRET_BYTES_MAX).split(b"\n", 1)[0].rstrip(b"\r")
        except OSError as error:
            hint = "write the password there, or join the server again with: logferry agent join"
            raise BadConfig(f"password file {name}: {error.strerror}", hint=hint) from error
        if not line:
            raise BadConfig(f"password file {name} is empty", hint="the password belongs on its first line")
        return line.decode("utf-8", "surrogateescape")

    def readable_by_others(self) -> bool:
        """Whether somebody other than the owner may read the password file."""
        try:
            return (
                bool(os.stat(self.server.password_file).st_mode & (stat.S_IRGRP | stat.S_IROTH)) and os.name == "posix"
            )
        except FileNotFoundError:
            return False


def host_and_port(address: str) -> tuple[str, int]:
    """``"host:2121"`` or ``"[::1]:2121"`` or ``"host"`` (port 21). Raises BadConfig."""
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = address, str(DEFAULT_PORT)
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host:
        raise BadConfig(f"address {address!r} is not host:port", hint="write for example logs.example:2121")
    return host, int(port)


def listen_address(address: str) -> tuple[str, int]:
    """``"127.0.0.1:9109"`` or ``"[::1]:9109"``; port 0 takes a free one. Raises BadConfig."""
    host, colon, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        raise BadConfig(f"metrics_listen {address!r} is not host:port", hint='write for example "127.0.0.1:9109"')
    return bare, int(port)


def load_config(path: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> AgentConfig:
    """Read and check ``agent.toml``; relative paths in it count from its folder.

    Args:
        path: the file.
        environment: variables such as ``LOGFERRY_SERVER__ADDRESS`` that win over it.

    Raises:
        BadConfig: the file cannot be read, has an unknown setting or a wrong value.
    """
    where = Path(path)
    try:
        text = where.read_bytes()
    except OSError as error:
        hint = "make one with: logferry agent join, or name another with --config"
        raise BadConfig(f"cannot read {where}: {error.strerror}", hint=hint) from error
    values = merge(read_toml(text, str(where)), from_environment(AgentConfig, environment or {}))
    return resolved(build(AgentConfig, _with_needed(values, str(where)), str(where)), where.absolute().parent)


def state_dir_of(path: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> Path:
    """Where the agent of this ``agent.toml`` keeps its registry, as far as a file with mistakes tells.

    Raises:
        BadConfig: it does not tell, or there is nothing.
    """
    try:
        return load_config(path, environment).state_dir
    except BadConfig:
        try:
            values = tomllib.loads(Path(path).read_text("utf-8", "replace"))
        except (OSError, tomllib.TOMLDecodeError):
            values = {}
        table = values.get("agent", {})
        written = table.get("state_dir", "") if isinstance(table, dict) else ""
        found = Path(path).absolute().parent / (written if isinstance(written, str) and written else "agent-state")
        if not found.is_dir():
            raise
        return found


def _with_needed(values: dict[str, Any], where: str) -> dict[str, Any]:
    for table, example in (("agent", 'id = "web-01"'), ("server", 'address = "logs.example:2121"')):
        if table not in values:
            raise BadConfig(f"{where}: the table [{table}] is missing", hint=f"it holds at least {example}")
    return values


def resolved(config: AgentConfig, folder: Path) -> AgentConfig:
    """``config`` with relative paths counted from ``folder``. Raises BadConfig for an impossible ``to``."""
    agent = replace(
        config.agent,
        state_dir=str(folder / (config.agent.state_dir or "agent-state")),
        metrics_file=str(folder / config.agent.metrics_file) if config.agent.metrics_file else "",
    )
    server = replace(
        config.server,
        password_file=str(folder / config.server.password_file),
        ca_file=str(folder / config.server.ca_file) if config.server.ca_file else "",
    )
    sources = tuple(replace(s, path=str(folder / s.path)) for s in config.sources)
    for source in sources:
        checked_path(source.home)
    return replace(config, agent=agent, server=server, sources=sources)
