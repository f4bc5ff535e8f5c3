"""The FTP part of the server: archive, catalog and FTP server wired together, in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import cast

import structlog

from logferry.archive import Archive, Catalog
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.ftp import TlsIdentity
from logferry.ftp.protocol.state import TlsPolicy
from logferry.ftp.server import FtpServer
from logferry.limits import STOP_S_MAX
from logferry.server import logs
from logferry.server.accounts import CatalogUsers
from logferry.server.activity import Activity
from logferry.server.chores import Chores
from logferry.server.config import ServerConfig, config_from_json
from logferry.server.disk import disk_room
from logferry.server.first_run import catalog_url, identity
from logferry.server.ingest import filesystems
from logferry.server.lifeline import announce
from logferry.server.people import People
from logferry.server.runfiles import cannot_listen
from logferry.server.watch import SessionWatch

log = structlog.get_logger("logferry.server")


class FtpPart:
    """Everything that takes uploads. ``start`` returns when it listens, ``stop`` drains; also a context manager."""

    def __init__(self, config: ServerConfig, *, clock: Clock = SYSTEM) -> None:
        self._config = config
        self._clock = clock
        self._open = contextlib.ExitStack()
        self.address: tuple[str, int] = config.ftp.address

    def start(self) -> None:
        """Open the archive and listen.

        Raises:
            LogferryError: port in use, folder not writable, catalog unreadable: each named.
        """
        with contextlib.ExitStack() as stack:
            catalog = Catalog.open(catalog_url(self._config.data_dir), self._clock)
            stack.callback(catalog.close)
            floor = disk_room(self._config).floor
            archive = Archive(self._config.data_dir, catalog, clock=self._clock, min_free_bytes=floor)
            stack.callback(archive.close)
            activity = Activity(catalog.agents)
            stack.callback(activity.stop)
            activity.start()
            server = self._server(archive, catalog, activity)
            chores = Chores(self._config, People(catalog, clock=self._clock))
            stack.callback(chores.stop)
            chores.start()
            self._listen(server)
            stack.callback(server.stop, STOP_S_MAX - 1.5)
            self.address = server.address
            self._open = stack.pop_all()

    def stop(self) -> None:
        """Let transfers end for a moment, then close everything in order."""
        self._open.close()

    def __enter__(self) -> FtpPart:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _server(self, archive: Archive, catalog: Catalog, activity: Activity) -> FtpServer:
        ftp = self._config.ftp
        watch = SessionWatch(activity)
        users = CatalogUsers(catalog, clock=self._clock, on_asked=watch.asked, on_agent=watch.is_agent)
        tls: TlsIdentity | None = None if ftp.tls == "off" else identity(self._config)
        return FtpServer(
            ftp.address,
            users=users,
            filesystem=filesystems(archive, catalog, activity.failed),
            tls=cast("TlsPolicy", ftp.tls),
            identity=tls,
            passive_ports=ftp.ports,
            public_address=ftp.public_address,
            on_event=watch.event,
        )

    def _listen(self, server: FtpServer) -> None:
        try:
            server.start()
        except OSError as error:
            raise cannot_listen("FTP", "ftp.listen", self._config.ftp.listen, error) from error


def run_ftp(config: ServerConfig) -> None:
    """Serve FTP until SIGTERM or SIGINT. Raises LogferryError when it cannot start."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    with FtpPart(config) as part:
        host, port = part.address
        announce(config.data_dir, "ftp", {"host": host, "port": port})
        gc.freeze()  # what exists now lives as long as the process; the collector need not look at it again
        log.info("FTP part listens", host=host, port=port, tls=config.ftp.tls)
        stop.wait()
        log.info("FTP part stops")


def run_part(run: Callable[[ServerConfig], None], config_path: str) -> int:
    """Run a part on the settings in ``config_path`` and return its exit status; an error is one line, no traceback."""
    logs.configure()
    try:
        with open(config_path, encoding="utf-8") as file:
            config = config_from_json(file.read())
        run(config)
    except LogferryError as error:
        sys.stderr.write(f"logferry: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"logferry: {error}\n")
        return 2
    return 0
