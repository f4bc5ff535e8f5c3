"""What happens once before the parts start, and what a person is told when they listen. Data only; the CLI prints it.

``prepare`` makes the data folder, the certificate and the catalog, takes the lock that keeps a second server off the
same archive, and makes the codes for whoever is still missing: the first administrator, the first agent.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logferry.archive.backup.restoring import refuse_unfinished
from logferry.clock import SYSTEM, Clock
from logferry.errors import Conflict
from logferry.ftp import TlsIdentity
from logferry.server import runfiles
from logferry.server.catalogs import has_catalog, open_catalog
from logferry.server.config import LoadedConfig, ServerConfig, join_address
from logferry.server.disk import disk_room
from logferry.server.enrolment import Enrolment, JoinToken
from logferry.server.people import People
from logferry.server.porter import PORTER_FILE

CONFIG_FILE = "config.json"
ORIGINS_FILE = "origins.json"
"""Where each of the settings in ``CONFIG_FILE`` comes from."""
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


@dataclass(slots=True)
class Prepared:
    """An archive that is ready to be served. Keep it as long as the server runs: it holds the lock."""

    config: ServerConfig
    is_new: bool
    pin: str
    setup_code: str
    """For the first administrator; empty when there is one."""
    join_token: JoinToken | None
    """For the first agent; None when there are agents."""
    local_token: str
    lock_fd: int

    @property
    def config_path(self) -> str:
        """The settings in force as JSON, for the child processes."""
        return runfiles.run_path(self.config.data_dir, CONFIG_FILE)

    def close(self) -> None:
        """Let the archive go and remove what only a running server has."""
        for path in (
            runfiles.local_file(self.config.data_dir),
            runfiles.part_file(self.config.data_dir, "ftp"),
            runfiles.part_file(self.config.data_dir, "web"),
            runfiles.part_file(self.config.data_dir, "care"),
            runfiles.run_path(self.config.data_dir, PORTER_FILE),
        ):
            runfiles.remove(path)
        os.close(self.lock_fd)


@dataclass(frozen=True, slots=True)
class Banner:
    """What to say when everything listens. Texts are plain; empty ones are left out."""

    archive: str
    is_new: bool
    ftp_address: str
    ftp_tls: str
    pin: str
    web_url: str
    setup_link: str
    join_command: str
    join_uses: int
    warnings: tuple[str, ...]


def identity(config: ServerConfig) -> TlsIdentity:
    """The server's certificate, made at the first start; one for FTP and web."""
    host = socket.gethostname()
    names = [host, config.ftp.public_address, config.ftp.address[0], config.web.address[0]]
    return TlsIdentity.ensure(
        os.path.join(config.data_dir, "tls"), names=[name for name in dict.fromkeys(names) if name not in ("", *_ANY)]
    )


def prepare(config: ServerConfig, *, clock: Clock = SYSTEM, loaded: LoadedConfig | None = None) -> Prepared:
    """Make the archive ready to be served.

    Args:
        loaded: the same settings with their origins, which the parts tell whoever asks.

    Raises:
        Refused: the folder cannot be written.
        Conflict: another server runs on it, a restore to it is not at its end, or the catalog is from a newer Logferry.
        Damaged: the catalog cannot be read.
        Unreachable: the catalog's server does not answer.
    """
    data_dir = config.data_dir
    try:
        os.makedirs(data_dir, mode=0o750, exist_ok=True)
        os.makedirs(os.path.join(data_dir, runfiles.RUN_FOLDER), mode=0o700, exist_ok=True)
    except OSError as error:
        raise runfiles.not_writable(data_dir, error) from error
    refuse_unfinished(data_dir)  # says it better than the lock, which a restore holds, too
    lock_fd = lock_archive(data_dir)
    try:
        refuse_unfinished(data_dir)
        is_new = not has_catalog(config)
        if is_new:
            _refuse_orphans(config)
        pin = identity(config).pin
        catalog = open_catalog(config, clock)
        try:
            people = People(catalog, clock=clock)
            enrolment = Enrolment(catalog, people, clock=clock)
            prepared = Prepared(
                config=config,
                is_new=is_new,
                pin=pin,
                setup_code=enrolment.new_setup_code() if enrolment.setup_needed() else "",
                join_token=None if catalog.agents.list() else enrolment.new_join_token(),
                local_token=people.new_local_token(),
                lock_fd=lock_fd,
            )
        finally:
            catalog.close()
        runfiles.write_private(prepared.config_path, config.to_json())
        origins = {} if loaded is None else {"path": loaded.path, "origins": dict(loaded.origins)}
        runfiles.write_json(runfiles.run_path(data_dir, ORIGINS_FILE), origins)
    except BaseException:
        os.close(lock_fd)
        raise
    return prepared


