"""A real web server on a real archive, for tests: files go in directly, everything else over HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from fastapi import FastAPI

from logferry.archive.catalog import Catalog
from logferry.archive.records import AuditRecord
from logferry.server.audit import AuditFilter
from logferry.server.config import ArchiveConfig, AuthConfig, SearchConfig, ServerConfig, WebConfig
from logferry.server.oidc.config import OidcConfig
from logferry.server.runfiles import part_file, read_json
from logferry.web.app import create_app
from logferry.web.context import WebContext
from logferry.web.part import WebServer, open_context

PASSWORD = "correct horse battery"
ADMIN = "root"


@dataclass
class Served:
    """A running server. ``client`` is the administrator's; other people get theirs with ``as_``."""

    context: WebContext
    app: FastAPI
    url: str
    client: httpx.Client
    _clients: dict[str, httpx.Client] = field(default_factory=dict)

    def put(self, agent: str, path: str, data: bytes) -> int:
        """Store a file (growth, or a new generation, by the archive's rules); its fid."""
        if self.context.catalog.agents.get(agent) is None:
            self.context.catalog.agents.add(agent, group="test")
        incoming = self.context.archive.begin(agent, path)
        for start in range(0, len(data), 1 << 20):
            incoming.write(data[start : start + (1 << 20)])
        done = incoming.commit()
        assert done.file_id is not None
        return done.file_id

    def append(self, agent: str, path: str, data: bytes) -> None:
        """Let a file grow."""
        incoming = self.context.archive.begin(agent, path, append=True)
        incoming.write(data)
        incoming.commit()

    def as_(self, name: str, *, role: str = "viewer", scope: tuple[str, ...] = ()) -> httpx.Client:
        """The client of a person (made at first use), with a bearer token."""
        if name not in self._clients:
            self.context.people.create(name, PASSWORD, role=role, scope=scope)
            secret, _ = self.context.people.new_token(name)
            self._clients[name] = self.new_client({"Authorization": f"Bearer {secret}"})
        return self._clients[name]

    def new_client(self, headers: dict[str, str] | None = None) -> httpx.Client:
        """A client for strangers, or for whoever ``headers`` stand for."""
        # Nothing here is HTTPS, and reading the authorities of the system takes longer than most requests.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)

    def close(self) -> None:
        """Hang up."""
        for client in (self.client, *self._clients.values()):
            client.close()


@contextlib.contextmanager
def served(
    folder: Path, *, root_path: str = "", search_s: float = 60.0, admin: bool = True, oidc: OidcConfig | None = None
) -> Iterator[Served]:
    """A server on a new archive in ``folder``, listening on a free port of the loopback interface.

    With ``admin`` there is an administrator, whose token the client sends; else it is nobody's.
    """
    config = ServerConfig(
        archive=ArchiveConfig(root=str(folder), min_free="0"),
        web=WebConfig(listen="127.0.0.1:0", root_path=root_path),
        search=SearchConfig(time_limit=search_s),
        auth=AuthConfig(oidc or OidcConfig()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with open_context(config) as context:
        app = create_app(context)
        server = WebServer(app, config, None)
        thread = threading.Thread(target=server.run, name="web", daemon=True)
        thread.start()
        wait_for(lambda: read_json(part_file(config.data_dir, "web")))
        where = read_json(part_file(config.data_dir, "web")) or {}
        url = f"http://{where['host']}:{where['port']}"
        headers = {}
        if admin:
            context.people.create(ADMIN, PASSWORD, role="admin")
            headers["Authorization"] = f"Bearer {context.people.new_token(ADMIN)[0]}"
        running = Served(context, app, url, httpx.Client(base_url=url, headers=headers, timeout=30))
        try:
            yield running
        finally:
            running.close()
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
        assert not unnamed_changes(context.catalog)


def unnamed_changes(catalog: Catalog) -> list[AuditRecord]:
    """Changes that were made and of which the audit has no name but the route: their route forgot to note them."""
    changes = catalog.auditing.each(AuditFilter(kind="change"))
    return [row for row in changes if " /" in row.action and "refused" not in json.loads(row.detail)]


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Return when ``condition()`` holds; fail after a generous while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
