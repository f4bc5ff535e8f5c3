"""``logferry config``: settings checked before anything starts, each with its origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.environment import for_agent, for_server

_KIND = click.option("--agent", "of_agent", is_flag=True, help="The settings of an agent (agent.toml).")
_FILE = click.argument("file", required=False, type=click.Path(dir_okay=False))
AGENT_FILE = "agent.toml"


@click.group()
def config() -> None:
    """Check settings and show where each comes from."""


@config.command()
@_FILE
@_KIND
def check(file: str | None, of_agent: bool) -> int:
    """Read a settings file as the server (or agent) would, and say what is wrong with it."""
    if of_agent:
        from logferry.agent.config import load_config as load_agent

        found = load_agent(file or AGENT_FILE, for_agent())
        text.out(text.line(f"{file or AGENT_FILE} is right: agent {found.agent.id}, {len(found.sources)} source(s)"))
        return failures.OK
    from logferry.server.config import load_config_with_origins

    loaded = load_config_with_origins(file, for_server())
    for warning in loaded.config.warnings():
        text.note(f"warning: {warning}")
    text.out(text.line(f"{loaded.path or 'the built-in settings'}: right"))
    return failures.OK


@config.command()
@_FILE
@_KIND
@click.option("--origin", is_flag=True, help="With the origin of each value.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(file: str | None, of_agent: bool, origin: bool, as_json: bool) -> int:
    """The settings in force."""
    rows = list(_agent_rows(file) if of_agent else _server_rows(file))
    if as_json:
        for name, value, where in rows:
            text.out_json({"setting": name, "value": value, "origin": where})
        return failures.OK
    width = max(len(f"{name} = {settings.toml_text(value)}") for name, value, _ in rows)
    for name, value, where in rows:
        given = f"{name} = {settings.toml_text(value)}"
        text.out(text.line(f"{given:{width}}  # {where}" if origin else given))
    return failures.OK


def _server_rows(file: str | None) -> Iterator[tuple[str, Any, str]]:
    from logferry.server.config import load_config_with_origins

    return load_config_with_origins(file, for_server()).rows()


def _agent_rows(file: str | None) -> Iterator[tuple[str, Any, str]]:
    from logferry.agent.config import AgentConfig, load_config

    path = file or AGENT_FILE
    values = load_config(path, for_agent())
    with open(path, "rb") as opened:
        layers = {f"file {path}": settings.read_toml(opened.read(), path)}
    layers["environment"] = settings.from_environment(AgentConfig, for_agent())
    origins = settings.origins(layers)
    for name, value in settings.flat(values):
        yield name, value, origins.get(name, f"file {path}" if name.startswith("sources") else "default")
