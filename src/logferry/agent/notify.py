"""Telling the service manager how we are: systemd's notify protocol (``sd_notify(3)``), without its library."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from logging import WARNING

from logferry.agent.journal import Journal

_STATUS_CHARS_MAX = 200
_SEND_S_MAX = 2.0


class Notifier:
    """Silent where nobody listens: without ``NOTIFY_SOCKET`` every method does nothing."""

    def __init__(
        self,
        environment: Mapping[str, str],
        journal: Journal,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        pid: int | None = None,
    ) -> None:
        self._journal = journal
        self._monotonic_s = monotonic_s
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._every_s = _watchdog_s(environment, os.getpid() if pid is None else pid) / 2
        self._due_s = 0.0
        self._status = ""

    @property
    def listening(self) -> bool:
        """Whether a service manager wants to be told."""
        return self._address is not None

    def ready(self) -> None:
        """We do what we are here for; also after ``reloading``."""
        self._send("READY=1")

    def reloading(self) -> None:
        """New settings are being read; ``ready`` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self._monotonic_s() * 1e6)}")

    def stopping(self) -> None:
        """We are about to end."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog, where there is one: twice as often as it wants."""
        if self._every_s <= 0 or self._monotonic_s() < self._due_s:
            return
        self._due_s = self._monotonic_s() + self._every_s
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; the same line is told once."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + " ".join(text.split())[:_STATUS_CHARS_MAX])

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(_SEND_S_MAX)  # its queue is short: ten messages
                out.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:
            # It may be restarting itself; it learns the rest with the next message.
            self._journal.state("service manager", "not told", level=WARNING, why=str(error.strerror or error))
        else:
            self._journal.state("service manager", "")


def _address(name: str) -> str | bytes | None:
    """``@name`` is one in Linux's abstract namespace."""
    if not hasattr(socket, "AF_UNIX") or not name.startswith(("/", "@")):
        return None
    return b"\0" + os.fsencode(name[1:]) if name.startswith("@") else name


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float:
    """What the watchdog allows between two signs of life, in seconds; 0 = there is none, or it watches another."""
    text, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not text.isascii() or not text.isdigit() or (whose and whose != str(pid)):
        return 0.0
    return int(text) / 1e6
