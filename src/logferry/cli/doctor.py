"""``logferry doctor``: what a server, or an agent, needs and has; each line with the next step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_agent, for_server
from logferry.errors import LogferryError
from logferry.machine import Finding, failed

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
AGENT_FILE = "agent.toml"


@click.command()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings: a server.toml, or an agent.toml.")
@click.option("--agent", "of_agent", is_flag=True, help="Of an agent alone; without, of all that is here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(file: str | None, of_agent: bool, as_json: bool) -> int:
    """Look at all that a server, or an agent, needs; exit 3 where something fails, else 0. Nothing is changed.

    Settings, permissions, disk, catalog, store, certificate, ports, limits of the kernel, packages, clock; of an
    agent also the way to its server, data connections included.
    """
    findings: list[Finding] = []
    if of_agent or (file is not None and os.path.basename(file).startswith("agent")):
        findings += _agent(file or AGENT_FILE)
    elif file is not None:
        findings += _server(file)
    else:
        is_node = os.path.isfile(AGENT_FILE)
        if _is_server() or not is_node:
            findings += _server(None)
        if is_node:
            findings += _agent(AGENT_FILE)
    tell(findings, as_json=as_json)
    return failures.REFUSED if any(found.level == "fail" for found in findings) else failures.OK


def tell(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Each on a line, and what to do below it."""
    for found in findings:
        if as_json:
            row = {"level": found.level, "area": found.area, "text": found.text, "hint": found.hint}
            text.out_json(row)
            continue
        text.out(
            f"{text.paint(f'{found.level:4}', fg=_COLOURS[found.level])}  {found.area:<11}  {text.line(found.text)}"
        )
        if found.hint:
            text.out(f"      {'':<11}  {text.line(found.hint)}")


def _is_server() -> bool:
    """Whether a server has settings here, or ran here without any."""
    from logferry.server.config import DEFAULT_FILES, ArchiveConfig

    has_settings = bool(os.environ.get("LOGFERRY_CONFIG")) or any(map(os.path.isfile, DEFAULT_FILES))
    return has_settings or os.path.isdir(ArchiveConfig().root)


def _server(file: str | None) -> Iterator[Finding]:
    from logferry.cli.serve import need_server

    try:
        need_server()
        from logferry.server.config import load_config_with_origins
        from logferry.server.doctor import examine

        loaded = load_config_with_origins(file, for_server())
    except LogferryError as error:
        yield failed("settings", error)
        return
    yield from examine(loaded)


def _agent(file: str) -> Iterator[Finding]:
    from logferry.agent.config import load_config
    from logferry.agent.doctor import examine

    try:
        config = load_config(file, for_agent())
    except LogferryError as error:
        yield failed("settings", error)
        return
    yield Finding("ok", "settings", f"{file}: right")
    yield from examine(config)
