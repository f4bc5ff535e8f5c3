"""The table of commands and states on a running server, over sockets and on a folder on disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

import pytest

from tests.ftp.conformance.states import STATES
from tests.ftp.conformance.table import ROWS
from tests.ftp.kit import RawClient, Serving, serving


def _fill(home: Path) -> None:
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (home / "f").write_bytes(b"content")
    (home / "d").mkdir()
    (home / "e").mkdir()


def _say(client: RawClient, line: str) -> socket.socket | None:
    """Send what leads to a state; the data connection it opens, if any."""
    if line == "AUTH TLS":
        client.secure()
        return None
    if line == "EPSV":
        return socket.create_connection(("127.0.0.1", client.port()), timeout=20)
    if line not in ("PBSZ 0", "PROT P", "QUIT"):
        client.command(line)
    return None


def _codes(client: RawClient) -> list[str]:
    """The codes of all replies up to that of the NOOP that was sent last, or to the end of the connection."""
    found = []
    while reply := client.reply():
        if reply == "200 Still here.":
            break
        found.append(reply[:3])
    return found


def _reply_of(at: Serving, command: str, state: str) -> str:
    _fill(at.home)
    with at.client(login=False) as client:
        data = None
        for line in STATES[state]:
            data = _say(client, line) or data
        # QUIT and what follows it come in one packet; elsewhere a NOOP marks the end of the replies.
        more = [] if command in ("NOOP", "AUTH TLS", "QUIT") else ["NOOP"]
        client.send(*["QUIT"] * (state == "quit"), command, *more)
        found: list[str] = []
        if state == "pasv" and data is not None and ROWS[command][state] == "226" and command != "ABOR":
            found.append(client.code())
            assert found == ["150"]
        if state == "busy" and data is not None and command not in ("ABOR", "STAT"):
            data.sendall(b"content")
        if data is not None and command not in ("ABOR", "STAT"):
            # A server that was told to use another connection, or none, may be quicker and have closed this one.
            with contextlib.nullcontext() if ROWS[command][state] == "226" else contextlib.suppress(OSError):
                data.shutdown(socket.SHUT_WR)
        if more:
            if command == "STAT" and state == "busy" and data is not None:
                found.append(client.code())
                assert found == ["213"], "STAT is answered while the transfer runs"
                data.close()
                assert client.code() == "226"
                return found[0]
            found += _codes(client)
        else:
            found += [client.code() for _ in range(1 + (state in ("busy", "quit")))]
        if data is not None:
            data.close()
        if state == "busy":
            assert found[0] == ("426" if command == "ABOR" else "226"), "the transfer is answered first"
            found = found[1:]
        if state == "quit":
            assert found[0] == "221"
            found = found[1:]
        return found[-1] if found and found[-1] else "-"


@pytest.mark.parametrize("state", STATES)
def test_every_command_is_answered_as_the_table_says(tmp_path: Path, state: str) -> None:
    """Each row in this state, on a connection of its own."""
    with serving(tmp_path, tls="required" if state == "clear" else "explicit", active=True) as at:
        if state == "bare":
            at.users.change("ann", permissions="")
        found = {command: _reply_of(at, command, state) for command in ROWS}
    assert found == {command: codes[state] for command, codes in ROWS.items()}
