"""``logferry doctor --agent``: what ``agent check`` tries, data connections, and what the machine offers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from logferry import machine
from logferry.agent.check import check
from logferry.agent.config import AgentConfig, host_and_port
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError, NotFound
from logferry.ftp.client import FtpClient
from logferry.limits import WATCHED_FOLDERS_COUNTED_MAX
from logferry.machine import Finding


def examine(config: AgentConfig, *, clock: Clock = SYSTEM) -> Iterator[Finding]:
    """Look at everything. Raises nothing for what it finds."""
    tried = check(config, clock=clock)
    for found in tried:
        yield Finding(found.level, "agent", found.text, found.hint)
    if any(found.text.startswith("signed in to") for found in tried):
        for address in config.server.addresses:
            yield from _data_connection(config, address, clock)
    yield from _disk(config)
    yield from machine.python()
    yield from machine.open_files()
    yield from machine.inotify(_folders(config))
    yield from machine.clock(clock.now_ns())


def _data_connection(config: AgentConfig, address: str, clock: Clock) -> Iterator[Finding]:
    """A listing takes a data connection, which is what firewalls and NAT break."""
    host, port = host_and_port(address)
    try:
        with FtpClient(
            host,
            port,
            user=config.user,
            password=config.password(),
            tls=config.server.tls,  # type: ignore[arg-type]  # one of the three words, checked by the settings
            pins=config.server.pin,
            ca_file=config.server.ca_file,
            clock=clock,
        ) as client:
            client.entries("/")
    except NotFound:  # nothing was delivered yet
        yield Finding("ok", "server", f"{address}: nothing is there yet")
    except LogferryError as error:
        hint = "open the server's ftp.passive_ports in its firewall; behind NAT, set its ftp.public_address"
        yield Finding("fail", "server", f"{address}: no data connection: {error.message}", hint)
    else:
        yield Finding("ok", "server", f"{address}: data connections get through")


def _disk(config: AgentConfig) -> Iterator[Finding]:
    folder = str(config.state_dir)
    if not os.path.isdir(folder) or os.name != "posix":
        return
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < machine.STATE_ROOM_BYTES:
        yield Finding("warn", "disk", f"{free >> 20} MiB are free for the registry in {folder}", "make room there")
    else:
        yield Finding("ok", "disk", f"{free >> 20:,} MiB are free for the registry")


def _folders(config: AgentConfig) -> int:
    """How many folders are to be watched; counting ends where it is plain that they are many."""
    count = 0
    for source in config.sources:
        for _ in os.walk(os.fsencode(source.path)):
            count += 1
            if count >= WATCHED_FOLDERS_COUNTED_MAX:
                return count
    return count
