"""``logferry healthcheck``: whether the server of this machine can serve; for containers and scripts."""

from __future__ import annotations

import click

from logferry.cli import failures, text
from logferry.cli.connection import Connection
from logferry.cli.environment import for_server
from logferry.cli.http import Http
from logferry.errors import LogferryError, Unreachable
from logferry.limits import DOCTOR_ANSWER_S_MAX


@click.command()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.option("--agent", "of_agent", is_flag=True, help="Of the agent whose settings these are (agent.toml).")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def healthcheck(file: str | None, of_agent: bool, as_json: bool) -> int:
    """Exit 0 when the server of this machine answers and its catalog does, FTP as well; else 1, with the reason."""
    reason = _agent(file or "agent.toml") if of_agent else _server(file)
    if as_json:
        text.out_json({"healthy": not reason, "reason": reason})
    else:
        text.out(text.line(reason or "healthy"))
    return failures.NOTHING if reason else failures.OK


def ask(data_dir: str, root_path: str, path: str) -> str:
    """What the web part of the server on ``data_dir`` answers to ``path``, as text. Raises LogferryError."""
    from logferry.server import runfiles

    told = runfiles.read_json(runfiles.local_file(data_dir))
    if told is None or "url" not in told:
        raise Unreachable("the server does not run, or it is another user's", hint="logferry serve starts it")
    connection = Connection(
        str(told["url"]).removesuffix(root_path), token=str(told.get("token", "")), pin=str(told.get("pin", ""))
    )
    with Http(connection, timeout_s=DOCTOR_ANSWER_S_MAX) as http, http.request("GET", root_path + path) as answer:
        return answer.read().decode()


def _server(file: str | None) -> str:
    """Why the server is not well; empty: it is."""
    from logferry.server import doctor_ports
    from logferry.server.config import load_config

    config = load_config(file, for_server())
    try:
        ask(config.data_dir, config.web.root_path, "/readyz")
    except LogferryError as error:
        return error.message
    bad = [found.text for found in doctor_ports.running(config) if found.level == "fail"]
    return bad[0] if bad else ""


def _agent(file: str) -> str:
    """Why the agent is not well; empty: it runs."""
    from logferry.agent import status
    from logferry.agent.config import state_dir_of
    from logferry.cli.environment import for_agent

    state_dir = state_dir_of(file, for_agent())
    return "" if status.is_running(status.read_status(state_dir), state_dir) else "the agent does not run"
