"""``agent.toml`` while the agent runs: whether it or a file it names has changed, and reading it anew."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from logferry.agent.config import AgentConfig, host_and_port, load_config
from logferry.clock import Clock
from logferry.errors import BadConfig
from logferry.ftp.client_tls import ClientTls
from logferry.limits import CONFIG_FILE_BYTES_MAX, CONFIG_LOOK_S

_Mark = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class ConfigState:
    """What became of the settings so far: ``error`` is why the newest ones were not taken, "" if they were."""

    loaded_ns: int
    """When the settings that count were read, nanoseconds since 1970."""
    tries: int = 0
    """How often they were read anew since the start."""
    error: str = ""


class ConfigFile:
    """Looks at the files about once a second. One thread uses it."""

    def __init__(self, path: str, environment: Mapping[str, str], config: AgentConfig, clock: Clock) -> None:
        """``config`` is what was read from ``path`` just now, ``environment`` what was laid over it."""
        self.path = path
        self._environment = dict(environment)
        self._clock = clock
        self._named = _named(config)
        self._loaded = self._last = self._mark()
        self._look_s = clock.monotonic_s() + CONFIG_LOOK_S

    def changed(self) -> bool:
        """Whether there is something new to read.

        A file is left alone until two looks agree, so that one that is being written is not taken by half.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._look_s:
            return False
        self._look_s = now_s + CONFIG_LOOK_S
        before, self._last = self._last, self._mark()
        return self._last != self._loaded and self._last == before

    def read(self) -> AgentConfig:
        """The settings as they are now, checked whole: nothing of them counts yet.

        Raises:
            BadConfig: a file cannot be read, a setting is unknown or wrong, password or certificates are unusable.
        """
        self._loaded = self._last = self._mark()
        config = load_config(self.path, self._environment)
        self._named = _named(config)
        self._loaded = self._last = self._mark()
        check_secrets(config)
        return config

    def _mark(self) -> _Mark:
        return tuple(_mark_of(path) for path in (self.path, *self._named))


def _named(config: AgentConfig) -> tuple[str, ...]:
    return tuple(path for path in (config.server.password_file, config.server.ca_file) if path)


def _mark_of(path: str) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def check_secrets(config: AgentConfig) -> None:
    """Try what the settings name but do not hold: the password, pins, certificates. Raises BadConfig."""
    config.password()
    if config.server.tls != "off":
        host, _ = host_and_port(config.server.address)
        ClientTls.make(host, pins=config.server.pin, ca_file=config.server.ca_file)


def check_same_agent(old: AgentConfig, new: AgentConfig) -> None:
    """Refuse what cannot change while the agent runs. Raises BadConfig."""
    for name in ("id", "state_dir"):
        before, after = getattr(old.agent, name), getattr(new.agent, name)
        if before != after:
            raise BadConfig(
                f"agent.{name} cannot change while the agent runs ({before} is in use, {after} was written)",
                hint="restart the agent, or put the old value back",
            )


def connection_key(config: AgentConfig) -> tuple[object, ...]:
    """Equal for settings under which the connections to the server may stay as they are."""
    server = replace(config.server, heartbeat="", heartbeat_trust="pin")
    files = [_content(path) for path in _named(config)]
    return (server, config.limits, config.user, config.agent.scan_interval, skips_copies(config), *files)


def skips_copies(config: AgentConfig) -> bool:
    """Whether some source does not want compressed copies of what the server holds."""
    return any(source.compressed == "skip-copies" for source in config.sources)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.blake2b(file.read(CONFIG_FILE_BYTES_MAX)).digest()
    except OSError:
        return b""


def changed_names(old: AgentConfig, new: AgentConfig) -> list[str]:
    """The settings that differ, dotted; ``sources`` as a whole."""
    names = []
    for table in ("agent", "server", "limits"):
        before, after = getattr(old, table), getattr(new, table)
        names += [f"{table}.{f}" for f in before.__dataclass_fields__ if getattr(before, f) != getattr(after, f)]
    return names + ["sources"] * (old.sources != new.sources)
