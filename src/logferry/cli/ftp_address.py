"""``ftp://user@host:port/path``: which FTP server is meant, as whom, how safely; and the password for it.

A password comes from, in this order: ``--password-file``, the address, ``LOGFERRY_FTP_PASSWORD``, ``~/.netrc``, a
question on the terminal. It is never shown, and an address that holds one is shown without it.
"""

from __future__ import annotations

import ipaddress
import netrc
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO
from urllib.parse import quote, unquote_to_bytes

import click

from logferry.cli import text
from logferry.errors import BadConfig, NotSignedIn
from logferry.ftp import FtpClient, TokenBucket
from logferry.ftp.client_session import TlsMode
from logferry.settings import rate_bytes_s

PASSWORD_VARIABLE = "LOGFERRY_FTP_PASSWORD"  # noqa: S105 - the name of one
_SCHEMES: dict[str, tuple[TlsMode, int]] = {
    "ftp": ("explicit", 21),
    "ftps": ("required", 21),
    "ftps+implicit": ("implicit", 990),
}
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<user>[^@/:]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)?",
    re.DOTALL,
)
_HINT = "write for example ftps://ann@logs.example/folder/file"


@dataclass(frozen=True, slots=True)
class FtpAddress:
    """A place on an FTP server. ``path`` is absolute, or relative to the folder the login leads to (``/~/…``)."""

    tls: TlsMode
    user: str
    host: str
    port: int
    path: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, given: str) -> FtpAddress:
        """``ftp://`` asks for TLS and does without where there is none, ``ftps://`` insists (AUTH TLS).

        ``ftps+implicit://`` is TLS from the first byte on. ``%XX`` is a byte; everything else is itself. Raises
        BadConfig.
        """
        found = _ADDRESS.fullmatch(given)
        if found is None or found["scheme"] not in _SCHEMES:
            raise BadConfig(f"{_without_password(given)!r} is not an FTP address", hint=_HINT)
        tls, usual = _SCHEMES[found["scheme"]]
        port = int(found["port"] or usual)
        if not 0 < port < 65536:
            raise BadConfig(f"{port} is not a port", hint=_HINT)
        path = _decoded(found["path"] or "")
        path = path[3:] if path == "/~" or path.startswith("/~/") else path
        password = None if found["password"] is None else _decoded(found["password"])
        return cls(tls, _decoded(found["user"] or ""), found["host"].strip("[]"), port, path, password)

    def at(self, path: str) -> str:
        """The address of ``path`` on this server, for people: never with a password."""
        scheme = next(name for name, (tls, _) in _SCHEMES.items() if tls == self.tls or self.tls == "off")
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _SCHEMES[scheme][1] else f":{self.port}"
        return f"{scheme}://{user}{host}{port}{path if path.startswith('/') else '/~/' + path}"


def is_address(given: str) -> bool:
    """Whether ``given`` is meant as an address, not as a local path."""
    return "://" in given


def _decoded(given: str) -> str:
    return unquote_to_bytes(given.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _without_password(given: str) -> str:
    return re.sub(r":[^@/:]*@", ":…@", given)


# Options -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class How:
    """What the options say about connecting."""

    tls: TlsMode | None
    pins: tuple[str, ...]
    ca_file: str
    password_file: TextIO | None
    limit: str
    timeout_s: float

    def client(self, address: FtpAddress) -> FtpClient:
        """A client that is not connected yet. Raises BadConfig, NotSignedIn (no password to be had)."""
        user, password = _credentials(address, self.password_file)
        rate = rate_bytes_s(self.limit) if self.limit else 0
        tls = self.tls or address.tls
        if tls == "off" and not _is_loopback(address.host):
            text.note("warning: --tls off sends password and files in the clear")
        return FtpClient(
            address.host,
            address.port,
            user=user,
            password=password,
            tls=tls,
            pins=self.pins,
            ca_file=self.ca_file,
            timeout_s=self.timeout_s,
            rate=TokenBucket(rate) if rate else None,
        )

    def connected(self, address: FtpAddress) -> FtpClient:
        """A signed-in client; says so when that went in the clear. Raises what connecting raises."""
        client = self.client(address)
        client.connect()
        if not client.encrypted and self.tls != "off" and not _is_loopback(address.host):
            text.note(
                f"warning: {client.where} offers no TLS, the password went in the clear; ftps:// would have refused"
            )
        return client


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that connects; they are the fields of ``How``."""
    for option in reversed(
        (
            click.option(
                "--tls",
                type=click.Choice(("required", "explicit", "implicit", "off")),
                help="Instead of what the address says; explicit: when offered.",
            ),
            click.option("--pin", "pins", multiple=True, help="The server's certificate: sha256/…, as it printed it."),
            click.option("--ca-file", default="", help="Authorities to trust instead of the system's (PEM)."),
            click.option(
                "--password-file", type=click.File(), help="Read the password's line from a file ('-': standard input)."
            ),
            click.option("--limit", default="", metavar="RATE", help="At most so much, like 5MiB/s, in all."),
            click.option(
                "--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=30.0, show_default=True,
                help="Seconds to wait for any answer.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


# Credentials ---------------------------------------------------------------------------------------------------------


def _credentials(address: FtpAddress, password_file: TextIO | None) -> tuple[str, str]:
    user, kept = address.user, None
    if password_file is None and address.password is None and PASSWORD_VARIABLE not in os.environ:
        user, kept = _from_netrc(address.host, user)
    if not user:
        raise BadConfig(f"as whom to sign in to {address.host}?", hint=_HINT)
    if password_file is not None:
        return user, password_file.readline().rstrip("\r\n")
    if address.password is not None:
        text.note(f"warning: others on this machine may see a password in an address; better: {PASSWORD_VARIABLE}")
        return user, address.password
    if PASSWORD_VARIABLE in os.environ:
        return user, os.environ[PASSWORD_VARIABLE]
    if kept is not None:
        return user, kept
    if not sys.stdin.isatty():
        raise NotSignedIn(
            f"no password for {user} at {address.host}",
            hint=f"--password-file, {PASSWORD_VARIABLE} or ~/.netrc; on a terminal it is asked for",
        )
    return user, str(click.prompt(f"password of {user} at {address.host}", hide_input=True, err=True))


def _from_netrc(host: str, user: str) -> tuple[str, str | None]:
    """User and password kept for ``host``, when they are ``user``'s or no user was named."""
    path = os.path.expanduser("~/.netrc")
    try:
        found = netrc.netrc(path).authenticators(host)
    except FileNotFoundError:
        return user, None
    except (OSError, netrc.NetrcParseError) as error:
        raise BadConfig(f"{path} cannot be used: {error}", hint="it must be yours alone (0600)") from error
    if found is None or (user and found[0] != user):
        return user, None
    return found[0], found[2]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
