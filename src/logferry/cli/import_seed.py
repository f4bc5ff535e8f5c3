"""``logferry import-seed``: the older system's settings, users, record and stored tree, with every decision told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logferry.agent.taking_over import secret_of, take_over
from logferry.cli import failures, text
from logferry.cli.import_seed_server import ServerImport
from logferry.cli.import_seed_telling import Teller
from logferry.errors import BadConfig
from logferry.seed import reading
from logferry.seed.agent import OldAgent, agent_decisions
from logferry.seed.decisions import Decision
from logferry.seed.records import below
from logferry.seed.users import FATES, Fate

if TYPE_CHECKING:
    pass

_COLOURS = {"do": "green", "done": "bright_black", "ask": "cyan", "warn": "yellow", "skip": "bright_black"}


@click.command("import-seed")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--apply", "is_applied", is_flag=True, help="Do it. Without, everything is told and nothing changed.")
@click.option("--to", default=".", type=click.Path(file_okay=False), help="Where server.toml or agent.toml go.")
@click.option("--data", type=click.Path(file_okay=False), help="The archive's folder; default: logferry-data in --to.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="A server.toml that is there already.")
@click.option("--admin", "admins", multiple=True, metavar="NAME", help="This user becomes an administrator.")
@click.option("--viewer", "viewers", multiple=True, metavar="NAME", help="This user becomes a reader.")
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME", help="This user is the one with which agents deliver."
)
@click.option("--skip", "skipped", multiple=True, metavar="NAME", help="This user is left out.")
@click.option("--in-place", is_flag=True, help="Move the stored files into the archive instead of copying them.")
@click.option("--quarantine", is_flag=True, help="Move settings that agents uploaded out of the stored tree.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def import_seed(
    folder: str, is_applied: bool, to: str, data: str | None, config_file: str | None, admins: tuple[str, ...],
    viewers: tuple[str, ...], agents: tuple[str, ...], skipped: tuple[str, ...], in_place: bool, quarantine: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Take over from the older log archive system: DIR is the folder of its server, or of one of its agents.

    \b
    To see what would be done:  logferry import-seed /opt/logArchiver
    On the server, do it:       logferry import-seed /opt/logArchiver --apply
    On a node:                  logferry import-seed /opt/logAgent --to /etc/logferry --apply

    Stop the older server first. Its files stay; a second run changes nothing. Its agents go on delivering.
    """
    found = reading.look(folder)
    answers = _answers(admin=admins, viewer=viewers, agent=agents, skip=skipped)
    told = Teller(as_json=as_json)
    told.all(found.said)
    failed = 0
    if found.server is not None:
        server = ServerImport(
            found, Path(to).absolute(), data, config_file, answers, told, in_place=in_place, quarantine=quarantine
        )
        failed = server.run(is_applied=is_applied)
    for agent in found.agents:
        _node(found, agent, _agent_file(found, agent, Path(to)), told, is_applied=is_applied)
    _end(told, is_applied=is_applied, failed=failed, is_server=found.server is not None)
    return failures.PARTIAL if failed else failures.OK


def _answers(**given: tuple[str, ...]) -> dict[str, Fate]:
    answers: dict[str, Fate] = {}
    for fate in FATES:
        for name in given[fate]:
            if answers.setdefault(name, fate) != fate:
                raise click.UsageError(f"{name} cannot become {answers[name]} and {fate}")
    return answers


def _end(told: Teller, *, is_applied: bool, failed: int, is_server: bool) -> None:
    if told.as_json:
        text.out_json({"kind": "end", "applied": is_applied, "failed": failed, **told.counts})
    elif not is_applied:
        text.note("nothing was changed; --apply does what is told above")
    elif failed:
        text.note(f"{failed:,} things could not be taken over; mend what is told above, then import again")
    elif is_server:
        text.note("taken over; logferry serve starts it, and its older agents find it where it was")


# A node --------------------------------------------------------------------------------------------------------------


def _agent_file(found: reading.Found, agent: OldAgent, to: Path) -> Path:
    """Where its settings go: in a folder of its own where there are several."""
    return (to / agent.id if len(found.agents) > 1 else to).absolute() / "agent.toml"


def _node(found: reading.Found, agent: OldAgent, file: Path, told: Teller, *, is_applied: bool) -> None:
    is_there = file.exists()
    told.all(agent_decisions(agent, str(file), str(secret_of(file)), is_there=is_there))
    logs = found.log_folder(agent)
    if not is_there:
        told.all(_record(found, agent, logs))
    if is_applied and not is_there:
        take_over(agent, logs, file)


def _record(found: reading.Found, agent: OldAgent, logs: str) -> Iterator[Decision]:
    """What the agent believed to have uploaded."""
    about = f"record of {agent.id}"
    try:
        paths = found.record_of(agent)
    except BadConfig as error:
        yield Decision("warn", about, error.message, error.hint)
        return
    if paths is None:
        yield Decision("skip", about, f"there is no {agent.record}: all files are compared with the server")
        return
    inner = [below(path, agent.log_dir) for path in paths]
    here = sum(1 for path in inner if path and os.path.isfile(os.path.join(logs, path)))
    told = f"{len(paths):,} files uploaded, unverified; {here:,} of them are here"
    yield Decision(
        "do", about, f"{told}: the agent compares each with the server by SIZE and HASH before anything is sent again"
    )
    if strange := sum(1 for path in inner if path is None):
        yield Decision("skip", about, f"{strange:,} paths lie outside of {agent.log_dir}")
