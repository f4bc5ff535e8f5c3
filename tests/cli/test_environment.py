"""Variables of server and agent in one shell do not get in each other's way."""

from __future__ import annotations

import dataclasses

import pytest

from logferry.agent.config import AgentConfig
from logferry.cli.environment import AGENT_TABLES, SERVER_TABLES, for_agent, for_server
from logferry.errors import BadConfig
from logferry.server.config import ServerConfig, load_config
from logferry.settings import from_environment

BOTH = {"LOGFERRY_ARCHIVE__ROOT": "/srv", "LOGFERRY_AGENT__ID": "a", "LOGFERRY_URL": "http://x", "PATH": "/"}


def test_the_tables_are_those_of_the_settings() -> None:
    """A new table of either program must be told apart as well."""
    assert sorted(AGENT_TABLES) == sorted(f.name for f in dataclasses.fields(AgentConfig))
    assert sorted(SERVER_TABLES) == sorted(f.name for f in dataclasses.fields(ServerConfig))


def test_each_program_sees_its_own_variables() -> None:
    """And everything that is no setting."""
    assert set(for_agent(BOTH)) == {"LOGFERRY_AGENT__ID", "LOGFERRY_URL", "PATH"}
    assert set(for_server(BOTH)) == {"LOGFERRY_ARCHIVE__ROOT", "LOGFERRY_URL", "PATH"}
    assert load_config(None, for_server(BOTH)).archive.root == "/srv"


def test_a_variable_of_neither_is_still_an_error() -> None:
    """A misspelt name must not be passed over."""
    with pytest.raises(BadConfig, match="LOGFERRY_ARCHIV__ROOT"):
        from_environment(AgentConfig, for_agent({"LOGFERRY_ARCHIV__ROOT": "/srv"}))
