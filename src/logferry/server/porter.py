"""Who is connected over FTP, for the web part and the command line: they run in other processes.

The FTP part has a *porter*: it listens on a port of the loopback address that ``data_dir/run/porter.json`` (mode 0600)
tells together with a secret. One connection is one question: a line of JSON with the secret, a line of JSON back.
``Porter`` answers, ``connections`` and ``end_connection`` ask.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from logferry.errors import Later
from logferry.ftp import SessionInfo
from logferry.limits import PORTER_ANSWER_BYTES_MAX, PORTER_QUESTION_BYTES_MAX, PORTER_S_MAX
from logferry.server import runfiles

log = structlog.get_logger("logferry.server")
PORTER_FILE = "porter.json"
_HOST = "127.0.0.1"


class Sessions(Protocol):
    """The part of an FTP server that the porter asks."""

    def sessions(self) -> Sequence[SessionInfo]:
        """Who is connected, oldest first."""
        ...

    def end(self, session_id: int) -> bool:
        """End one; whether there was such a session."""
        ...


class Porter:
    """Answers one question after the other, in a thread of its own. Whoever says nothing holds it up for seconds."""

    def __init__(self, server: Sessions, data_dir: str) -> None:
        self._server = server
        self._path = runfiles.run_path(data_dir, PORTER_FILE)
        self._secret = secrets.token_hex(32)
        self._listener = socket.create_server((_HOST, 0))
        self._thread = threading.Thread(target=self._run, name="porter", daemon=True)
        self._stopping = False

    def start(self) -> None:
        """Begin to answer. Raises Refused when the file that tells where cannot be written."""
        port = self._listener.getsockname()[1]
        runfiles.write_json(self._path, {"host": _HOST, "port": port, "secret": self._secret})
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._stopping = True
        runfiles.remove(self._path)
        if self._thread.is_alive():
            # A close alone does not wake who waits in accept().
            socket.create_connection(self._listener.getsockname(), PORTER_S_MAX).close()
            self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._stopping:
                    return
                try:
                    self._answer(connection)
                except (OSError, ValueError) as error:  # a guest who hangs up, says nothing, or speaks something else
                    log.warning("a question about FTP connections was not answered", error=str(error))

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(PORTER_S_MAX)
        asked = json.loads(_line(connection, PORTER_QUESTION_BYTES_MAX))
        if not isinstance(asked, dict) or not hmac.compare_digest(
            str(asked.get("secret")).encode(), self._secret.encode()
        ):
            raise ValueError("the secret is missing or wrong")
        connection.sendall(json.dumps(self._told(asked)).encode() + b"\n")

    def _told(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("ask") == "end":
            return {"ended": self._server.end(int(asked["session"]))}
        return {"sessions": [asdict(one) for one in self._server.sessions()]}


def connections(data_dir: str) -> list[SessionInfo]:
    """Who is connected to the FTP part of the server on ``data_dir``, oldest first. Raises Later."""
    return [SessionInfo(**one) for one in _asked(data_dir, {"ask": "sessions"})["sessions"]]


def end_connection(data_dir: str, session_id: int) -> bool:
    """End one: its client gets 421, a transfer under way is cut. Whether there was such a session. Raises Later."""
    return bool(_asked(data_dir, {"ask": "end", "session": session_id})["ended"])


def _asked(data_dir: str, question: dict[str, Any]) -> dict[str, Any]:
    place = runfiles.read_json(runfiles.run_path(data_dir, PORTER_FILE))
    if place is None:
        raise Later("the FTP part does not run on this machine", hint="start it (logferry serve), then try again")
    try:
        with socket.create_connection((str(place["host"]), int(place["port"])), PORTER_S_MAX) as connection:
            connection.settimeout(PORTER_S_MAX)
            connection.sendall(json.dumps({**question, "secret": place["secret"]}).encode() + b"\n")
            found = json.loads(_line(connection, PORTER_ANSWER_BYTES_MAX))
    except (OSError, ValueError, KeyError) as error:
        raise Later("the FTP part does not answer", hint="it may be starting; try again in a moment") from error
    if not isinstance(found, dict):
        raise Later("the FTP part gave no answer that can be read", hint="are both of the same version?")
    return found


def _line(connection: socket.socket, bytes_max: int) -> bytes:
    """One line. Raises OSError, ValueError when it is longer or does not end."""
    with connection.makefile("rb") as file:
        line = file.readline(bytes_max + 1)
    if not line.endswith(b"\n"):
        raise ValueError("a line without an end" if len(line) <= bytes_max else "a line that is too long")
    return line
