"""Replies that refuse, as errors."""

from __future__ import annotations

import pytest

from logferry import errors
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (421, "Too many connections", errors.Busy),
        (425, "Can't open data connection", errors.Later),
        (426, "Connection closed; transfer aborted", errors.Later),
        (450, "File busy", errors.Later),
        (452, "Disk full", errors.Full),
        (500, "Unknown command", errors.Refused),
        (530, "Login incorrect", errors.NotSignedIn),
        (532, "Need account", errors.NotPermitted),
        (550, "No such file or directory", errors.NotFound),
        (550, "/x: does not exist", errors.NotFound),
        (550, "Permission denied", errors.NotPermitted),
        (550, "bytes differ from what is stored", errors.Conflict),
        (550, "Failed", errors.Refused),
        (552, "Quota exceeded", errors.OverQuota),
        (552, "Exceeded storage allocation", errors.OverQuota),
        (552, "The file is too large", errors.TooLarge),
        (553, "Could not create file", errors.BadName),
        (554, "Invalid REST parameter", errors.Refused),
    ],
)
def test_code_and_words_decide_the_error(code: int, text: str, kind: type[errors.LogferryError]) -> None:
    """The message names the command, the code and what the server said."""
    error = failure(Reply(code, (text,)), "STOR /x")
    assert type(error) is kind
    assert f"STOR /x: the server answered {code} {text}" in error.message
