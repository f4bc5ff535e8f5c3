"""Whether a long answer goes on: only for who still has the role and scope it began under."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from logferry.errors import NotSignedIn
from logferry.web.standing import Standing
from tests.browser.fleet import Fleet


def test_a_demoted_administrator_reads_on_no_longer(tmp_path: Path) -> None:
    """The role counts as the scope does."""
    fleet = Fleet(tmp_path / "data")
    try:
        fleet.people.create("root", "a calm harbour", role="admin")
        fleet.people.create("mal", "a calm harbour", role="admin")
        secret, _ = fleet.people.new_token("mal")
        who = fleet.people.token(secret)
        assert who is not None
        headers = [(b"authorization", f"Bearer {secret}".encode())]
        standing = Standing(Request({"type": "http", "headers": headers, "client": None}), fleet.context, who)
        standing._check()
        fleet.people.change("mal", role="viewer")
        with pytest.raises(NotSignedIn):
            standing._check()
    finally:
        fleet.close()
