"""Small logs of many kinds, the same for the same dice: what programs write, and what goes wrong in files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WORDS = [
    "connection",
    "refused",
    "timeout",
    "user",
    "session",
    "closed",
    "opened",
    "worker",
    "request",
    "upstream",
    "cache",
    "miss",
    "hit",
    "disk",
    "full",
    "retry",
    "payment",
    "order",
    "shipped",
    "failed",
    "accepted",
    "password",
    "invalid",
    "token",
    "größe",
    "naïve",
    "日本",
    "réseau",
    "GET",
    "POST",
    "healthz",
    "index",
]
USERS = ["root", "alice", "bob", "Ärger", "svc-backup"]
LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]


@dataclass
class Writer:
    """Writes lines with times that go on, and mostly forward."""

    dice: random.Random
    now: datetime

    def step(self) -> datetime:
        """The time of the next line."""
        self.now += timedelta(milliseconds=self.dice.randrange(0, 90_000))
        return self.now

    def address(self) -> str:
        """One of some addresses, few of them often."""
        return f"10.{self.dice.randrange(3)}.{self.dice.randrange(4)}.{self.dice.randrange(1, 30)}"

    def words(self, most: int = 6) -> str:
        """Some words."""
        return " ".join(self.dice.choice(WORDS) for _ in range(self.dice.randint(1, most)))

    def identity(self) -> str:
        """An identifier."""
        return f"{self.dice.getrandbits(40):010x}"


def access(w: Writer) -> list[str]:
    """An access log."""
    t = w.step()
    status = w.dice.choice(["200", "200", "304", "404", "500", "502"])
    return [
        f'{w.address()} - - [{t:%d/%b/%Y:%H:%M:%S} +0000] "GET /{w.words(1)}?id={w.identity()} HTTP/1.1" {status} 512'
    ]


def syslog(w: Writer) -> list[str]:
    """RFC 3164, some with a priority."""
    t = w.step()
    priority = f"<{w.dice.randrange(192)}>" if w.dice.random() < 0.5 else ""
    return [
        f"{priority}{t:%b} {t.day:2d} {t:%H:%M:%S} node{w.dice.randrange(3)} "
        f"sshd[{w.dice.randrange(9999)}]: {w.words()}"
    ]


def nested(w: Writer) -> list[str]:
    """JSON, sometimes behind a prefix."""
    t = w.step()
    held = {
        "time": t.isoformat(),
        "level": w.dice.choice(["info", "WARN", 50, 30, "error", None]),
        "msg": w.words(),
        "http": {"status": w.dice.choice([200, 404, 500.0, "502"]), "took": w.dice.randrange(10_000) / 100},
        "user": w.dice.choice(USERS),
        "tags": w.dice.sample(WORDS, 2),
        "list": [{"id": w.dice.randrange(5)}, {"id": w.identity()}],
        "trace.id": w.identity(),
    }
    if w.dice.random() < 0.3:
        del held["level"]
    prefix = f"{t:%b} {t.day:2d} {t:%H:%M:%S} node1 app[7]: " if w.dice.random() < 0.3 else ""
    return [prefix + json.dumps(held, ensure_ascii=w.dice.random() < 0.5)]


def logfmt(w: Writer) -> list[str]:
    """Pairs."""
    t = w.step()
    return [
        f"ts={t:%Y-%m-%dT%H:%M:%S.%f}Z level={w.dice.choice(LEVELS).lower()} user={w.dice.choice(USERS)} "
        f'msg="{w.words()} \\"quoted\\"" status={w.dice.choice([200, 404, 503])}, took={w.dice.randrange(900)}ms'
    ]


def java(w: Writer) -> list[str]:
    """Java, with stack traces."""
    t = w.step()
    level = w.dice.choice(LEVELS)
    lines = [f"{t:%Y-%m-%d %H:%M:%S},{t.microsecond // 1000:03d} {level} [main] com.shop.{w.words(1)}: {w.words()}"]
    if level in ("ERROR", "FATAL"):
        lines.append(f"java.lang.IllegalStateException: {w.words()}")
        lines += [
            f"\tat com.shop.Order.{w.words(1)}(Order.java:{w.dice.randrange(500)})" for _ in range(w.dice.randint(1, 5))
        ]
        if w.dice.random() < 0.5:
            lines += [f"Caused by: java.io.IOException: {w.words()}", "\t... 7 more"]
    return lines


def python(w: Writer) -> list[str]:
    """Python without times, with tracebacks."""
    lines = [f"{w.dice.choice(['WARNING', 'ERROR', 'INFO'])}:root:{w.words()}"]
    if w.dice.random() < 0.3:
        lines += [
            "Traceback (most recent call last):",
            f'  File "/srv/app.py", line {w.dice.randrange(99)}, in <module>',
        ]
        lines += ["    raise ValueError", f"ValueError: {w.words()}", ""]
    return lines


def android(w: Writer) -> list[str]:
    """Android and Kubernetes."""
    t = w.step()
    if w.dice.random() < 0.5:
        return [
            f"{t:%m-%d %H:%M:%S}.{w.dice.randrange(1000):03d}  1702  2395 "
            f"{w.dice.choice('VDIWEF')} WindowManager: {w.words()}"
        ]
    return [f"{w.dice.choice('IWEF')}{t:%m%d %H:%M:%S}.{t.microsecond:06d}   7 proxy.go:9] {w.words()}"]


def american(w: Writer) -> list[str]:
    """Dates whose order only the file tells, and lines without any."""
    t = w.step()
    if w.dice.random() < 0.2:
        return [w.words()]
    return [f"{t:%m/%d/%Y} {t:%I:%M:%S %p} [{w.dice.choice(['Error', 'info', 'Warning'])}] {w.words()}"]


def european(w: Writer) -> list[str]:
    """The same dates in the other order."""
    t = w.step()
    return [f"{t:%d/%m/%Y %H:%M:%S} {w.words()} {w.address()}"]


def prose(w: Writer) -> list[str]:
    """No times, no levels."""
    return [w.words(12).capitalize() + "."] if w.dice.random() < 0.9 else ["{", f'  "a": "{w.words(1)}"', "}"]


KINDS: tuple[Callable[[Writer], list[str]], ...] = (
    access, syslog, nested, logfmt, java, python, android, american, european, prose,
)  # fmt: skip
BREAKS = (b"\xff\xfe bad \xc3", b"\x00\x01", b"\xed\xa0\x80", b"x" * 300, b"\x1b[31mred\x1b[0m", b'{"a":', b"\r")


def text(kind: Callable[[Writer], list[str]], dice: random.Random, lines: int, now: datetime) -> bytes:
    """A log of one kind, with something broken now and then; its last line may not be finished."""
    writer = Writer(dice, now)
    end = dice.choice([b"\n", b"\n", b"\n", b"\r\n"])
    rows: list[bytes] = []
    while len(rows) < lines:
        rows += [line.encode() for line in kind(writer)]
        if dice.random() < 0.02:
            rows.append(dice.choice(BREAKS))
        if dice.random() < 0.02:
            rows[-1] += dice.choice(BREAKS)
    return end.join(rows) + (end if dice.random() < 0.8 else b"")


BEGIN = datetime(2026, 11, 20, 8, tzinfo=UTC)
