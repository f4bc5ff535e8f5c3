"""What the services of agent and server have in common: how systemd wants words, what it shall close to them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

CLOSED = (
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
)
"""Lines of a unit for programs that read and write files and talk over the network."""
RUN_AGAIN_S = 5
"""How long after its end a service is started anew."""


def command(words: Sequence[str]) -> str:
    """A command line for ``Exec…=``."""
    return " ".join(quoted(word).replace("$", "$$") for word in words)


def quoted(word: str) -> str:
    """One word, in quotes where it needs them."""
    word = percent(word)
    if word and all(c.isalnum() or c in "/._-=+:,@%" for c in word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def percent(word: str) -> str:
    """A word in which no specifier is read."""
    return word.replace("%", "%%")
