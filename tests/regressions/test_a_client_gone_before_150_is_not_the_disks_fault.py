"""A client sends its commands ahead and is gone before the server says 150: that was told as a broken disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from logferry.ftp import Incomplete, LocalFilesystem
from tests.ftp.kit import reset, serving, until


class Slow(LocalFilesystem):
    """Opens an upload only when the client is gone."""

    gone = False

    def open_upload(self, path: str, *, offset: int, append: bool) -> Any:
        until(lambda: Slow.gone, "the client stays")
        time.sleep(0.05)  # a reset takes a moment, even over the loopback
        return super().open_upload(path, offset=offset, append=append)


def test_the_reason_names_the_control_connection(tmp_path: Path) -> None:
    """And a data connection in active mode is not left open."""
    Slow.gone = False
    with serving(tmp_path, filesystem=lambda user: Slow(user.home)) as at:
        client = at.client()
        client.port()
        client.send("STOR a")
        until(lambda: at.server.sessions()[0].doing == "STOR", "it does not begin")
        reset(client.socket)
        Slow.gone = True
        assert at.event(Incomplete).reason in ("The control connection broke.", "The client went away.")
