"""The FTP part of the server: archive, catalog and FTP server wired together, in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import cast

import structlog

from logferry.archive import Archive, Catalog
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.ftp import MemoryUsers, ServerLimits, TlsIdentity, WorkerParts
from logferry.ftp.protocol.state import TlsPolicy
from logferry.ftp.server import FtpServer
from logferry.limits import STOP_S_MAX
from logferry.server import logs
from logferry.server.accounts import CatalogUsers, shared_by
from logferry.server.activity import Activity
from logferry.server.audit import Audit
from logferry.server.catalogs import open_catalog
from logferry.server.chores import Chores
from logferry.server.config import ServerConfig, config_from_json
from logferry.server.copies import CopyFinder
from logferry.server.disk import disk_room
from logferry.server.first_run import identity
from logferry.server.ingest import AgentFilesystem, filesystems
from logferry.server.lifeline import announce
from logferry.server.people import People
from logferry.server.porter import Porter
from logferry.server.recent_log import SUFFIX, RecentLog
from logferry.server.runfiles import cannot_listen
from logferry.server.several import QUARANTINE, SharedFilesystem
from logferry.server.store import store_of
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
            if self._config.ftp.processes == 1:
                catalog = stack.enter_context(self._catalog())
                server = self._server(stack.enter_context(self._parts(catalog)))
                self._do_chores(catalog, stack)
                self._listen(server, stack)
            else:
                # Made and left before the fork, so that the processes find it in order; after it, each has its own.
                with self._catalog():
                    pass
                server = self._server(None)
                self._listen(server, stack)
                self._do_chores(stack.enter_context(self._catalog()), stack)
            porter = Porter(server, self._config.data_dir)
            stack.callback(porter.stop)
            porter.start()
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

    @contextlib.contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        with open_catalog(self._config, self._clock) as catalog:
            yield catalog

    @contextlib.contextmanager
    def _parts(self, catalog: Catalog) -> Iterator[WorkerParts]:
        """What one process serves from: archive, users, and who is told what agents do."""
        floor = disk_room(self._config).floor
        with contextlib.ExitStack() as stack:
            archive = Archive(
                self._config.data_dir,
                catalog,
                clock=self._clock,
                min_free_bytes=floor,
                store=store_of(self._config, "ftp"),
            )
            stack.callback(archive.close)
            archive.take_in()
            activity = Activity(catalog.agents)
            stack.callback(activity.stop)
            activity.start()
            watch = SessionWatch(activity, Audit(catalog, clock=self._clock).note)
            users = CatalogUsers(
                catalog,
                clock=self._clock,
                connections_per_agent=self._config.ftp.limits.connections_per_agent,
                on_asked=watch.asked,
                on_agent=watch.is_agent,
            )
            quarantine = os.path.join(self._config.data_dir, QUARANTINE)

            def shared(home: str, tree: Callable[[str], AgentFilesystem], mark: str) -> SharedFilesystem:
                trees = {agent: tree(agent) for agent in shared_by(home)}
                return SharedFilesystem(trees, quarantine, activity.heard, mark=mark)

            served = filesystems(archive, catalog, activity.failed, is_paused=users.is_paused, shared=shared)
            yield WorkerParts(users, served, watch.event)

    @contextlib.contextmanager
    def _own_parts(self) -> Iterator[WorkerParts]:
        """The same in a process of its own."""
        with self._catalog() as catalog, self._parts(catalog) as parts:
            gc.freeze()
            yield parts

    def _do_chores(self, catalog: Catalog, stack: contextlib.ExitStack) -> None:
        chores = Chores(self._config, catalog, People(catalog, clock=self._clock), Audit(catalog, clock=self._clock))
        stack.callback(chores.stop)
        chores.start()
        archive = Archive(self._config.data_dir, catalog, clock=self._clock)
        stack.callback(archive.close)
        finder = CopyFinder(archive, catalog, self._clock)
        stack.callback(finder.stop)
        finder.start()

    def _server(self, parts: WorkerParts | None) -> FtpServer:
        """The server on ``parts``; None: each of its processes makes its own."""
        ftp = self._config.ftp
        tls: TlsIdentity | None = None if ftp.tls == "off" else identity(self._config)
        settings = parts.replacements() if parts is not None else {"users": MemoryUsers()}
        return FtpServer(
            ftp.address,
            **settings,
            tls=cast("TlsPolicy", ftp.tls),
            identity=tls,
            passive_ports=ftp.ports,
            public_address=ftp.public_address,
            limits=ServerLimits(upload_rate=ftp.limits.upload_rate, download_rate=ftp.limits.download_rate),
            processes=ftp.processes,
            in_worker=self._own_parts if parts is None else None,
        )

    def _listen(self, server: FtpServer, stack: contextlib.ExitStack) -> None:
        try:
            server.start()
        except OSError as error:
            raise cannot_listen("FTP", "ftp.listen", self._config.ftp.listen, error) from error
        stack.callback(server.stop, STOP_S_MAX - 1.5)


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
        while not stop.wait(1.0):  # without a time-out a signal may go unheard while other threads take it
            continue
        log.info("FTP part stops")


def run_part(run: Callable[[ServerConfig], None], config_path: str) -> int:
    """Run a part on the settings in ``config_path`` and return its exit status; an error is one line, no traceback."""
    name = run.__name__.removeprefix("run_")
    logs.configure(keep=RecentLog(os.path.join(os.path.dirname(config_path), name + SUFFIX)))
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
