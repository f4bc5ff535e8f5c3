"""The ``logferry`` program: one group of commands, each in a file of its own, read only when it is called.

That keeps ``logferry agent run`` small: it never imports what a server needs.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from logferry import __version__
from logferry.cli import failures
from logferry.errors import Refused

COMMANDS = {
    "admin": ("admin", "Set-up links, users, tokens and quotas, on the server's machine."),
    "agent": ("agent", "The program on a node: join, run, once, status, check."),
    "agents": ("agents", "List the agents with their state; set what they may, pause, revoke."),
    "alerts": ("alerts", "What is wrong, who is told, by which rules, and whether it came."),
    "audit": ("audit", "Who did what, and whether that record holds; on the server's machine."),
    "backup": ("backup", "Take, list, verify and thin out backups, on the server's machine."),
    "cat": ("cat", "Write a file, or some of its lines, as it is."),
    "completion": ("completion", "What a shell reads to complete commands and options."),
    "config": ("config", "Check settings and show where each comes from."),
    "count": ("count", "How many lines match, and where."),
    "doctor": ("doctor", "Look at all that a server, or an agent, needs; each line with what to do."),
    "export": ("export", "Lines as rows of a table: NDJSON or Parquet."),
    "find": ("find", "Find files by name, size and time."),
    "ftp": ("ftp", "Any FTP server: put, get, ls, mirror; or serve a folder."),
    "get": ("get", "Download a file or a folder, or a zip of it, verified."),
    "grep": ("grep", "Search the lines of all files."),
    "healthcheck": ("healthcheck", "Whether the server of this machine can serve; for containers and scripts."),
    "histogram": ("histogram", "When lines were written that match, drawn in the terminal."),
    "hold": ("hold", "Stop retention from deleting: add, list, remove; on the server's machine."),
    "import-seed": ("import_seed", "Take over from the older system: settings, users, stored files."),
    "link": ("link", "The web address of a file or a line."),
    "login": ("login", "Sign in to a server."),
    "logout": ("login", "Forget the sign-in."),
    "ls": ("ls", "List a folder."),
    "reindex": ("reindex", "Build indexes of the archive that are missing, on the server's machine."),
    "repair": ("repair", "Mend the archive, or build its lost catalog anew, on the server's machine."),
    "restore": ("restore", "A backup becomes an archive again, on the server's machine."),
    "retention": ("retention", "What is deleted by which rule: preview, run, log; on the server's machine."),
    "serve": ("serve", "Run the server."),
    "service": ("service", "Run the server as a service: a hardened systemd unit."),
    "support-bundle": ("support_bundle", "A zip for whoever helps: settings, versions, findings, log; no secrets."),
    "tail": ("tail", "The last lines of files; -f follows them."),
    "verify": ("verify", "Read the archive and compare it with its checksums, on the server's machine."),
    "version": ("version", "Versions of this program and of the server."),
    "worker": ("worker", "Look through text for searches, in a Dask cluster."),
}
"""Command -> module of this package that has it, and what the list of commands says about it."""


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"logferry.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, with the nearest name for one that is misspelt."""
        from logferry.settings import near

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise Refused(f"no command {args[0]!r}", hint=near(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click, but that a reader who has seen enough is no failure: click's own code for it is "nothing found"."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return failures.reader_left()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table above, so help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="logferry", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def logferry(debug: bool) -> None:
    """Log files of many machines in one archive, byte for byte.

    \b
    On the server:   logferry serve
    On each node:    logferry agent join logs.example:8443 --token LJ-… --pin sha256/… --watch /var/log
    Then, anywhere:  logferry agents · ls · find · grep · tail · cat · get · link
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return failures.exit_code(
        lambda: logferry.main(given, prog_name="logferry", standalone_mode=False), debug="--debug" in given
    )


def main() -> None:
    """Entry point of the program."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows fewer characters than logs have
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())
