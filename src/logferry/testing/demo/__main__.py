"""The demo's two ways to run: for a person, until Ctrl-C; with ``--once`` by itself, checking everything."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from logferry.cli import failures
from logferry.errors import Refused
from logferry.testing.demo import checks, nodes
from logferry.testing.demo.checks import Row
from logferry.testing.demo.nodes import Fleet
from logferry.testing.demo.programs import Programs, until

FOLDER = Path(".demo")
MARK = "made-by-logferry-demo"
SHIP_S_MAX = 120.0
PACE_S = 0.5


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="check everything, then exit 0 or 1")
    parser.add_argument("--logs", type=Path, help="a folder with one subfolder per machine, instead of made-up logs")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # each ends it the way Ctrl-C does, children included
    folder = fresh(FOLDER)
    fleet = nodes.of_folder(arguments.logs) if arguments.logs else nodes.made_up(folder, ledger=arguments.once)
    programs = Programs(folder)
    try:
        return once(programs, fleet) if arguments.once else show(programs, fleet)
    finally:
        programs.stop_all()


def fresh(folder: Path) -> Path:
    """An empty folder for this run. Raises Refused rather than removing what the demo has not made."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise Refused(f"{folder} was not made by the demo", hint="move it away")
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARK).touch()
    return folder.resolve()


def say(text: str) -> None:
    """One line on the screen, at once."""
    print(text, flush=True)


def begin(programs: Programs, fleet: Fleet) -> str:
    """Server up, administrator made, agents joined and running. Returns the web address."""
    for note in fleet.notes:
        say(f"note: {note}")
    for tree in fleet.trees:
        tree.grow(2000)
    programs.start_server()
    web = programs.set_up()
    say(f"server: web {web}  FTP {programs.ftp} (TLS)")
    for node in fleet.nodes:
        programs.join(node)
        programs.start_agent(node)
        say(f"agent:  {node.agent} watches {', '.join(map(str, node.watched[:3]))}{' …' * (len(node.watched) > 3)}")
    return web


# For a person ------------------------------------------------------------------------------------------------------


def show(programs: Programs, fleet: Fleet) -> int:
    """Keep the logs growing until Ctrl-C."""
    web = begin(programs, fleet)
    if fleet.trees:
        fleet.plant()
    else:
        nodes.choose_word(fleet)
    say(
        f"""
Open    {web}
Sign in admin / {programs.password}     (also in {programs.folder / "login.txt"})

Try     export LOGFERRY_ARCHIVE__ROOT={programs.data}
        .venv/bin/logferry agents
        .venv/bin/logferry grep {fleet.word}
        .venv/bin/logferry grep -C2 error
        .venv/bin/logferry tail -f {a_place(fleet)}

Ctrl-C stops everything; what it made stays in {programs.folder} until the next run."""
    )
    try:
        grow_for_ever(programs, fleet)
    except KeyboardInterrupt:
        say("\nstopping")
    return failures.OK


def a_place(fleet: Fleet) -> str:
    """``agent:/path`` of a log worth following: the busiest of the first node."""
    node = fleet.nodes[0]
    busiest = node.watched[0] / os.fsdecode(node.tree.files[0].path) if node.tree else None
    return f"{node.agent}:{busiest or '/' + next(node.files())[0]}"


def grow_for_ever(programs: Programs, fleet: Fleet) -> None:
    """A few lines every half second, a rotation every minute. Ends when a program has died."""
    rotate_at = time.monotonic() + 60
    while not programs.broken():
        time.sleep(PACE_S)
        for tree in fleet.trees:
            tree.grow(4)
        if time.monotonic() > rotate_at:
            for tree in fleet.trees:
                tree.rotate(tree.files[0].path)
            rotate_at = time.monotonic() + 60
    raise Refused(f"{', '.join(programs.broken())} ended by itself", hint=f"see the logs in {programs.folder}")


# By itself ----------------------------------------------------------------------------------------------------------


def once(programs: Programs, fleet: Fleet) -> int:
    """Ship, rotate, kill the server and start it again, compare everything, print the account."""
    started = time.monotonic()
    if not fleet.trees:
        nodes.choose_word(fleet)
    begin(programs, fleet)
    if fleet.trees:
        grow_and_rotate(programs, fleet)
    for tree in fleet.trees:
        tree.grow(300)
    until("bytes are on their way", programs.has_bytes, seconds=SHIP_S_MAX)
    programs.kill_server()
    say("server: killed (-9) while agents ship, started again")
    for tree in fleet.trees:
        tree.grow(300)
    programs.start_server()
    if fleet.trees:
        fleet.plant()
        for tree in fleet.trees:
            tree.settle()
    shipped(programs, fleet)
    stopped = [programs.stop(node.agent) for node in fleet.nodes]
    rows = [
        checks.live_tree(programs, fleet),
        checks.by_get(programs, fleet),
        checks.by_ftp(programs, fleet),
        *([checks.generations(programs, fleet)] if fleet.trees else []),
        checks.search(programs, fleet),
        Row("agents stopped cleanly", stopped.count(0), len(stopped)),
        Row("server stopped cleanly", int(programs.stop("server") == 0), 1),
    ]
    return account(rows, fleet, time.monotonic() - started)


def grow_and_rotate(programs: Programs, fleet: Fleet) -> None:
    """Growth while agents watch; twice everything is shipped, then rotated in all three ways."""
    for _ in range(2):
        for _ in range(10):
            for tree in fleet.trees:
                tree.grow(50)
            time.sleep(0.05)
        for tree in fleet.trees:
            tree.settle()
        shipped(programs, fleet)
        for tree in fleet.trees:
            tree.rotate_all()
        shipped(programs, fleet)
    say("agents: shipped, rotated by rename, copy and replacement, shipped again")


def shipped(programs: Programs, fleet: Fleet) -> None:
    """Wait until the archive has every byte the nodes have. Raises TimedOut."""

    def holds() -> bool:
        if broken := programs.broken():
            raise Refused(f"{', '.join(broken)} ended by itself", hint=f"see the logs in {programs.folder}")
        return checks.is_shipped(programs, fleet)

    until("everything is shipped", holds, seconds=SHIP_S_MAX)


def account(rows: list[Row], fleet: Fleet, seconds: float) -> int:
    """Print the table; 0 when every row is right, else 1."""
    sizes = fleet.sizes()
    say(f"\n{len(fleet.nodes)} agents, {len(sizes)} files, {sum(sizes.values()):,} bytes, {seconds:.0f} s")
    width = max(len(row.what) for row in rows)
    for row in rows:
        say(f"  {'ok  ' if row.good else 'FAIL'}  {row.what:{width}}  {row.right} of {row.wanted}  {row.note}".rstrip())
    good = all(row.good for row in rows)
    say("demo: everything arrived, byte for byte" if good else f"demo: FAILED, see the logs in {FOLDER}/")
    return 0 if good else 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(failures.exit_code(main, debug="LOGFERRY_DEBUG" in os.environ))
