"""``logferry agent check``: everything the agent needs, tried once, each with the next step where it is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from logferry.agent.config import AgentConfig, host_and_port
from logferry.agent.scan import Scanner
from logferry.agent.sources import Source
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.ftp.client import FtpClient
from logferry.limits import CLOCK_SKEW_S_MAX
from logferry.names import shown

Level = Literal["ok", "warn", "fail"]
_SERVER_CLOCK = re.compile(r"Server clock: ([0-9]{1,18}) ms since 1970")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: ``level`` is ``ok``, ``warn`` or ``fail``; ``hint`` is the next step."""

    level: Level
    text: str
    hint: str = ""


def check(config: AgentConfig, *, clock: Clock = SYSTEM) -> list[Finding]:
    """Try settings, sources, state folder, password, server, login and clocks. Raises nothing for what it finds."""
    secret = list(_secret(config))
    server = _servers(config, clock) if all(found.level != "fail" for found in secret) else ()
    return [*_sources(config), *_state(config), *secret, *server]


def _sources(config: AgentConfig) -> Iterator[Finding]:
    if not config.sources:
        yield Finding("fail", "no sources are set", 'add [[sources]] with path = "/var/log/…" to agent.toml')
    for settings in config.sources:
        scanner = Scanner([Source.of(settings)], never=[os.fsencode(config.agent.state_dir)])
        files = size = 0
        findings: list[_Problem] = []
        for look in scanner.walk():
            files += len(look.seen) + look.left_out
            size += sum(seen.stat.size for seen in look.seen) + look.left_out_bytes
            findings += [_Problem(f.what, f.why, f.hint) for f in look.findings]
            findings += [f for seen in look.seen for f in _unreadable(seen.path)]
        name = shown(settings.path)
        if findings:
            level: Level = "fail" if files == 0 else "warn"
            more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
            what = findings[0]
            which = "" if what.what == os.fsencode(settings.path) else f"{shown(os.fsdecode(what.what))}: "
            yield Finding(level, f"source {name}: {which}{what.why}{more}", what.hint)
        elif files == 0:
            hint = f"the patterns are include = {list(settings.include)}, exclude = {list(settings.exclude)}"
            yield Finding("warn", f"source {name} has no matching file yet", hint)
        if files:
            yield Finding("ok", f"source {name}: {files:,} file{'s' * (files != 1)}, {size:,} bytes")


def _unreadable(path: bytes) -> Iterator[_Problem]:
    if not os.access(path, os.R_OK):
        yield _Problem(path, "not readable", "give the agent's user read permission")


@dataclass(frozen=True, slots=True)
class _Problem:
    what: bytes
    why: str
    hint: str


def _state(config: AgentConfig) -> Iterator[Finding]:
    folder = config.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Finding("fail", f"state folder {folder}: {error.strerror}", "set agent.state_dir to a writable folder")
    else:
        yield Finding("ok", f"state folder {folder} is writable")


def _secret(config: AgentConfig) -> Iterator[Finding]:
    try:
        config.password()
    except LogferryError as error:
        yield Finding("fail", error.message, error.hint)
        return
    name = config.server.password_file
    if config.readable_by_others():
        yield Finding("warn", f"password file {name} is readable by others", f"chmod 600 {name}")
    else:
        yield Finding("ok", f"password file {name} is readable by its owner only")


def _servers(config: AgentConfig, clock: Clock) -> Iterator[Finding]:
    for address in config.server.addresses:
        yield from _server(config, address, clock)


def _server(config: AgentConfig, address: str, clock: Clock) -> Iterator[Finding]:
    server = config.server
    host, port = host_and_port(address)
    try:
        client = FtpClient(
            host,
            port,
            user=config.user,
            password=config.password(),
            tls=server.tls,  # type: ignore[arg-type]  # one of the three words, checked by the settings
            pins=server.pin,
            ca_file=server.ca_file,
            clock=clock,
        )
        with client:
            yield Finding("ok", f"signed in to {address} as {config.user}")
            yield from _protection(client, config)
            yield from _abilities(client)
            yield from _clocks(client, clock)
    except LogferryError as error:
        yield Finding("fail", error.message, error.hint)


def _protection(client: FtpClient, config: AgentConfig) -> Iterator[Finding]:
    if not client.encrypted:
        hint = 'set server.tls = "required"'
        yield Finding("warn", "nothing is encrypted: password and logs can be read on the way", hint)
    elif config.server.pin:
        yield Finding("ok", "encrypted; the server's certificate has the pinned value")
    else:
        yield Finding("ok", "encrypted; the server's certificate is signed by a trusted authority")


def _abilities(client: FtpClient) -> Iterator[Finding]:
    features = client.features
    if not features.has("SIZE"):
        yield Finding(
            "warn", "the server has no SIZE: what arrives cannot be confirmed by its size", "use another server"
        )
    if features.keeps:
        yield Finding("ok", "a Logferry archive: generations are kept")
    else:
        yield Finding("ok", "a plain FTP server: old generations are renamed aside")


def _clocks(client: FtpClient, clock: Clock) -> Iterator[Finding]:
    before_ns = clock.now_ns()
    reply = client.command("STAT")
    after_ns = clock.now_ns()
    found = _SERVER_CLOCK.search("\n".join(reply.lines))
    if found is None:
        yield Finding("ok", "the server does not tell its clock")
        return
    skew_s = (before_ns + after_ns) / 2e9 - int(found[1]) / 1e3
    if abs(skew_s) > CLOCK_SKEW_S_MAX:
        hint = "set the clocks by NTP; delivery does not depend on it, the times you see do"
        yield Finding("warn", f"this clock is {skew_s:+.1f} s off the server's", hint)
    else:
        yield Finding("ok", f"this clock is {skew_s:+.1f} s off the server's")
