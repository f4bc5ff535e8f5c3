"""Who is connected over FTP, for the web part and the command line: they run in other processes.

The FTP part has a *porter*: it listens on a port of the loopback address that ``data_dir/run/porter.json`` (mode 0600)
tells together with a secret. One connection is one question: the secret, a blank and JSON on a line; JSON back.
``Porter`` answers, ``connections`` and ``end_connection`` ask.
"""

from __future__ import annotations

import hmac
import json
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from logferry.errors import Later
from logferry.ftp import SessionInfo
from logferry.limits import PORTER_ANSWER_BYTES_MAX, PORTER_QUESTION_BYTES_MAX, PORTER_S_MAX, PORTER_THREADS
from logferry.server import runfiles

log = structlog.get_logger("logferry.server")
PORTER_FILE = "porter.json"
_HOST = "127.0.0.1"
_SECRET_CHARS = 64
_PAUSE_S = 0.2
_RECV_BYTES = 65_536
_NO_ANSWER = (OSError, ValueError, KeyError, TypeError, RecursionError)
"""What a question can raise that is none: JSON nested deeply is a RecursionError."""


class Sessions(Protocol):
    """The part of an FTP server that the porter asks."""

    def sessions(self) -> Sequence[SessionInfo]:
        """Who is connected, oldest first."""
        ...

    def end(self, session_id: int) -> bool:
        """End one; whether there was such a session."""
        ...


class Porter:
    """Answers ``PORTER_THREADS`` questions at once. Whoever says nothing holds one of its threads for seconds."""

    def __init__(self, server: Sessions, data_dir: str) -> None:
        self._server = server
        self._path = runfiles.run_path(data_dir, PORTER_FILE)
        self._secret = secrets.token_hex(_SECRET_CHARS // 2)
        self._listener = socket.create_server((_HOST, 0))
        self._listener.setblocking(False)
        # A byte that nobody reads wakes all threads. Closing would not where a process that was forked has a copy.
        self._bell, self._heard = socket.socketpair()
        self._threads = [
            threading.Thread(target=self._run, name=f"porter-{number}", daemon=True) for number in range(PORTER_THREADS)
        ]
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to answer. Raises Refused when the file that tells where cannot be written."""
        port = self._listener.getsockname()[1]
        runfiles.write_json(self._path, {"host": _HOST, "port": port, "secret": self._secret})
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer nobody any more. A question that is being answered holds this up until its time is over."""
        self._stopping.set()
        runfiles.remove(self._path)
        with self._bell:
            self._bell.send(b"!")
        until_s = time.monotonic() + PORTER_S_MAX + _PAUSE_S
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(until_s - time.monotonic(), 0))
        self._listener.close()
        if not any(thread.is_alive() for thread in self._threads):
            self._heard.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ)
            waiting.register(self._heard, selectors.EVENT_READ)
            while not self._stopping.is_set():
                waiting.select()
                if not self._stopping.is_set():
                    self._serve_one()

    def _serve_one(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # another thread took it
            return
        except OSError as error:
            log.warning("a question about FTP connections was not taken", error=str(error))
            self._stopping.wait(_PAUSE_S)  # no descriptor is free: not at once again
            return
        with connection:
            try:
                self._answer(connection)
            except _NO_ANSWER as error:  # a guest who hangs up, says nothing, or speaks something else
                log.warning("a question about FTP connections was not answered", error=str(error))

    def _answer(self, connection: socket.socket) -> None:
        until_s = time.monotonic() + PORTER_S_MAX
        # Nothing of a guest is parsed who does not know the secret.
        secret, _, question = _line(connection, PORTER_QUESTION_BYTES_MAX, until_s).partition(b" ")
        if not hmac.compare_digest(secret, self._secret.encode()):
            raise ValueError("the secret is missing or wrong")
        asked = json.loads(question)
        if not isinstance(asked, dict):
            raise TypeError("the question is no JSON object")
        answer = json.dumps(self._told(asked)).encode() + b"\n"
        connection.settimeout(_left_s(until_s))
        connection.sendall(answer)

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
            connection.sendall(f"{place['secret']} {json.dumps(question)}\n".encode())
            found = json.loads(_line(connection, PORTER_ANSWER_BYTES_MAX, time.monotonic() + PORTER_S_MAX))
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise Later("the FTP part does not answer", hint="it may be starting; try again in a moment") from error
    if not isinstance(found, dict):
        raise Later("the FTP part gave no answer that can be read", hint="are both of the same version?")
    return found


def _line(connection: socket.socket, bytes_max: int, until_s: float) -> bytes:
    """One line, by that moment of the monotonic clock. Raises OSError, ValueError when it is longer or has no end."""
    line = bytearray()
    while not line.endswith(b"\n"):
        connection.settimeout(_left_s(until_s))
        got = connection.recv(min(bytes_max + 1 - len(line), _RECV_BYTES))
        line += got
        if not got or len(line) > bytes_max:
            raise ValueError("a line that is too long" if got else "a line without an end")
    return bytes(line)


def _left_s(until_s: float) -> float:
    """Seconds until then. Raises TimeoutError when there are none."""
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("it took too long")
    return left_s
