"""One request to the server's web part, on the standard library alone: JSON both ways, the certificate verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logferry.errors import (
    BadConfig,
    Busy,
    Conflict,
    Later,
    LogferryError,
    NotFound,
    NotPermitted,
    NotSignedIn,
    Refused,
    TimedOut,
    Unreachable,
)
from logferry.names import shown

if TYPE_CHECKING:
    from http.client import HTTPConnection


@dataclass(frozen=True, slots=True)
class Address:
    """Where the web part is; ``path`` is what stands before every route, without a slash at its end."""

    host: str
    port: int
    secure: bool
    path: str


def parse_address(address: str, *, pinned: bool = False, needs_scheme: bool = False) -> Address:
    """``host:port`` or ``https://host:port/below``; plain HTTP on loopback only, and not where there is a pin.

    Raises BadConfig, Refused (plain HTTP).
    """
    from urllib.parse import urlsplit  # a megabyte of modules, for agents that have a heartbeat

    parts = urlsplit(address if "://" in address else f"//{address}")
    example = "https://logs.example:8443" if needs_scheme else "logs.example:8443"
    known = ("http", "https") if needs_scheme else ("", "http", "https")
    if parts.scheme not in known or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise BadConfig(f"{address!r} is not an address", hint=f"write for example {example}")
    try:
        port = parts.port
    except ValueError as error:
        raise BadConfig(f"{address!r} has no valid port", hint=f"write for example {example}") from error
    loopback = _is_loopback(parts.hostname)
    secure = parts.scheme == "https" or (not parts.scheme and (pinned or not loopback))  # a pin is for a certificate
    if not secure and not loopback:
        hint = "use https://; plain HTTP would send secrets readable"
        raise Refused(f"plain HTTP to {parts.hostname} is not allowed", hint=hint)
    return Address(parts.hostname, port or (443 if secure else 80), secure, parts.path.rstrip("/"))


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def post(
    where: Address,
    route: str,
    body: Mapping[str, Any],
    *,
    pins: tuple[str, ...] = (),
    ca_file: str = "",
    user: str = "",
    password: str = "",
    timeout_s: float,
    reply_bytes_max: int,
) -> dict[str, Any]:
    """POST ``body`` as JSON and return the JSON object of a 200 or 201.

    Args:
        where: the server; its certificate must have one of ``pins``, or be vouched for where there are none.
        route: what follows ``where.path``.
        user, password: sent as Basic authorization where ``user`` is not empty.

    Raises:
        Unreachable, TimedOut, Refused, BadConfig: no answer, or a wrong certificate.
        NotSignedIn, NotPermitted, NotFound, Conflict, Busy, Refused, Later: the server's answer, in its own words.
    """
    import http.client  # an agent without heartbeats never needs it

    from logferry.ftp.client_tls import open_tls

    connection = http.client.HTTPConnection(where.host, where.port, timeout=timeout_s)
    try:
        if where.secure:
            connection.sock = open_tls(where.host, where.port, pins=pins, ca_file=ca_file, timeout_s=timeout_s)
        status, data = _exchange(connection, where.path + route, body, user, password, reply_bytes_max)
    except TimeoutError as error:
        raise TimedOut(f"{where.host}:{where.port} did not answer", hint="check address and firewall") from error
    except OSError as error:
        hint = "check the address; is it the server's web port?"
        raise Unreachable(f"{where.host}:{where.port}: {error.strerror or error}", hint=hint) from error
    except http.client.HTTPException as error:
        hint = "name the server's web port, as `logferry serve` printed it, not the one for FTP"
        raise Unreachable(f"{where.host}:{where.port} does not speak HTTP", hint=hint) from error
    finally:
        connection.close()
    try:
        reply = json.loads(data)
    except (ValueError, RecursionError):
        reply = {}
    if not isinstance(reply, dict):
        reply = {}
    if status not in (200, 201):
        raise _refusal(status, reply, where)
    return reply


def _exchange(
    connection: HTTPConnection, path: str, body: Mapping[str, Any], user: str, password: str, reply_bytes_max: int
) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if user:
        import base64

        pair = f"{user}:{password}".encode("utf-8", "surrogateescape")
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode('ascii')}"
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, response.read(reply_bytes_max)


def _refusal(status: int, reply: dict[str, Any], where: Address) -> LogferryError:
    text = shown(str(reply.get("detail") or f"{where.host}:{where.port} answered {status}"))
    hint = shown(str(reply.get("hint") or ""))
    if status == 401:
        return NotSignedIn(text, hint=hint)
    if status == 403:
        return NotPermitted(text, hint=hint)
    if status == 404:
        return NotFound(text, hint=hint or "is this the address of a Logferry server?")
    if status == 409:
        return Conflict(text, hint=hint)
    if status == 429:
        return Busy(text, hint=hint)
    return Refused(text, hint=hint) if status < 500 else Later(text, hint=hint)
