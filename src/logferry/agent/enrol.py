"""Joining a server: one HTTPS request with a join token gets the agent its own FTP user; the certificate is pinned."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
from logferry.ftp.client_tls import checked_pins, open_tls
from logferry.limits import JOIN_REPLY_BYTES_MAX
from logferry.names import shown

_TIMEOUT_S = 30.0
_JOIN_PATH = "/api/v1/agents/join"


@dataclass(frozen=True, slots=True)
class JoinResult:
    """What was agreed and written."""

    agent_id: str
    server: str
    """``host:port`` of the FTP service."""
    tls: str
    pin: str
    config_path: str
    secret_path: str


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    secure: bool
    path: str


def join(
    address: str,
    *,
    token: str,
    watch: Sequence[str],
    pin: str = "",
    agent_id: str = "",
    group: str = "",
    config_path: str = "agent.toml",
    state_dir: str = "",
) -> JoinResult:
    """Become an agent of the server at ``address`` and write ``agent.toml`` and ``agent.secret`` (0600) beside it.

    Args:
        address: ``host:port`` or ``https://host:port`` of the server's web part; plain HTTP only on loopback, when
            no pin is given.
        token: the join token.
        watch: folders to ship.
        pin: ``sha256/…`` of the server's certificate; without it, the system's authorities must trust it.
        agent_id: the wanted id; empty: the server makes one from the host's name.

    Raises:
        Conflict: there are settings already, or the id is taken.
        NotSignedIn: the token is wrong, spent or expired.
        Refused, Unreachable, TimedOut, Later, BadConfig: as their messages say.
    """
    if not watch:
        raise BadConfig("nothing to watch", hint="name at least one folder with --watch")
    pins = checked_pins((pin,)) if pin else ()
    where = _parse(address, pinned=bool(pins))
    secret = Path(config_path).absolute().parent / "agent.secret"
    for path in (Path(config_path), secret):
        if path.exists():
            hint = "this node has joined: start it with logferry agent run; to join again, give --config another folder"
            raise Conflict(f"{path} exists already", hint=hint)
    body = {"token": token, "id": agent_id, "hostname": socket.gethostname(), "group": group}
    secret_fd = _reserve(secret)
    try:
        reply = _post(where, body, pins)
        result, password, text = _agreed(reply, pins, group, watch, Path(config_path), secret, state_dir)
        os.write(secret_fd, password.encode() + b"\n")
        os.fsync(secret_fd)
        _write(Path(config_path), text)
    except BaseException:
        secret.unlink()
        raise
    finally:
        os.close(secret_fd)
    return result


def _parse(address: str, *, pinned: bool = False) -> _Address:
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme not in ("", "http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadConfig(f"{address!r} is not an address", hint="write for example logs.example:8443")
    try:
        port = parts.port
    except ValueError as error:
        raise BadConfig(f"{address!r} has no valid port", hint="write for example logs.example:8443") from error
    loopback = _is_loopback(parts.hostname)
    secure = parts.scheme == "https" or (not parts.scheme and (pinned or not loopback))  # a pin is for a certificate
    if not secure and not loopback:
        hint = "use https://; plain HTTP would send the token and the new password readable"
        raise Refused(f"plain HTTP to {parts.hostname} is not allowed", hint=hint)
    return _Address(parts.hostname, port or (443 if secure else 80), secure, parts.path.rstrip("/"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reserve(path: Path) -> int:
    """An empty file that only the owner may read, made before the token is used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadConfig(f"cannot write {path}: {error.strerror}", hint="name a writable place with --config") from error


def _post(where: _Address, body: dict[str, str], pins: tuple[str, ...]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(where.host, where.port, timeout=_TIMEOUT_S)
    try:
        if where.secure:
            connection.sock = open_tls(where.host, where.port, pins=pins, timeout_s=_TIMEOUT_S)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request("POST", where.path + _JOIN_PATH, json.dumps(body), headers)
        response = connection.getresponse()
        data = response.read(JOIN_REPLY_BYTES_MAX)
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
    except ValueError:
        reply = {}
    if not isinstance(reply, dict):
        reply = {}
    if response.status not in (200, 201):
        raise _refusal(response.status, reply, where)
    return reply


def _refusal(status: int, reply: dict[str, Any], where: _Address) -> LogferryError:
    text = shown(str(reply.get("detail") or f"{where.host}:{where.port} answered {status}"))
    hint = shown(str(reply.get("hint") or ""))
    if status == 401:
        return NotSignedIn(text, hint=hint or "make a new token on the server: logferry admin join-token")
    if status == 403:
        return NotPermitted(text, hint=hint)
    if status == 404:
        return NotFound(text, hint=hint or "is this the address of a Logferry server?")
    if status == 409:
        return Conflict(text, hint=hint or "choose another id with --id")
    if status == 429:
        return Busy(text, hint=hint)
    return Refused(text, hint=hint) if status < 500 else Later(text, hint=hint)


def _agreed(
    reply: dict[str, Any],
    pins: tuple[str, ...],
    group: str,
    watch: Sequence[str],
    config_path: Path,
    secret: Path,
    state_dir: str,
) -> tuple[JoinResult, str, str]:
    """What the server's reply means: the result, the password, the text of agent.toml."""
    try:
        ftp = reply["ftp"]
        agent_id, user, password = str(reply["id"]), str(reply["user"]), str(reply["password"])
        host, port, tls, found = str(ftp["host"]), int(ftp["port"]), str(ftp["tls"]), str(ftp.get("pin") or "")
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the server's answer makes no sense", hint="is this the address of a Logferry server?") from error
    if pins and found and found not in pins:
        raise Refused(
            f"the server's FTP certificate is {shown(found)}, expected {pins[0]}",
            hint="copy the whole line that the server printed; if it is right, somebody stands in between",
        )
    tls = "off" if tls == "off" else "required"
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    pin = (found or (pins[0] if pins else "")) if tls != "off" else ""
    text = _settings(agent_id, group, state_dir, server, tls, pin, user, secret.name, watch)
    return JoinResult(agent_id, server, tls, pin, str(config_path), str(secret)), password, text


def _settings(
    agent_id: str,
    group: str,
    state_dir: str,
    server: str,
    tls: str,
    pin: str,
    user: str,
    password_file: str,
    watch: Sequence[str],
) -> str:
    lines = [
        '# Written by "logferry agent join". Every setting is explained in docs/reference/config.md.',
        "",
        "[agent]",
        f"id = {_toml(agent_id)}",
    ]
    lines += [f"group = {_toml(group)}"] if group else []
    lines += [f"state_dir = {_toml(os.path.abspath(state_dir))}"] if state_dir else []
    lines += ["", "[server]", f"address = {_toml(server)}", f"tls = {_toml(tls)}"]
    lines += [f"pin = [{_toml(pin)}]"] if pin else []
    lines += [f"user = {_toml(user)}", f"password_file = {_toml(password_file)}"]
    for folder in watch:
        lines += ["", "[[sources]]", f"path = {_toml(os.path.abspath(folder))}"]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    """``text`` as a TOML basic string."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadConfig(f"{shown(text)} is not valid UTF-8", hint="watch the folder above it instead") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