def loaded_config(config: ServerConfig) -> LoadedConfig:
    """The settings of a running server with their origins, as ``prepare`` has left them; without: all are defaults."""
    told = runfiles.read_json(runfiles.run_path(config.data_dir, ORIGINS_FILE)) or {}
    return LoadedConfig(config, str(told.get("path", "")), told.get("origins", {}))


def _refuse_orphans(config: ServerConfig) -> None:
    """Raise Conflict when there are archived files without a catalog: an empty one would not know them."""
    for name in ("live", "generations", "tails", "store"):
        place = os.path.join(config.data_dir, name)
        if os.path.isdir(place) and any(files for _, _, files in os.walk(place)):
            raise Conflict(
                f"the archive in {config.data_dir} has files below {name}, but its catalog is missing",
                hint="restore the catalog from a backup, or let logferry repair build it from what is there",
            )


def write_local(prepared: Prepared, web: Mapping[str, Any]) -> None:
    """Let the command line on this machine in: ``local.json``. ``web`` is what the web part announced."""
    host = str(web["host"])
    secure = prepared.config.web.secure
    reachable = ("::1" if ":" in host else "127.0.0.1") if host in _ANY else host
    runfiles.write_json(
        runfiles.local_file(prepared.config.data_dir),
        {
            "url": _url(reachable, int(web["port"]), secure) + prepared.config.web.root_path,
            "token": prepared.local_token,
            "pin": prepared.pin if secure else "",
        },
    )


def banner(prepared: Prepared, ready: Mapping[str, Mapping[str, Any]]) -> Banner:
    """What to tell the person who started the server. ``ready`` is what each part announced."""
    config = prepared.config
    web_host, web_port = shown_host(str(ready["web"]["host"])), int(ready["web"]["port"])
    web_url = _url(web_host, web_port, config.web.secure) + config.web.root_path
    command = ""
    if prepared.join_token is not None:
        command = join_command(join_address(web_host, web_port), prepared.join_token.secret, prepared.pin, config)
    warnings = list(config.warnings())
    room = disk_room(config)
    if room.message:
        warnings.append(room.message)
    return Banner(
        archive=config.archive.root,
        is_new=prepared.is_new,
        ftp_address=join_address(str(ready["ftp"]["host"]), int(ready["ftp"]["port"])),
        ftp_tls=config.ftp.tls,
        pin=prepared.pin,
        web_url=web_url,
        setup_link=f"{web_url}/setup?code={prepared.setup_code}" if prepared.setup_code else "",
        join_command=command,
        join_uses=prepared.join_token.uses if prepared.join_token else 0,
        warnings=tuple(warnings),
    )


def join_command(address: str, token: str, pin: str, config: ServerConfig) -> str:
    """The line to paste on a node. Without a pin where the web part is plain HTTP on this machine alone."""
    pinned = f" --pin {pin}" if config.web.secure else ""
    return f"logferry agent join {address} --token {token}{pinned} --watch /var/log"


def shown_host(host: str) -> str:
    """The name by which others reach this machine when it listens everywhere, else the address itself."""
    return socket.gethostname() if host in _ANY else host


def _url(host: str, port: int, secure: bool) -> str:
    usual = 443 if secure else 80
    scheme = "https" if secure else "http"
    if port == usual:
        return f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    return f"{scheme}://{join_address(host, port)}"


def lock_archive(data_dir: str) -> int:
    """Keep a second server off the archive. The kernel lets go of the lock when the process ends."""
    path = runfiles.run_path(data_dir, "lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise runfiles.not_writable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise Conflict(
            f"another Logferry server (process {holder}) runs on {data_dir}",
            hint="stop it first, or set archive.root to another folder",
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
