"""Variables for the server and for the agent, told apart: both may be set in one shell, each reads its own.

A misspelt variable is still an error, since it belongs to neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

AGENT_TABLES = ("agent", "limits", "server", "sources")
SERVER_TABLES = (
    "alerts", "archive", "audit", "auth", "backup", "catalog", "channels", "ftp", "quota", "retention", "search",
    "store", "web",
)  # fmt: skip
_PREFIX = "LOGFERRY_"


def for_agent(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (of this process) without settings of the server."""
    return _without(os.environ if environment is None else environment, SERVER_TABLES)


def for_server(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (of this process) without settings of an agent."""
    return _without(os.environ if environment is None else environment, AGENT_TABLES)


def _without(environment: Mapping[str, str], tables: tuple[str, ...]) -> dict[str, str]:
    dropped = tuple(f"{_PREFIX}{table.upper()}__" for table in tables)
    return {name: value for name, value in environment.items() if not name.startswith(dropped)}
