"""Which server the command line talks to, and as whom.

In this order: ``LOGFERRY_URL`` (with ``LOGFERRY_TOKEN`` and ``LOGFERRY_PIN``); the server of this machine, which leaves
``local.json`` in its data folder while it runs; what ``logferry login`` kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from logferry.cli.environment import for_server
from logferry.errors import BadConfig, NotSignedIn, Refused


@dataclass(frozen=True, slots=True)
class Connection:
    """An address such as ``https://logs.example:8443/logs`` and what opens it."""

    url: str
    token: str = ""
    session: str = ""
    """Value of the session cookie, where there is no token."""
    pin: str = ""
    """``sha256/…`` of the certificate; empty: ask the system's certificate authorities."""
    origin: str = ""
    """Where this was read, for messages."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise BadConfig(f"{self.url!r} is not a web address", hint="write for example https://logs.example:8443")


def login_file(environment: Mapping[str, str]) -> str:
    """Where ``logferry login`` keeps what it got: ``~/.config/logferry/login.json`` or below ``XDG_CONFIG_HOME``."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "logferry", "login.json")


def find(environment: Mapping[str, str] | None = None) -> Connection:
    """The connection to use.

    Raises:
        NotSignedIn: none is known.
    """
    environment = os.environ if environment is None else environment
    if environment.get("LOGFERRY_URL"):
        token, pin = environment.get("LOGFERRY_TOKEN", ""), environment.get("LOGFERRY_PIN", "")
        return Connection(environment["LOGFERRY_URL"].rstrip("/"), token=token, pin=pin, origin="LOGFERRY_URL")
    for path in (_local_file(environment), login_file(environment)):
        values = _read(path)
        if values:
            return Connection(**values, origin=path)
    raise NotSignedIn("no server is known", hint="sign in with logferry login https://…, or start one: logferry serve")


def remember(connection: Connection, environment: Mapping[str, str] | None = None) -> str:
    """Keep a connection for the commands to come, readable by its owner alone. Returns the file's path."""
    path = login_file(os.environ if environment is None else environment)
    kept = {k: v for k, v in asdict(connection).items() if v and k != "origin"}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fresh = f"{path}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    os.replace(fresh, path)
    return path


def forget(environment: Mapping[str, str] | None = None) -> bool:
    """Remove what ``remember`` kept. Returns whether there was anything."""
    try:
        os.unlink(login_file(os.environ if environment is None else environment))
    except FileNotFoundError:
        return False
    return True


def _local_file(environment: Mapping[str, str]) -> str:
    from logferry.server.config import load_config  # only readers need it

    return os.path.join(load_config(None, for_server(environment)).data_dir, "local.json")


def _read(path: str) -> dict[str, Any]:
    """The fields of a connection in a file; empty when there is no such file, or it belongs to somebody else."""
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}", hint="remove it, then sign in again") from error
    known = ("url", "token", "session", "pin")
    return {k: str(values[k]).rstrip("/") if k == "url" else str(values[k]) for k in known if values.get(k)}
