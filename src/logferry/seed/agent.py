"""``AgentConfig.txt`` -> ``agent.toml``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from logferry.errors import BadConfig
from logferry.names import checked_agent_id
from logferry.seed.decisions import Decision
from logferry.seed.settings_text import SeedSettings
from logferry.settings import toml_text

_CONFIG_NAME = re.compile(r"agentconfig[^/]*\.txt", re.IGNORECASE)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_SPECIAL = frozenset("*?[]!\\")
PLACEHOLDER = "***"
"""Stands in templates where a password belongs."""
_INTERVAL_S_MAX = 86_400


@dataclass(frozen=True, slots=True)
class OldAgent:
    """One agent as its settings file has it. ``suffix`` empty: every file. ``log_dir`` as it was written."""

    id: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    log_dir: str
    suffix: str
    record: str
    interval_s: int

    @property
    def has_windows_path(self) -> bool:
        """Whether the folder of its logs is one of a Windows machine."""
        return _WINDOWS.match(self.log_dir) is not None


def is_config_name(name: str) -> bool:
    """Whether a file of this name (one component) is, by its name, an agent's settings: with a password in it."""
    return _CONFIG_NAME.fullmatch(name) is not None


def old_agent(settings: SeedSettings, where: str) -> OldAgent:
    """What a settings file says. Raises BadConfig, BadName where it would not have worked either."""
    port = settings.number("FTP_SER_PORT", where)
    interval_s = settings.number("UPLOAD_INV", where, 10)
    if not 0 < port < 65536:
        raise BadConfig(f"{where}: FTP_SER_PORT = {port} is no port", hint="1 to 65535")
    return OldAgent(
        id=checked_agent_id(settings.need("AGENT_ID", where)),
        host=settings.need("FTP_SER_IP", where),
        port=port,
        user=settings.need("USER_NAME", where),
        password=settings.values.get("USER_PWD", ""),
        log_dir=settings.need("LOG_DIR", where),
        suffix=settings.values.get("LOG_PF", ""),
        record=settings.values.get("RCD_JSON", "uploadRcd.json"),
        interval_s=min(max(interval_s, 1), _INTERVAL_S_MAX),
    )


def agent_toml(old: OldAgent, folder: str, password_file: str) -> str:
    """The text of ``agent.toml``: what is sent lands where the older agent's files lie.

    Args:
        folder: the absolute path of its logs.
        password_file: as it is written into the file.
    """
    host = f"[{old.host}]" if ":" in old.host else old.host
    return "\n".join(
        (
            '# Written by "logferry import-seed". Every setting is explained in docs/reference/config.md.',
            "",
            "[agent]",
            f"id = {toml_text(old.id)}",
            f'scan_interval = "{old.interval_s}s"',
            "",
            "[server]",
            f"address = {toml_text(f'{host}:{old.port}')}",
            '# As before: password and logs cross the network in clear text. "required", with the pin that the server',
            "# shows when it starts, ends that.",
            'tls = "off"',
            f"user = {toml_text(old.user)}",
            f"password_file = {toml_text(password_file)}",
            "",
            "[[sources]]",
            f"path = {toml_text(folder)}",
            "# The user of older agents delivers for several of them, each below its id. An agent that has joined",
            '# (logferry agent join) has a user and a home of its own: then this is to = "/".',
            f"to = {toml_text('/' + old.id)}",
            f"include = [{toml_text(pattern_of(old.suffix))}]",
            "",
        )
    )


def pattern_of(suffix: str) -> str:
    """The pattern of names that end in ``suffix`` in any case of its letters; everything where it is empty."""
    return "*" + "".join(_either(c) for c in suffix)


def _either(c: str) -> str:
    if c.isascii() and c.isalpha():
        return f"[{c.lower()}{c.upper()}]"
    return f"[{c}]" if c in _SPECIAL - {"!", "\\", "]"} else c


def agent_decisions(old: OldAgent, toml: str, secret: str, *, is_there: bool) -> Iterable[Decision]:
    """What becomes of the settings. ``toml`` and ``secret`` are where they go; ``is_there``: they are there already."""
    about = f"agent {old.id}"
    if is_there:
        yield Decision("done", about, f"{toml} is there already and stays as it is")
        return
    yield Decision(
        "do", about, f"{toml}, and the password for user {old.user} in {secret} (only its owner may read it)"
    )
    yield Decision("do", about, f"looks every {old.interval_s} s (UPLOAD_INV); what grows is sent as it grows")
    if old.suffix:
        text = f"LOG_PF {old.suffix}: sends names that end so, in any case of the letters; before, {old.suffix.upper()}"
        yield Decision("do", about, f"{text} was never sent")
    yield Decision("skip", about, "AGENT_IP: the server sees the address itself")
    yield Decision(
        "warn", about, 'tls = "off", as before: password and logs cross the network in clear text',
        'set server.tls = "required" and server.pin once the server has moved',
    )  # fmt: skip
    if old.has_windows_path:
        yield Decision("do", about, f"LOG_DIR {old.log_dir} is a path of Windows; it is kept as it is")
    yield Decision(
        "warn", about, f"the older agent uploads its own settings: the password of {old.user} is known to all who read",
        f"give {old.user} a new one on the server, logferry admin delivers {old.user} --password-file FILE, and here",
    )  # fmt: skip
    if old.password in ("", PLACEHOLDER):
        yield Decision("warn", about, "USER_PWD is only a placeholder", f"write the password into {secret}")
