"""``logferry agent``: the program on a node."""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_agent

if TYPE_CHECKING:
    from logferry.agent.config import AgentConfig
    from logferry.agent.runner import Summary

_CONFIG = click.option(
    "--config", "file", default="agent.toml", show_default=True, type=click.Path(dir_okay=False), help="Its settings."
)


def _load(file: str) -> AgentConfig:
    from logferry.agent.config import load_config

    return load_config(file, for_agent())


@click.group()
def agent() -> None:
    """The program on a node: ships the logs it watches."""


@agent.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--token", required=True, help="The join token the server printed.")
@click.option("--pin", default="", help="The server's certificate, as it printed it.")
@click.option("--watch", multiple=True, required=True, type=click.Path(), help="A folder to watch; may be repeated.")
@click.option("--id", "agent_id", default="", help="The agent's id; without it the host's name.")
@click.option("--group", default="", help="The group it is listed with.")
@click.option("--state-dir", default="", help="Where it keeps its registry.")
@click.option("--no-run", is_flag=True, help="Only write the settings; start it later with `logferry agent run`.")
@_CONFIG
def join(
    address: str,
    token: str,
    pin: str,
    watch: tuple[str, ...],
    agent_id: str,
    group: str,
    state_dir: str,
    no_run: bool,
    file: str,
) -> int:
    """Join a server: get an identity of its own, write agent.toml and agent.secret, then ship and follow."""
    from logferry.agent import enrol

    result = enrol.join(
        address,
        token=token,
        pin=pin,
        agent_id=agent_id,
        group=group,
        watch=[os.path.abspath(folder) for folder in watch],
        config_path=file,
        state_dir=state_dir,
    )
    text.note(f"joined as {result.agent_id} · wrote {result.config_path} and {result.secret_path} (0600)")
    for finding in _findings(file):
        text.note(finding)
    return failures.OK if no_run else _run(file)


@agent.command()
@_CONFIG
def run(file: str) -> int:
    """Ship and follow until SIGTERM or Ctrl-C."""
    return _run(file)


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="The account as JSON.")
def once(file: str, as_json: bool) -> int:
    """Ship everything there is, then end; exit 4 when something could not be shipped."""
    from logferry.agent.runner import Agent

    _log_to_stderr()
    summary = Agent(_load(file), config_path=os.path.abspath(file)).once()
    if as_json:
        text.out_json({**asdict(summary), "complete": summary.complete})
    else:
        _tell(summary)
    return failures.OK if summary.complete else failures.PARTIAL


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def status(file: str, as_json: bool) -> int:
    """What the running agent is doing."""
    from logferry.agent import status as told

    found = told.read_status(_load(file).state_dir)
    running = told.is_running(found)
    if as_json:
        text.out_json({**found.to_json(), "running": running})
    else:
        for line in told.text(found, running=running):
            text.out(text.line(line))
    return failures.OK if running else failures.NOTHING


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def check(file: str, as_json: bool) -> int:
    """Try everything before it counts: folders, password, server, certificate, a transfer."""
    from logferry.agent.check import check as check_all

    findings = check_all(_load(file))
    for found in findings:
        if as_json:
            text.out_json({"level": found.level, "text": found.text, "hint": found.hint})
            continue
        colour = {"ok": "green", "warn": "yellow", "fail": "red"}[found.level]
        text.out(f"{text.paint(f'{found.level:4}', fg=colour)}  {text.line(found.text)}")
        if found.hint:
            text.out(f"      {text.line(found.hint)}")
    return failures.REFUSED if any(found.level == "fail" for found in findings) else failures.OK


def _findings(file: str) -> list[str]:
    """What a check of the sources alone finds wrong, as lines."""
    told = {True: "is a file; watch its folder and name the file in include", False: "is no folder yet"}
    paths = [s.path for s in _load(file).sources if not os.path.isdir(s.path)]
    return [f"warning: {path} {told[os.path.exists(path)]}" for path in paths]


def _tell(summary: Summary) -> None:
    slices, files = summary.sent_slices, summary.files
    sent = f"sent {text.size(summary.sent_bytes)} in {slices:,} slice{'s' * (slices != 1)}"
    sent += f"; {files:,} file{'s' * (files != 1)} known"
    text.note(f"{sent}, {summary.left:,} left ({text.size(summary.left_bytes)})")
    for problem in summary.problems:
        failures.say(problem)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")


def _run(file: str) -> int:
    from logferry.agent.runner import Agent

    _log_to_stderr()
    running = Agent(_load(file), config_path=os.path.abspath(file))

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        running.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    running.run()
    return failures.OK
