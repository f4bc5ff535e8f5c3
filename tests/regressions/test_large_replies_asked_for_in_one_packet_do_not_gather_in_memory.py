"""A packet full of STAT commands on a large folder made replies of a gigabyte before the first was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.ftp.control import Control
from tests.ftp.kit import serving

FILES = 500
COMMANDS = 100


def test_each_large_reply_is_sent_before_the_next_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to the kernel at once is never more than one listing and a few small replies."""
    sent: list[int] = []
    really_send = Control.send

    def send(self: Control, data: bytes, *, wait: bool = True) -> None:
        sent.append(len(data))
        really_send(self, data, wait=wait)

    monkeypatch.setattr(Control, "send", send)
    with serving(tmp_path) as at, at.client() as client:
        for number in range(FILES):
            (at.home / f"file-{number:04}").touch()
        one = len(client.command("STAT /"))
        client.send(*["STAT /"] * COMMANDS)
        assert all(client.reply().startswith("213-") for _ in range(COMMANDS))
    assert one > FILES * 50
    assert max(sent) < 2 * one
