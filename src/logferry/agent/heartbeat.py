"""The optional heartbeat: over HTTPS the server's web part hears how the agent is, in the agent's own words.

It has a thread of its own and stops nothing: when it fails, shipping does not notice. Whether an agent is alive the
server judges by what it hears over FTP; the heartbeat adds what only the agent knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING
from typing import Any

from logferry.agent.https import Address, parse_address, post
from logferry.agent.journal import Journal
from logferry.agent.status import Status
from logferry.clock import Clock
from logferry.errors import LogferryError
from logferry.limits import HEARTBEAT_ITEMS_MAX, HEARTBEAT_S_MIN, HEARTBEAT_TEXT_CHARS_MAX, HEARTBEAT_TIMEOUT_S, KIB

_REPLY_BYTES_MAX = 4 * KIB
_FIRST_S = 1.0
"""There is something to tell once the sources have been looked at."""
_CLOSE_S = 0.5


@dataclass(frozen=True, slots=True)
class HeartbeatSettings:
    """Where it goes and how it is known; ``password`` is read each time, so that it can be changed."""

    agent: str
    address: str
    user: str
    password: Callable[[], str]
    pins: tuple[str, ...]
    """Empty: authorities vouch for the certificate (``ca_file``, else the system's)."""
    ca_file: str
    interval_s: float


class Heartbeat:
    """Runs between construction and ``close``. ``state`` may be asked from any thread."""

    def __init__(
        self, settings: HeartbeatSettings, status: Callable[[], Status], journal: Journal, clock: Clock
    ) -> None:
        """``status`` gives the newest status, on the heartbeat's thread."""
        self._settings = settings
        self._where: Address = parse_address(settings.address, needs_scheme=True)
        self._status = status
        self._journal = journal
        self._clock = clock
        self._stop = threading.Event()
        self.state: tuple[str, float | None] = ("not sent yet", None)
        """``ok`` or why the last one did not get through, and this clock's skew in seconds."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more heartbeats: one after the goodbye would raise the dead. One that hangs is not waited for."""
        self._stop.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        pause_s = _FIRST_S
        while not self._stop.wait(pause_s):
            pause_s = max(self._settings.interval_s, HEARTBEAT_S_MIN)
            try:
                skew_s = self._beat()
            except LogferryError as error:
                self.state = (str(error), self.state[1])
                self._journal.state("heartbeat", "failing", level=WARNING, why=str(error))
            else:
                self.state = ("ok", skew_s)
                self._journal.state("heartbeat", "")

    def _beat(self) -> float | None:
        settings = self._settings
        status = self._status()
        before_ns = self._clock.now_ns()
        reply = post(
            self._where,
            f"/api/v1/agents/{settings.agent}/heartbeat",
            message(status, before_ns),
            pins=settings.pins,
            ca_file=settings.ca_file,
            user=settings.user,
            password=settings.password(),
            timeout_s=HEARTBEAT_TIMEOUT_S,
            reply_bytes_max=_REPLY_BYTES_MAX,
        )
        after_ns = self._clock.now_ns()
        server_ns = reply.get("time_ns")
        if not isinstance(server_ns, int) or not 0 < server_ns < 1 << 63:
            return None
        return round(((before_ns + after_ns) / 2 - server_ns) / 1e9, 3)


def message(status: Status, now_ns: int) -> dict[str, Any]:
    """What the server is told. Lists and texts are cut to what it takes."""
    problems = [f"new settings are not in use: {status.config_error}"] if status.config_error else []
    problems += [text for text in (status.registry_state, status.watching) if text]
    problems += [f"{failing.path}: {failing.why}" for failing in status.failing]
    problems += status.findings
    return {
        "version": status.version,
        "time_ns": now_ns,
        "started_ns": status.started_ns,
        "link": status.link,
        "files": status.files,
        "waiting": status.waiting,
        "lag_bytes": status.lag_bytes,
        "lag_s": status.lag_s,
        "held": status.held,
        "sent_bytes": status.sent_bytes,
        "generations": status.generations,
        "renames": status.renames,
        "differences": status.differences,
        "looks": status.looks,
        "overflows": status.overflows,
        "watcher": status.watcher,
        "errors": status.errors,
        "sources": [text[:HEARTBEAT_TEXT_CHARS_MAX] for text in status.sources[:HEARTBEAT_ITEMS_MAX]],
        "problems": [text[:HEARTBEAT_TEXT_CHARS_MAX] for text in problems[:HEARTBEAT_ITEMS_MAX]],
    }
