"""Joining a server: one HTTPS request with a join token gets the agent its own FTP user; the certificate is pinned."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logferry.agent.https import Address, parse_address, post
from logferry.errors import BadConfig, Conflict, NotSignedIn, Refused
from logferry.ftp.client_tls import checked_pins
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
    where = parse_address(address, pinned=bool(pins))
    secret = Path(config_path).absolute().parent / "agent.secret"
    for path in (Path(config_path), secret):
        if path.exists():
            hint = "this node has joined: start it with logferry agent run; to join again, give --config another folder"
            raise Conflict(f"{path} exists already", hint=hint)
    body = {"token": token, "id": agent_id, "hostname": socket.gethostname(), "group": group}
    secret_fd = _reserve(secret)
    try:
        reply = _asked(where, body, pins)
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


def _reserve(path: Path) -> int:
    """An empty file that only the owner may read, made before the token is used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadConfig(f"cannot write {path}: {error.strerror}", hint="name a writable place with --config") from error


def _asked(where: Address, body: dict[str, str], pins: tuple[str, ...]) -> dict[str, Any]:
    try:
        return post(where, _JOIN_PATH, body, pins=pins, timeout_s=_TIMEOUT_S, reply_bytes_max=JOIN_REPLY_BYTES_MAX)
    except NotSignedIn as error:
        if error.hint:
            raise
        raise NotSignedIn(error.message, hint="make a new token on the server: logferry admin join-token") from error
    except Conflict as error:
        raise Conflict(error.message, hint=error.hint or "choose another id with --id") from error


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
        heartbeat = str(reply.get("heartbeat") or "")
        trust = _trust(heartbeat, pinned=bool(pins))
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
    text = _settings(agent_id, group, state_dir, server, tls, pin, user, secret.name, heartbeat, trust, watch)
    return JoinResult(agent_id, server, tls, pin, str(config_path), str(secret)), password, text


def _trust(heartbeat: str, *, pinned: bool) -> str:
    """How the certificate behind ``heartbeat`` is verified: as it was when we joined. Raises ValueError."""
    if not heartbeat:
        return "pin"
    try:
        secure = parse_address(heartbeat, needs_scheme=True).secure
    except (BadConfig, Refused) as error:
        raise ValueError(heartbeat) from error
    return "pin" if pinned or not secure else "authorities"


def _settings(
    agent_id: str,
    group: str,
    state_dir: str,
    server: str,
    tls: str,
    pin: str,
    user: str,
    password_file: str,
    heartbeat: str,
    trust: str,
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
    lines += [f"heartbeat = {_toml(heartbeat)}"] if heartbeat else []
    lines += [f"heartbeat_trust = {_toml(trust)}"] if trust != "pin" else []
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
