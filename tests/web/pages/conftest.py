"""The pages without a browser: a fleet, an application, a client that may be signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.web.app import create_app
from logferry.web.auth import COOKIE
from tests.browser.fleet import Fleet
from tests.web.served import unnamed_changes

BASE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The usual fleet with an administrator and a viewer who sees db-01 alone."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("pages")) / "data")
    fleet.populate()
    fleet.add_admin()
    fleet.people.create("narrow", "a calm harbour", scope=["db-*/**"])
    yield fleet
    assert not unnamed_changes(fleet.catalog)
    fleet.close()


@pytest.fixture
def stranger(fleet: Fleet) -> Iterator[TestClient]:
    """A client without a session that does not follow redirects."""
    with TestClient(create_app(fleet.context), base_url=BASE, follow_redirects=False) as client:
        yield client


def as_person(client: TestClient, fleet: Fleet, name: str) -> str:
    """Give the client a session of ``name``; returns its CSRF token."""
    session = fleet.people.begin_session(fleet.people.get(name))
    client.cookies.set(COOKIE, session.secret)
    return session.identity.csrf


@pytest.fixture
def admin(stranger: TestClient, fleet: Fleet) -> TestClient:
    """A client with the administrator's session."""
    as_person(stranger, fleet, "admin")
    return stranger
