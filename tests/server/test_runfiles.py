"""What is said when an address or a folder cannot be had."""

from __future__ import annotations

import errno
import socket

import pytest

from logferry.server.runfiles import cannot_listen, not_writable


@pytest.mark.parametrize(
    ("number", "why", "hint"),
    [
        (errno.EADDRINUSE, "Address already in use", "stop what uses the port"),
        (errno.EACCES, "Permission denied", "set web.listen to a higher one"),
        (errno.EADDRNOTAVAIL, "Cannot assign requested address", "an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_gets_the_hint_for_its_reason(number: int, why: str, hint: str) -> None:
    """Python adds to the system's text what it tried; the message stays short."""
    told = cannot_listen("web", "web.listen", "192.0.2.1:80", OSError(number, f"{why} (while attempting to bind)"))
    assert told.message == f"cannot listen on web address 192.0.2.1:80: {why}"
    assert hint in told.hint


def test_a_host_that_is_unknown_is_no_port_in_use() -> None:
    """Name resolution has error numbers and texts of its own."""
    told = cannot_listen("FTP", "ftp.listen", "foo:21", socket.gaierror(-2, "Name or service not known"))
    assert told.message.endswith("foo:21: Name or service not known")
    assert "ss -ltnp" not in told.hint


def test_a_file_in_the_place_of_the_data_folder_is_called_a_file() -> None:
    """The system says that the file exists, which helps nobody."""
    told = not_writable("/srv/logs", FileExistsError(errno.EEXIST, "File exists"))
    assert told.message == "/srv/logs is not a folder"
