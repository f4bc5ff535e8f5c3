"""``logferry ftp serve``: a folder of this machine on FTP, for one user, until Ctrl-C. Base install only."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TextIO

import click

from logferry import __version__
from logferry.cli import failures, text
from logferry.cli.ftp_address import PASSWORD_VARIABLE
from logferry.errors import BadConfig, Refused
from logferry.ftp import (
    Deleted,
    Event,
    FtpServer,
    Incomplete,
    LoggedIn,
    LoginFailed,
    MemoryUsers,
    Received,
    Renamed,
    Sent,
    TlsIdentity,
    User,
    generate_password,
)
from logferry.ftp.permissions import LETTERS
from logferry.ftp.protocol.state import TlsPolicy

READING = "elr"
"""Permission letters of a user who may look and fetch."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False), metavar="FOLDER")
@click.option("--user", "name", required=True, help="Who may sign in.")
@click.option("--password-file", type=click.File(), help="Read the password's line from a file ('-': standard input).")
@click.option("--listen", default="127.0.0.1:2121", show_default=True, metavar="HOST:PORT", help="Port 0: any free.")
@click.option(
    "--tls", type=click.Choice(("required", "explicit", "implicit", "off")), default="required", show_default=True
)
@click.option("--identity", default="", metavar="FOLDER", help="Where its certificate is kept.")
@click.option("--read-only", is_flag=True, help="Nothing can be changed.")
@click.option("--passive-ports", default="", metavar="FROM-TO", help="Ports for data connections (firewalls).")
@click.option("--public-address", default="", metavar="IPV4", help="What clients behind a NAT are told.")
@click.option("--quiet", is_flag=True, help="Do not tell what clients do.")
def serve(
    folder: str,
    name: str,
    password_file: TextIO | None,
    listen: str,
    tls: TlsPolicy,
    identity: str,
    read_only: bool,
    passive_ports: str,
    public_address: str,
    quiet: bool,
) -> int:
    """Serve a folder to one user. Without a password given one is made and printed. Ctrl-C ends it.

    A password comes from --password-file or LOGFERRY_FTP_PASSWORD.
    """
    address = _address(listen)
    password, made = _password(password_file)
    home = os.path.abspath(folder)
    users = MemoryUsers(User.with_password(name, password, home, READING if read_only else LETTERS))
    own = None if tls == "off" else TlsIdentity.ensure(identity or _identity_folder(), [address[0]])
    server = FtpServer(
        address,
        users=users,
        tls=tls,
        identity=own,
        passive_ports=_ports(passive_ports),
        public_address=public_address,
        on_event=None if quiet else _tell,
    )
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    try:
        server.start()
    except OSError as error:
        raise Refused(
            f"cannot listen on {listen}: {error.strerror or error}", hint="choose another --listen"
        ) from error
    try:
        _banner(server.address, name, home, password if made else "", own, read_only=read_only)
        stop.wait()
        text.note("stopping: transfers may end")
    finally:
        server.stop()
    text.note("stopped")
    return failures.OK


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadConfig(f"{listen!r} is not HOST:PORT", hint="for example 0.0.0.0:2121")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":2121" is how people write every address


def _ports(given: str) -> range | None:
    if not given:
        return None
    first, _, last = given.partition("-")
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise BadConfig(f"{given!r} is no range of ports", hint="for example 30000-30099")
    return range(int(first), int(last) + 1)


def _password(file: TextIO | None) -> tuple[str, bool]:
    """The password, and whether it was made here."""
    given = file.readline().rstrip("\r\n") if file is not None else os.environ.get(PASSWORD_VARIABLE, "")
    if file is not None and not given:
        raise BadConfig("the password file has no password in its first line", hint="write it there")
    return (given, False) if given else (generate_password(), True)


def _identity_folder() -> str:
    """Kept between runs, so that the certificate's pin stays the same."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "logferry", "ftp")


def _banner(
    address: tuple[str, int], name: str, home: str, password: str, identity: TlsIdentity | None, *, read_only: bool
) -> None:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"{'ftps' if identity else 'ftp'}://{name}@{host}:{address[1]}/"
    text.out(text.line(f"logferry {__version__}  {url}  {home}{'  read only' if read_only else ''}"))
    if password:
        text.out(f"  password     {password}   (made just now; nobody else has it)")
    if identity:
        text.out(f"  certificate  {identity.pin}")
        text.out(text.line(f"  try          logferry ftp ls {url} --pin {identity.pin}"))
    else:
        text.note("warning: no TLS: passwords and files travel in the clear")
    sys.stdout.flush()


def _tell(event: Event) -> None:
    """One line of what happened; the names are the client's and may be anything."""
    who = f"{event.user or '-'}@{event.address}"
    match event:
        case LoggedIn():
            text.note(f"{who} signed in{'' if event.secure else ' without TLS'}")
        case LoginFailed():
            text.note(f"{who} was refused: {event.reason}")
        case Received():
            text.note(f"{who} put {event.path}, {text.size(event.count)}")
        case Sent():
            text.note(f"{who} got {event.path}, {text.size(event.count)}")
        case Incomplete():
            text.note(f"{who} broke off {event.path} after {text.size(event.count)}: {event.reason}")
        case Deleted():
            text.note(f"{who} deleted {event.path}")
        case Renamed():
            text.note(f"{who} renamed {event.path} to {event.target}")
        case _:
            return
