"""``logferry agent``: the program on a node."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_agent
from logferry.clock import SYSTEM

if TYPE_CHECKING:
    from logferry.agent.config import AgentConfig
    from logferry.agent.runner import Summary
    from logferry.cli.agent_bar import FirstShip

_CONFIG = click.option(
    "--config", "file", default="agent.toml", show_default=True, type=click.Path(dir_okay=False), help="Its settings."
)


def _load(file: str) -> AgentConfig:
    from logferry.agent.config import load_config

    return load_config(file, for_agent())


def _state_dir(file: str) -> Path:
    """Where the agent keeps its status: also while its settings are wrong, which is when one wants to see it."""
    from logferry.agent.config import state_dir_of

    return state_dir_of(file, for_agent())


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
    """Ship and follow until SIGTERM or Ctrl-C; SIGHUP, or a change of the file, brings new settings."""
    return _run(file)


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="The account as JSON.")
def once(file: str, as_json: bool) -> int:
    """Ship everything there is, then end; exit 4 when something could not be shipped."""
    from logferry.agent.runner import Agent
    from logferry.agent.signals import obey_signals
    from logferry.cli.agent_bar import FirstShip

    shipping = Agent(_load(file), config_path=os.path.abspath(file), environment=for_agent())
    obey_signals(shipping)
    with FirstShip(shipping.status, follows=False) as bar:
        _log_to_stderr(bar)
        summary = shipping.once()
    if as_json:
        text.out_json({**asdict(summary), "complete": summary.complete})
    else:
        _tell(summary)
    return failures.OK if summary.complete else failures.PARTIAL


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@click.option("--metrics", is_flag=True, help="As Prometheus metrics, in the text format.")
def status(file: str, as_json: bool, metrics: bool) -> int:
    """What the running agent is doing; exit 1 when none runs."""
    from logferry.agent import status as told
    from logferry.cli.agent_status import lines

    if as_json and metrics:
        raise click.UsageError("--json and --metrics exclude each other")
    state_dir = _state_dir(file)
    found = told.read_status(state_dir)
    running = told.is_running(found, state_dir)
    if metrics:
        from logferry.agent.metrics import exposition

        click.echo(exposition(found, running=running), nl=False)
    elif as_json:
        text.out_json({**found.to_json(), "running": running})
    else:
        for line in lines(found, running=running, now_ns=SYSTEM.now_ns()):
            text.out(text.line(line))
    return failures.OK if running else failures.NOTHING


@agent.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def reload(file: str, as_json: bool) -> int:
    """Have the running agent read its settings anew, and say whether it took them; exit 3 when not."""
    from logferry.agent.reload import reload as ask

    found = ask(_state_dir(file))
    if as_json:
        text.out_json(
            {"taken": not found.config_error, "error": found.config_error, "loaded_ns": found.config_loaded_ns}
        )
    elif found.config_error:
        failures.say(f"not taken: {found.config_error}", "the agent goes on with the settings it had")
    else:
        text.out("the agent has taken its settings")
    return failures.REFUSED if found.config_error else failures.OK


@agent.command()
@click.argument("path", type=click.Path())
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def explain(path: str, file: str, as_json: bool) -> int:
    """Whether and why a file is shipped, from where to where, what is pending; exit 1 when it is not shipped."""
    from logferry.agent.explain import explain as explained
    from logferry.cli.agent_explain import lines

    found = explained(_load(file), path, config_path=os.path.abspath(file))
    if as_json:
        text.out_json(asdict(found))
    else:
        for line in lines(found):
            text.out(line)
    return failures.NOTHING if found.answer == "not shipped" else failures.OK


@agent.command("install-service")
@_CONFIG
@click.option("--print", "only_print", is_flag=True, help="Write the service file to standard output, change nothing.")
@click.option("--kind", type=click.Choice(["systemd", "launchd", "winsw"]), help="Instead of this system's.")
@click.option("--user", default="", help="Who it runs as; without it, the owner of the settings.")
@click.option("--read-all", is_flag=True, help="Let it read every file of the machine (CAP_DAC_READ_SEARCH).")
def install_service(file: str, only_print: bool, kind: str | None, user: str, read_all: bool) -> int:
    """Run the agent as a service: write the file for systemd, launchd or WinSW, and say what starts it."""
    from logferry.cli import agent_service as services

    chosen = kind or services.usual_kind()
    wanted = services.made(_load(file), file, user=user, read_all=read_all)
    if only_print:
        click.echo(services.text_of(chosen, wanted), nl=False)
        return failures.OK
    place = services.place_of(chosen, file)
    services.write(place, services.text_of(chosen, wanted))
    text.note(f"wrote {place}; now:")
    for step in services.next_steps(chosen, place):
        text.note(f"  {step}")
    return failures.OK


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


def _log_to_stderr(bar: FirstShip) -> None:
    logging.basicConfig(
        level=logging.INFO,
        handlers=[bar.handler] if sys.stderr.isatty() else [logging.StreamHandler(sys.stderr)],
        format="%(asctime)s %(levelname)s %(message)s",
    )


def _run(file: str) -> int:
    from logferry.agent.journal import Journal
    from logferry.agent.notify import Notifier
    from logferry.agent.runner import Agent
    from logferry.agent.signals import obey_signals
    from logferry.cli.agent_bar import FirstShip

    notifier = Notifier(os.environ, Journal())
    path = os.path.abspath(file)
    running = Agent(_load(file), config_path=path, environment=for_agent(), notifier=notifier)
    obey_signals(running)
    with FirstShip(running.status, follows=True) as bar:
        _log_to_stderr(bar)
        running.run()
    return failures.OK
