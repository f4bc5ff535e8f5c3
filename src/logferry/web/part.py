"""The web part of the server: pages and API in a process of its own, HTTPS on every address but loopback."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

import structlog
import uvicorn
from fastapi import FastAPI

from logferry.archive import Archive
from logferry.archive.index.compiled import identity as identity_of_kernels
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError, Refused
from logferry.ftp import TlsIdentity
from logferry.limits import SEARCH_STOP_S_MAX, STOP_S_MAX, WARMING_WAIT_S, WARMING_WAIT_S_MAX, WEB_SWITCH_S
from logferry.search.niceness import be_nice
from logferry.search.service import SearchService
from logferry.search.warming import load
from logferry.server.audit import Audit
from logferry.server.catalogs import open_catalog
from logferry.server.config import ServerConfig
from logferry.server.crew import crew_of
from logferry.server.disk import disk_room
from logferry.server.enrolment import Enrolment
from logferry.server.first_run import identity
from logferry.server.lifeline import announce
from logferry.server.people import People
from logferry.server.runfiles import cannot_listen
from logferry.server.store import store_of
from logferry.server.warming import is_compiled
from logferry.web.app import create_app
from logferry.web.context import WebContext
from logferry.web.wire import PatientWire

if TYPE_CHECKING:
    from logferry.server.oidc.provider import Provider

log = structlog.get_logger("logferry.web")
_BACKLOG = 512
_KEEP_ALIVE_S = 30


@contextlib.contextmanager
def open_context(config: ServerConfig, *, clock: Clock = SYSTEM) -> Iterator[WebContext]:
    """The parts the web needs, opened on an archive and closed at the end.

    Raises:
        LogferryError: the archive cannot be opened.
    """
    with (
        open_catalog(config, clock) as catalog,
        Archive(
            config.data_dir,
            catalog,
            clock=clock,
            min_free_bytes=disk_room(config).floor,
            store=store_of(config, "web"),
        ) as archive,
        contextlib.ExitStack() as stack,
    ):
        crew = crew_of(config)
        if crew is not None:
            stack.callback(crew.close)
        people = People(catalog, clock=clock, session_s=config.web.session_ttl, issuer=config.auth.oidc.issuer)
        yield WebContext(
            config=config,
            catalog=catalog,
            archive=archive,
            people=people,
            enrolment=Enrolment(catalog, people, clock=clock),
            search=SearchService(archive, catalog, clock=clock, crew=crew),
            clock=clock,
            audit=Audit(catalog, clock=clock),
            pin=identity(config).pin,
            provider=provider_of(config, clock),
        )


def provider_of(config: ServerConfig, clock: Clock = SYSTEM) -> Provider | None:
    """The OpenID Connect provider of the settings, if they name one. Raises BadConfig: a file of it cannot be read."""
    if not config.auth.oidc.issuer:
        return None
    from logferry.server.oidc.provider import Provider  # only now: servers without one need not wait for it

    return Provider(config.auth.oidc, clock)


class WebServer(uvicorn.Server):
    """uvicorn, with two things of ours: it says where it listens, and tells open streams to end before it waits."""

    def __init__(self, app: FastAPI, config: ServerConfig, tls: TlsIdentity | None) -> None:
        self._app = app
        self._data_dir = config.data_dir
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientWire,
                host=config.web.address[0],
                port=config.web.address[1],
                proxy_headers=True,
                forwarded_allow_ips=list(config.web.trusted_proxies),
                server_header=False,
                access_log=False,
                log_config=None,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(STOP_S_MAX) - 2,
                ssl_certfile=tls.certificate_path if tls else None,
                ssl_keyfile=tls.key_path if tls else None,
                ssl_version=ssl.PROTOCOL_TLS_SERVER,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets=sockets)
        if self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        announce(self._data_dir, "web", {"host": host, "port": port})
        gc.freeze()  # what exists now lives as long as the process; the collector need not look at it again
        log.info("web part listens", host=host, port=port, https=self.config.is_ssl)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the streams end by themselves, then close."""
        log.info("web part stops")
        self._app.state.streams.stop()
        self._app.state.jobs.stop()
        await super().shutdown(sockets=sockets)

    def handle_exit(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM and SIGINT end cleanly; a second one does not wait."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


class _Loading:
    """A thread that makes the first search as quick as the next ones. As a context."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SEARCH_STOP_S_MAX)

    def _run(self) -> None:
        be_nice()
        # Another process compiles what is not compiled yet: here, all requests would wait for it.
        pause_s = WARMING_WAIT_S
        while not is_compiled(self._context.config.data_dir, identity_of_kernels()):
            if self._stop.wait(pause_s):
                return
            pause_s = min(2 * pause_s, WARMING_WAIT_S_MAX)
        began_s = self._context.clock.monotonic_s()
        try:
            load(self._context.search, self._stop)
        except (LogferryError, OSError) as error:  # whoever searches meets it, too, and is told
            log.warning("the search could not be tried", why=str(error))
        else:
            # What was loaded stays. Looking at it again in each full collection stops all threads for 90 ms.
            gc.collect()
            gc.freeze()
            log.info("search is ready", seconds=round(self._context.clock.monotonic_s() - began_s, 3))


def run_web(config: ServerConfig) -> None:
    """Serve pages and API until SIGTERM or SIGINT.

    Raises:
        LogferryError: it cannot start: port in use, archive unreadable.
    """
    sys.setswitchinterval(WEB_SWITCH_S)
    with open_context(config) as context:
        app = create_app(context)
        tls = identity(config) if config.web.secure else None
        server = WebServer(app, config, tls)
        _check_port(config)
        with _Loading(context):
            server.run()
        if not server.started:
            raise Refused("the web server did not start", hint="the lines above say why")


def _check_port(config: ServerConfig) -> None:
    """Fail with a clear message when the address cannot be had; uvicorn only logs and exits."""
    host, port = config.web.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise cannot_listen("web", "web.listen", config.web.listen, error) from error
