"""The settings of an agent of the older system as ``agent.toml`` and a secret beside it."""

from __future__ import annotations

import os
from pathlib import Path

from logferry.errors import Conflict
from logferry.seed.agent import PLACEHOLDER, OldAgent, agent_toml


def take_over(old: OldAgent, logs: str, config: Path) -> Path:
    """Write ``config`` and the password (0600) beside it, durably; where the password is, is returned.

    Args:
        logs: the absolute path of the folder that the agent watched.

    Raises:
        Conflict: one of them is there already.
    """
    secret = secret_of(config)
    for path in (config, secret):
        if path.exists():
            raise Conflict(f"{path} exists already", hint="remove it to import these settings again")
    config.parent.mkdir(parents=True, exist_ok=True)
    _write(secret, "" if old.password == PLACEHOLDER else f"{old.password}\n", 0o600)
    _write(config, agent_toml(old, logs, secret.name), 0o644)
    return secret


def secret_of(config: Path) -> Path:
    """Where the password belongs."""
    return config.with_name("agent.secret")


def _write(path: Path, text: str, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
