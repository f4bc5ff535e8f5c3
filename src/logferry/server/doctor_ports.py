"""Whether the server's ports can be had, or are answered by the server itself; for ``logferry doctor``."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from logferry.limits import DOCTOR_ANSWER_S_MAX, PASSIVE_PORTS_USUAL
from logferry.machine import Finding
from logferry.server import runfiles
from logferry.server.config import ServerConfig, join_address
from logferry.server.runfiles import cannot_listen


def examine(config: ServerConfig) -> Iterator[Finding]:
    """Look at the ports of FTP and web, at the passive ones, at what stands in between."""
    for part, address in (("ftp", config.ftp.address), ("web", config.web.address)):
        told = _running(config, part)
        yield from _free(part, address) if told is None else _answers(part, told)
    yield from _passive(config, is_running=_running(config, "ftp") is not None)
    yield from _nat(config)


def running(config: ServerConfig) -> Iterator[Finding]:
    """Whether both parts run, and answer."""
    for part in ("ftp", "web"):
        told = _running(config, part)
        if told is None:
            yield Finding("fail", "ports", f"the {part} part does not run", "look in the server's log")
        else:
            yield from _answers(part, told)


def _running(config: ServerConfig, part: str) -> Mapping[str, Any] | None:
    """Where a part listens now, as it announced; None: it does not run."""
    told = runfiles.read_json(runfiles.part_file(config.data_dir, part))
    if told is None or not isinstance(told.get("pid"), int) or not isinstance(told.get("port"), int):
        return None
    try:
        os.kill(told["pid"], 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return told
    return told


def _free(part: str, address: tuple[str, int]) -> Iterator[Finding]:
    host, port = address
    error = _bound(host, port)
    if error is None:
        yield Finding("ok", "ports", f"{part}: {join_address(host, port)} is free")
    else:
        refused = cannot_listen(part, f"{part}.listen", join_address(host, port), error)
        yield Finding("fail", "ports", refused.message, refused.hint)


def _bound(host: str, port: int) -> OSError | None:
    """Why nobody can listen there now; None: it can be done."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except OSError as error:
        return error
    return None


def _answers(part: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether a part that says it runs lets somebody in; FTP greets as well."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(told["host"]), str(told["host"]))  # noqa: S104 - compared with
    where = join_address(host, told["port"])
    try:
        with socket.create_connection((host, told["port"]), timeout=DOCTOR_ANSWER_S_MAX) as connection:
            greeting = connection.recv(3) if part == "ftp" else b"220"
    except OSError as error:
        why = error.strerror or str(error)
        yield Finding("fail", "ports", f"{part}: our server does not answer at {where}: {why}", "look in its log")
        return
    if greeting == b"220":
        yield Finding("ok", "ports", f"{part}: our server answers at {where}")
    else:
        yield Finding(
            "warn", "ports", f"{part}: our server answers at {where}, and refuses us", "is this address banned?"
        )


def _passive(config: ServerConfig, *, is_running: bool) -> Iterator[Finding]:
    ports = config.ftp.ports
    if ports is None:
        if config.ftp.public_address:
            yield Finding("warn", "ports", "ftp.public_address is set, ftp.passive_ports is not: any port may be used",
                          'set it, for example "30000-30099", and open these in the firewall')  # fmt: skip
        return
    if len(ports) < PASSIVE_PORTS_USUAL:
        yield Finding("warn", "ports", f"{len(ports)} passive ports: so many transfers at once at most",
                      f"an agent takes up to 4; {PASSIVE_PORTS_USUAL} and more are usual")  # fmt: skip
    if config.ftp.address[1] in ports or config.web.address[1] in ports:
        yield Finding("fail", "ports", "ftp.passive_ports holds a port that FTP or web listens on", "take others")
    taken = [] if is_running else [port for port in ports if _is_taken(config.ftp.address[0], port)]
    told = f"passive ports {ports.start}-{ports.stop - 1}"
    if taken:
        shown = ", ".join(map(str, taken[:5]))
        yield Finding("warn", "ports", f"{told}: others listen on {shown}", "take ports that nobody uses (ss -ltn)")
    else:
        yield Finding("ok", "ports", f"{told}; whether a firewall lets them through, logferry doctor --agent tells")


def _is_taken(host: str, port: int) -> bool:
    error = _bound(host, port)
    return error is not None and error.errno == errno.EADDRINUSE


def _nat(config: ServerConfig) -> Iterator[Finding]:
    public = config.ftp.public_address
    if not public:
        return
    if ip_address(public).is_private:
        yield Finding(
            "warn", "ports", f"ftp.public_address {public} is a private address", "from outside nobody gets there"
        )
    else:
        yield Finding("ok", "ports", f"PASV tells {public}")
