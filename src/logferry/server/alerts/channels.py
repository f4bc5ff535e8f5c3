"""Channels as the settings have them, and what all of them have in common. No page makes or changes one.

So nobody but who writes the server's settings decides which hosts it talks to.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from logferry.archive.alert_records import MessageRecord
from logferry.errors import BadConfig
from logferry.limits import ALERT_REPLY_CHARS_MAX, CHANNEL_FILE_BYTES_MAX
from logferry.names import shown

_CUT_AGAIN_S = 0.5


class Outcome(NamedTuple):
    """What became of an attempt: whether the receiver took it, and what it said, fit to be shown."""

    taken: bool
    reply: str


class Channel(Protocol):
    """Somebody who can be told."""

    @property
    def kind(self) -> str:
        """``webhook`` or ``mail``."""
        ...

    @property
    def where(self) -> str:
        """Where it goes, for people; no secret in it."""
        ...

    def send(self, message: MessageRecord, attempt: int) -> Outcome:
        """Try once, within ``ALERT_SEND_S_MAX`` or a little more. Raises nothing that the network is to blame for."""
        ...


def first_line(path: str, what: str) -> str:
    """The first line of a file with a secret, read anew each time so that it can be changed. Raises BadConfig."""
    try:
        with open(path, "rb") as file:
            line = file.read(CHANNEL_FILE_BYTES_MAX).split(b"\n", 1)[0].strip()
        text = line.decode("utf-8")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise BadConfig(
            f"cannot read {what} {path}: {why}", hint="the server's user must be able to read it"
        ) from error
    except UnicodeDecodeError as error:
        raise BadConfig(f"{what} {path} is not text", hint="write it on the first line, as UTF-8") from error
    if not text:
        raise BadConfig(f"{what} {path} is empty", hint="write it on the first line")
    return text


def trust(ca_file: str) -> ssl.SSLContext:
    """How receivers are known: by the system's authorities, or by those in ``ca_file``. Raises BadConfig."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise BadConfig(f"cannot use ca_file {ca_file}: {error}", hint="a PEM file with certificates") from error


@contextlib.contextmanager
def within(seconds: float, socket_of: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Cut whatever connection there is when time is up, and any that comes after it.

    Time-outs count from each byte, and bytes may be dripped; a host may have many addresses, too.
    """
    over = threading.Event()

    def cut() -> None:
        wait_s = seconds
        while not over.wait(wait_s):
            wait_s = _CUT_AGAIN_S
            found = socket_of()
            if found is not None:
                with contextlib.suppress(OSError):
                    # The plain method: the one of a TLS socket takes its state away under the other thread's feet.
                    socket.socket.shutdown(found, socket.SHUT_RDWR)

    thread = threading.Thread(target=cut, name="alert-cut", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def said(text: str) -> str:
    """A receiver's words: inert, in one line, not too long."""
    line = shown(" ".join(text.split()))
    return line if len(line) <= ALERT_REPLY_CHARS_MAX else f"{line[: ALERT_REPLY_CHARS_MAX - 1]}…"
