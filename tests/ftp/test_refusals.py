"""From an error to the reply that tells it."""

from __future__ import annotations

import errno
import os

import pytest

from logferry.errors import Full, TooLarge
from logferry.ftp.refusals import refusal


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        # RFC 959 4.2.2: 452 is the machine's lack of room and may pass, 552 is an allocation that is used up.
        (OSError(errno.ENOSPC, "x"), "452 No room left on the disk: /a"),
        (Full("no room"), "452 no room"),
        (OSError(errno.EDQUOT, "x"), "552 No room left in the quota: /a"),
        (TooLarge("your quota is used up"), "552 your quota is used up"),
        (OSError(errno.EFBIG, "x"), "552 The file is too large for the disk: /a"),
        (OSError(errno.ENOENT, "x", "/srv/home/a"), "550 No such file or folder: /a"),
        (OSError(errno.EIO, "x", "/srv/home/a"), f"451 The disk refused it: {os.strerror(errno.EIO)}: /a"),
        (OSError("no number"), f"451 The disk refused it: {os.strerror(errno.EIO)}: /a"),
    ],
)
def test_each_error_has_its_reply(error: Full | OSError, reply: str) -> None:
    """Without a word about where the home lies."""
    found = refusal(error, "/a")
    assert f"{found.code} {found.text}" == reply
    assert "/srv" not in found.text
