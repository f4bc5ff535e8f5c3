"""A client sends commands ahead and is gone in the middle of a transfer: what stood behind it was done all the same.

An upload that nobody sends any more took the place of the one its client had begun anew over another connection, and a
rename that was to publish an upload ran although the upload had failed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.ftp import Incomplete, SessionEnded
from tests.ftp.kit import reset, serving


@pytest.mark.parametrize("data_first", [True, False])
def test_nothing_behind_it_is_done(tmp_path: Path, tls: str, data_first: bool) -> None:
    """Whichever of its connections ends first."""
    with serving(tmp_path, tls=tls) as at, at.client(tls=tls != "off") as client:
        (at.home / "tmp").write_bytes(b"old")
        connection = client.data("STOR new")
        connection.sendall(b"half")
        client.send("RNFR tmp", "RNTO final", "MKD folder", "STOR tmp")
        for one in (connection, client.socket) if data_first else (client.socket, connection):
            reset(one)
        assert at.event(Incomplete).path == "/new"
        assert at.event(SessionEnded).reason == "the client went away"
        assert sorted(path.name for path in at.home.iterdir() if not path.name.startswith(".~")) == ["tmp"]


@pytest.fixture(params=["off", "explicit"])
def tls(request: pytest.FixtureRequest) -> str:
    """Plain and over TLS."""
    return str(request.param)
