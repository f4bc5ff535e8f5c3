"""Cutting a TLS data connection from another thread used to take its TLS state away under the receiving thread.

What it read from then on was the raw TLS records, and they were kept as the tail of the interrupted upload.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from logferry.ftp import Incomplete
from logferry.ftp.local_upload import LocalUpload
from tests.ftp.kit import WAIT_S, serving, until

_CONTENT = b"a line of a log\n" * 300_000


def test_a_server_that_stops_cuts_tls_uploads_without_taking_cipher_text_for_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of the upload is the beginning of its content."""
    writing, was_cut = threading.Event(), threading.Event()
    real = LocalUpload.write

    def held(upload: LocalUpload, data: memoryview | bytes) -> None:
        if not writing.is_set():
            writing.set()
            assert was_cut.wait(WAIT_S)
        real(upload, data)

    monkeypatch.setattr(LocalUpload, "write", held)
    with serving(tmp_path, tls="explicit") as at:
        client = at.client(tls=True)
        data = client.data("STOR a.log")
        sender = threading.Thread(target=_send, args=(data,))
        sender.start()
        assert writing.wait(WAIT_S)
        session = at.server._living()[0]
        session.cut()  # as ``stop`` does when a transfer does not end in time
        was_cut.set()
        assert at.event(Incomplete).path == "/a.log"
        sender.join()
        until(lambda: not at.server.sessions(), "the session goes on")
        client.close()
        (kept,) = at.partials()
        assert _CONTENT.startswith(kept.read_bytes())


def _send(data: socket.socket) -> None:
    with contextlib.suppress(OSError), data:
        data.sendall(_CONTENT)
