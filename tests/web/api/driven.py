"""The API of a fleet without a socket: an administrator's requests, their JSON, their status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from starlette.testclient import TestClient

from logferry.server.config import ServerConfig
from logferry.web.app import create_app
from tests.browser.fleet import PASSWORD, Fleet
from tests.web.served import unnamed_changes


@dataclass(frozen=True, slots=True)
class Driven:
    """``client`` is the administrator's; the methods check the status and give the body."""

    client: TestClient
    fleet: Fleet

    def get(self, path: str, *, status: int = 200) -> Any:
        """GET below ``/api/v1``."""
        return self._asked("GET", path, None, status)

    def post(self, path: str, body: dict[str, Any], *, status: int = 200) -> Any:
        """POST."""
        return self._asked("POST", path, body, status)

    def patch(self, path: str, body: dict[str, Any], *, status: int = 200) -> Any:
        """PATCH."""
        return self._asked("PATCH", path, body, status)

    def delete(self, path: str, *, status: int = 204) -> Any:
        """DELETE."""
        return self._asked("DELETE", path, None, status)

    def as_(self, name: str, *, role: str = "viewer", scope: tuple[str, ...] = ()) -> Driven:
        """The same as somebody else, made at first use."""
        if not any(user.name == name for user in self.fleet.people.all()):
            self.fleet.people.create(name, PASSWORD, role=role, scope=scope)
        secret, _ = self.fleet.people.new_token(name)
        client = TestClient(self.client.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        client.headers["Authorization"] = f"Bearer {secret}"
        return Driven(client, self.fleet)

    def _asked(self, method: str, path: str, body: dict[str, Any] | None, status: int) -> Any:
        answer = self.client.request(method, f"/api/v1{path}", json=body)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None


@contextmanager
def driven(fleet: Fleet, *, config: ServerConfig | None = None) -> Iterator[Driven]:
    """The application on the fleet, with ``config`` in place of its own if given."""
    context = replace(fleet.context, config=config) if config is not None else fleet.context
    if not any(user.name == "admin" for user in fleet.people.all()):
        fleet.add_admin()
    with TestClient(create_app(context), base_url="http://127.0.0.1") as client:
        client.headers["Authorization"] = f"Bearer {fleet.people.new_token('admin')[0]}"
        yield Driven(client, fleet)
    assert not unnamed_changes(fleet.catalog)
