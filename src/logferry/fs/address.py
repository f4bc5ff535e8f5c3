"""Addresses of archived files: ``logferry://host:port/agent/path``, with ``?generation=N`` or ``~N`` behind. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from logferry.errors import BadName

PROTOCOL = "logferry"
_QUERY = re.compile(r"\?generation=([1-9][0-9]{0,17})$")
_TILDE = re.compile(r"~([1-9][0-9]{0,17})$")


@dataclass(frozen=True, slots=True)
class Address:
    """An agent ("" = the root above all agents), a path below it, and a generation where one is asked for."""

    agent: str
    path: str
    generation: int | None = None

    @property
    def text(self) -> str:
        """``/agent/path``, as file systems of fsspec name things."""
        return f"/{self.agent}/{self.path}".rstrip("/") or "/"


def stripped(url: str) -> str:
    """``logferry://host/agent/path`` or ``/agent/path`` -> ``/agent/path``; the generation stays."""
    if url.startswith(f"{PROTOCOL}://"):
        url = url.removeprefix(f"{PROTOCOL}://")
        url = url[url.find("/") :] if "/" in url else ""
    return "/" + "/".join(part for part in url.split("/") if part)


def server_of(url: str) -> str:
    """``host:port`` of an address; empty where it names none."""
    if not url.startswith(f"{PROTOCOL}://"):
        return ""
    return urlsplit(url).netloc


def parse(path: str) -> tuple[Address, Address | None]:
    """What a stripped path may mean: first choice, and for ``name~3`` the generation as a second one.

    A file whose name really ends in ``~3`` comes first.

    Raises:
        BadName: a query that is not ``?generation=N``.
    """
    asked = _QUERY.search(path)
    if asked:
        agent, _, rest = path[: asked.start()].strip("/").partition("/")
        return Address(agent, rest, int(asked[1])), None
    if "?generation" in path:
        raise BadName(f"{path!r} names no generation", hint="write for example /web-01/var/log/syslog?generation=2")
    agent, _, rest = path.strip("/").partition("/")
    tilde = _TILDE.search(rest)
    older = Address(agent, rest[: tilde.start()], int(tilde[1])) if tilde and tilde.start() else None
    return Address(agent, rest), older
