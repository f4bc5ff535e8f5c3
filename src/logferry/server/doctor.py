"""``logferry doctor`` on a server: everything it needs, looked at once, each with the next step where it is missing.

Nothing is changed: no folder is made, no certificate, no migration. It may run beside the server.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address

from logferry import machine
from logferry.archive.catalog.glance import glance
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.ftp import TlsIdentity
from logferry.ftp.tls import CERTIFICATE_FILE, KEY_FILE
from logferry.limits import CATALOG_LOOK_S_MAX, CERTIFICATE_DAYS_LEFT_MIN
from logferry.machine import Finding, failed
from logferry.server import doctor_ports, runfiles
from logferry.server.catalogs import catalog_place, has_catalog
from logferry.server.certificate import certificate_of
from logferry.server.config import LoadedConfig, ServerConfig
from logferry.server.disk import disk_room, shown_bytes
from logferry.server.store import bucket_at
from logferry.settings import flat

_INODES_SHARE_MIN = 0.01
_OPTIONAL = {"psycopg": "catalog.url is PostgreSQL", "distributed": "search.cluster is set"}


def examine(loaded: LoadedConfig, *, clock: Clock = SYSTEM) -> Iterator[Finding]:
    """Look at everything. Raises nothing for what it finds."""
    config = loaded.config
    yield Finding("ok", "settings", f"{loaded.path or 'the built-in settings'}: right")
    for warning in config.warnings():
        yield Finding("warn", "settings", warning)
    checks: tuple[tuple[str, Callable[[ServerConfig], Iterator[Finding]]], ...] = (
        ("packages", _packages),
        ("archive", _folder),
        ("permissions", _permissions),
        ("disk", _disk),
        ("catalog", _catalog),
        ("store", _store),
        ("certificate", partial(_certificate, now_ns=clock.now_ns())),
        ("ports", doctor_ports.examine),
    )
    for area, check in checks:
        try:
            yield from check(config)
        except (LogferryError, OSError) as error:
            yield failed(area, error)
    yield from machine.open_files()
    yield from machine.clock(clock.now_ns())


def _packages(config: ServerConfig) -> Iterator[Finding]:
    yield from machine.python()
    wanted = {"psycopg": config.catalog.url != "sqlite", "distributed": bool(config.search.cluster)}
    for name, why in _OPTIONAL.items():
        if wanted[name] and importlib.util.find_spec(name) is None:
            yield Finding("fail", "packages", f"{name} is missing, and {why}", "pip install 'logferry[cluster]'")


def _folder(config: ServerConfig) -> Iterator[Finding]:
    root = config.data_dir
    if not os.path.isdir(root):
        above = root
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("ok", "archive", f"{root} is not there yet; the first start makes it")
        else:
            yield Finding("fail", "archive", f"{root} cannot be made: no right to write in {above}",
                          f"mkdir {root}, and give it to the user who runs the server")  # fmt: skip
        return
    found = os.stat(root)
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        yield Finding("fail", "archive", f"{root} belongs to another user", "run this as the user who runs the server")
    for name in ("", "live", "store", "incoming", "tails", "generations", "run"):
        path = os.path.join(root, name) if name else root
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
            yield Finding("fail", "archive", f"no right to write in {path}", "give it to the user who runs the server")
    if found.st_mode & stat.S_IWOTH:
        yield Finding("fail", "archive", f"everybody may write in {root}", f"chmod o-rwx {root}")
    elif found.st_mode & stat.S_IROTH:
        yield Finding("warn", "archive", f"everybody on this machine may read {root}", f"chmod o-rwx {root}")
    else:
        yield Finding("ok", "archive", f"{root} is there and can be written to")


def _permissions(config: ServerConfig) -> Iterator[Finding]:
    root = config.data_dir
    files = ((name.rpartition(".")[2], value) for name, value in flat(config))
    named = [value for name, value in files if name.endswith("_file") and name != "ca_file" and value]
    for name in named:
        if not os.path.exists(name):
            yield Finding("fail", "permissions", f"{name} is not there", "the settings name it: put the secret there")
    kept = [os.path.join(root, "tls", KEY_FILE), runfiles.local_file(root)]
    yield from machine.private("permissions", [*named, *kept])


def _disk(config: ServerConfig) -> Iterator[Finding]:
    if not os.path.isdir(config.data_dir):
        return
    room = disk_room(config)
    told = f"{shown_bytes(room.free)} free of {shown_bytes(room.total)}"
    if room.full:
        yield Finding("fail", "disk", room.message, "make room, or set retention; archive.min_free is the reserve")
    elif room.free < room.floor * 2:
        yield Finding("warn", "disk", f"{told}; below {shown_bytes(room.floor)} uploads wait", "make room soon")
    else:
        yield Finding("ok", "disk", told)
    found = os.statvfs(config.data_dir)
    if found.f_files and found.f_favail < found.f_files * _INODES_SHARE_MIN:
        yield Finding("fail", "disk", f"{found.f_favail:,} files more fit on it", "seal sooner (archive.seal_after)")


def _catalog(config: ServerConfig) -> Iterator[Finding]:
    if not has_catalog(config):
        yield Finding("ok", "catalog", "there is none yet; the first start makes it")
        return
    found = glance(catalog_place(config), within_s=CATALOG_LOOK_S_MAX)
    if not found.is_current:
        # Revisions are numbers; one that is larger than ours was written by a newer program.
        if found.revision > found.known:
            yield Finding("fail", "catalog", f"it was written by a newer Logferry (schema {found.revision})", "upgrade")
        else:
            yield Finding("warn", "catalog", f"its schema is {found.revision}; the next start makes it {found.known}",
                          "back it up first: logferry backup")  # fmt: skip
    elif not found.is_whole:
        yield Finding("ok", "catalog", f"schema {found.revision}; too large to be looked through now")
    else:
        yield Finding("ok", "catalog", f"schema {found.revision}; nothing damaged")


def _store(config: ServerConfig) -> Iterator[Finding]:
    if config.store.url == "file":
        return  # a folder below archive.root, looked at there
    bucket = bucket_at(config.store.url, config.store, "store")
    try:
        next(iter(bucket.objects()), None)
    finally:
        bucket.close()
    yield Finding("ok", "store", f"{config.store.url} answers")


def _certificate(config: ServerConfig, now_ns: int) -> Iterator[Finding]:
    if config.ftp.tls == "off" and not config.web.secure:
        yield Finding("ok", "certificate", "none is needed: FTP without TLS, web on this machine alone")
        return
    folder = os.path.join(config.data_dir, "tls")
    files = os.path.join(folder, CERTIFICATE_FILE), os.path.join(folder, KEY_FILE)
    if not all(map(os.path.exists, files)):
        yield Finding("ok", "certificate", "there is none yet; the first start makes one")
        return
    identity = TlsIdentity(*files)
    identity.server_context()
    found = certificate_of(identity)
    days, renew = found.days_left(now_ns), f"put a new one into {folder}"
    if found.is_self_made:
        renew = f"remove both files in {folder} and start again; then agents need the new pin"
    if found.not_before_ns > now_ns:
        yield Finding("fail", "certificate", "it is not valid yet", "is this machine's clock right?")
    elif days < 0:
        yield Finding("fail", "certificate", f"it ended {-days} days ago", renew)
    elif days < CERTIFICATE_DAYS_LEFT_MIN:
        yield Finding("warn", "certificate", f"it ends in {days} days", renew)
    else:
        yield Finding("ok", "certificate", f"good for {days} days, {found.pin}")
    wanted = [config.ftp.public_address or "", socket.gethostname()]
    missing = [name for name in wanted if name and not _is_for(name, found.names)]
    if missing and not found.is_self_made:
        yield Finding("warn", "certificate", f"it is not for {', '.join(missing)}, only for {', '.join(found.names)}",
                      "clients that check names by authorities refuse it; those with the pin do not")  # fmt: skip


def _is_for(name: str, names: tuple[str, ...]) -> bool:
    """Whether a certificate with these names is for ``name``; of a wildcard, for one label."""
    try:
        return str(ip_address(name)) in names
    except ValueError:
        tail = name.partition(".")[2]
        return name.casefold() in map(str.casefold, names) or (bool(tail) and f"*.{tail}".casefold() in names)
