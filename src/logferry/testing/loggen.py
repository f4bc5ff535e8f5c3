"""Log lines that look real and are the same bytes for the same seed: access logs, syslog, JSON, tracebacks, CRLF.

A ``LineSource`` draws one *record* at a time: usually a line, for stack traces several. Its clock is its own, so a
record depends on seed, kind and start time alone, never on the machine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
"""When the first record of a source is stamped, unless told otherwise."""

_PATHS = (
    "/",
    "/login",
    "/api/items",
    "/api/items/{n}",
    "/static/app.css",
    "/search?q={w}",
    "/images/{n}.png",
    "/health",
)
_WORDS = ("pump", "valve", "order", "invoice", "sensor", "session", "cache", "batch", "report", "track", "signal")
_BROWSERS = ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", "curl/8.5.0", "python-requests/2.32", "kube-probe/1.31")
_USERS = ("alice", "bob", "carol", "backup", "deploy", "plc-gw")
_CLASSES = ("OrderService", "TrackPlanner", "SignalBus", "JournalWriter", "TokenStore")
_LEVELS = ("DEBUG", "INFO", "INFO", "INFO", "INFO", "WARN", "ERROR")


class LineSource:
    """Draws records of one kind; ``KINDS`` lists the kinds."""

    def __init__(self, kind: str, *, seed: int, start: datetime = START, step_s: float = 0.5) -> None:
        self.kind = kind
        self.rng = random.Random(f"{seed}/{kind}")
        self.now = start
        self._step_s = step_s
        self._make = KINDS[kind]
        self._pending = b""

    def record(self) -> bytes:
        """The next whole record, line end included."""
        self.now += timedelta(seconds=self.rng.expovariate(1.0) * self._step_s)
        return self._make(self)

    def piece(self) -> bytes:
        """What one write of a program might carry: now and then half a record, the other half in the next piece."""
        data = self._pending + self.record()
        cut = self.rng.randrange(1, len(data)) if self.rng.random() < 0.05 else len(data)
        self._pending = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """What ``piece`` still holds back."""
        data, self._pending = self._pending, b""
        return data

    # Values that fields draw from ---------------------------------------------------------------------------------

    def address(self) -> str:
        """An IPv4 address; a few hundred of them come back often."""
        return f"10.{self.rng.randrange(4)}.{int(self.rng.random() ** 3 * 40)}.{self.rng.randrange(1, 255)}"

    def pick(self, words: tuple[str, ...]) -> str:
        """One of ``words``."""
        return words[self.rng.randrange(len(words))]

    def path(self) -> str:
        """A request target."""
        return self.pick(_PATHS).format(n=self.rng.randrange(10_000), w=self.pick(_WORDS))


def _nginx(s: LineSource) -> bytes:
    status = s.rng.choices((200, 304, 404, 500, 502), (80, 10, 6, 2, 2))[0]
    return (
        f'{s.address()} - - [{s.now:%d/%b/%Y:%H:%M:%S +0000}] "GET {s.path()} HTTP/1.1" {status} '
        f'{s.rng.randrange(60_000)} "-" "{s.pick(_BROWSERS)}" rt={s.rng.random():.3f}\n'
    ).encode()


def _apache(s: LineSource) -> bytes:
    who = s.pick(_USERS) if s.rng.random() < 0.1 else "-"
    status = s.rng.choices((200, 301, 403, 404, 503), (85, 5, 3, 5, 2))[0]
    return (
        f"{s.address()} - {who} [{s.now:%d/%b/%Y:%H:%M:%S +0000}] "
        f'"POST {s.path()} HTTP/1.0" {status} {s.rng.randrange(20_000)}\n'
    ).encode()


def _syslog(s: LineSource) -> bytes:
    pid = s.rng.randrange(300, 32_000)
    text = s.rng.choices(
        (
            f"sshd[{pid}]: Accepted publickey for {s.pick(_USERS)} from {s.address()} port {pid + 9000} ssh2",
            f"sshd[{pid}]: Failed password for invalid user {s.pick(_WORDS)} from {s.address()} port 22 ssh2",
            f"CRON[{pid}]: ({s.pick(_USERS)}) CMD (run-parts /etc/cron.hourly)",
            f"kernel: [{s.rng.random() * 1e6:12.6f}] eth0: link up, {s.rng.choice((100, 1000))} Mbps",
            f"systemd[1]: Started {s.pick(_WORDS)}.service – daily {s.pick(_WORDS)} run.",
        ),
        (30, 25, 20, 10, 15),
    )[0]
    return f"{s.now:%b} {s.now.day:2d} {s.now:%H:%M:%S} node {text}\n".encode()


def _json(s: LineSource) -> bytes:
    record = {
        "time": f"{s.now:%Y-%m-%dT%H:%M:%S}.{s.now.microsecond // 1000:03d}Z",
        "level": s.pick(_LEVELS).lower(),
        "msg": f"{s.pick(_WORDS)} {s.pick(('created', 'updated', 'expired', 'rejected'))}",
        "request_id": f"{s.rng.getrandbits(64):016x}",
        "ms": round(s.rng.expovariate(0.05), 2),
    }
    return json.dumps(record).encode() + b"\n"


def _java(s: LineSource) -> bytes:
    where = s.pick(_CLASSES)
    head = f"{s.now:%Y-%m-%d %H:%M:%S},{s.now.microsecond // 1000:03d} {s.pick(_LEVELS):5s} [main] c.e.{where}: "
    if s.rng.random() > 0.04:
        return f"{head}{s.pick(_WORDS)} {s.rng.randrange(100_000)} done in {s.rng.randrange(900)} ms\n".encode()
    frames = "".join(
        f"\tat com.example.{s.pick(_CLASSES)}.{s.pick(_WORDS)}({where}.java:{s.rng.randrange(10, 900)})\n"
        for _ in range(s.rng.randrange(3, 12))
    )
    cause = f"java.lang.IllegalStateException: no {s.pick(_WORDS)} for {s.rng.randrange(10_000)}"
    return f"{head}failed\n{cause}\n{frames}".encode()


def _crlf(s: LineSource) -> bytes:
    state = s.pick(("OPEN", "CLOSED", "MOVING", "FAULT"))
    return (
        f"{s.now:%Y-%m-%d %H:%M:%S},{s.now.microsecond // 1000:03d} {s.pick(_LEVELS):8s} "
        f"{s.pick(_WORDS)}-{s.rng.randrange(64):02d} state={state} value={s.rng.gauss(50, 12):.2f} °C\r\n"
    ).encode()


KINDS: dict[str, Callable[[LineSource], bytes]] = {
    "nginx": _nginx,
    "apache": _apache,
    "syslog": _syslog,
    "json": _json,
    "java": _java,
    "crlf": _crlf,
}
"""What a source can draw: access logs, syslog, JSON lines, stack traces, an application log with CRLF line ends."""
