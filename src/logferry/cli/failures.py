"""What a failed command tells and returns: one place for messages and exit codes.

0 ok, 1 nothing found, 2 usage, 3 refused by the server, 4 partial or to be tried again. The codes of our own errors
stand in ``errors.py``; here is the rest.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable

import click

from logferry.cli import text
from logferry.errors import BadQuery, LogferryError

OK, NOTHING, USAGE, REFUSED, PARTIAL = range(5)
_HINTS = {
    errno.ENOSPC: "make room there, then repeat",
    errno.ENOENT: "look whether the name is right, and its folder there",
    errno.EACCES: "name another place, or run this as whoever may use that one",
}
INTERRUPTED = 130
"""What a shell returns for a program that Ctrl-C ended."""


def say(message: str, hint: str = "") -> None:
    """``logferry: message`` and, on a line of its own, what to do next. To standard error."""
    click.echo(f"logferry: {text.line(message)}", err=True)
    if hint:
        click.echo(f"  hint: {text.line(hint)}", err=True)


def exit_code(run: Callable[[], int | None], *, debug: bool = False) -> int:
    """Run a command and return its exit code; failures are told, with a traceback only when ``debug``."""
    try:
        return run() or OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        return _usage(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return reader_left()
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message for a person, never a traceback
        if debug:
            traceback.print_exc()
        return _tell(error)


def _usage(error: click.ClickException) -> int:
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "logferry"
    say(" ".join(error.format_message().split()), f"{command} --help says how to use it")
    return USAGE


def _tell(error: Exception) -> int:
    if isinstance(error, LogferryError):
        where = f" (at column {error.column})" if isinstance(error, BadQuery) else ""
        say(error.message + where, error.hint)
        return error.exit_code
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        say(f"{name}{error.strerror or error}", _HINTS.get(error.errno or 0, ""))
        return PARTIAL if error.errno == errno.ENOSPC else USAGE
    inner = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(inner.filename)}:{inner.lineno}"
    mistake = f"a mistake in logferry itself: {type(error).__name__}: {error} ({place})"
    say(mistake, "report it, with what --debug shows")
    return PARTIAL


def reader_left() -> int:
    """The program behind our pipe (``head``) has seen enough: no error. Python must not flush into it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except io.UnsupportedOperation:  # standard output is no file: somebody runs the command within a program
        return OK
    finally:
        os.close(nowhere)
    return OK
