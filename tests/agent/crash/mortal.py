"""The agent's end of the crash walk: a small program that forks agents and stops them at named moments of a cycle.

It reads orders as lines of JSON and forks an agent with small slices for each. The agent counts the steps of a cycle
as it makes them; a *moment* is just before or just after a step. When the ordered moment comes, the agent is killed
(SIGKILL, by itself: nothing is closed, flushed or said), or it says so and waits until it is told to go on, so that
something else can break meanwhile, or the disk under its registry is filled to the last byte.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from logferry.agent import crew, lookout, shipper, slices
from logferry.agent.config import load_config
from logferry.agent.registry import Registry
from logferry.agent.runner import Agent
from logferry.ftp.client import FtpClient
from logferry.ftp.client_control import ControlConnection
from logferry.ftp.client_data import DataConnection, Progress
from logferry.ftp.client_session import ClientSession
from logferry.ftp.protocol.client import Answer, Command
from logferry.ftp.sending import SendSource

SLICE_BYTES = 24 * 1024
READ_WHOLE_BYTES = 16 * 1024
RUNS_MAX = 600
_BREATH_S = 0.05
_BESIDE = ("EPSV", "PASV", "CLNT", "QUIT", "NOOP")
"""Commands that are no step of a cycle: they lead to one, or are a courtesy."""


@dataclass(slots=True)
class Order:
    """What one agent is to do: run on ``config`` until all is sent; at ``moment`` do ``act``."""

    config: str
    moment: str = ""
    """``before STOR``, ``after commit 2``; empty: none."""
    act: str = ""
    """``die``, ``wait``, or ``fill`` (the disk of ``folder``)."""
    folder: str = ""
    timeout_s: float = 20.0

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}) + "\n"


@dataclass(slots=True)
class Moments:
    """The steps of this process so far; does what is ordered when its moment comes."""

    order: Order
    steps: list[str] = field(default_factory=list)
    quiet: int = 0
    _counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step: the moments before and after it."""
        numbered = self.begin(name)
        yield
        self.come(f"after {numbered}")

    def begin(self, name: str) -> str:
        """The moment before the next step called ``name``; its name with its number, from the second one on."""
        with self._lock:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            numbered = name if count == 1 else f"{name} {count}"
            self.steps.append(numbered)
        self.come(f"before {numbered}")
        return numbered

    def saw(self, connection: ControlConnection) -> None:
        """A control connection is in use."""

    def come(self, moment: str) -> None:
        """A moment has come."""
        if moment != self.order.moment:
            return
        self.order.moment = ""
        if self.order.act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.order.act == "fill":
            fill(Path(self.order.folder))
        else:
            say({"at": moment})
            listen()


def fill(folder: Path) -> None:
    """Take every free byte of the disk that ``folder`` is on."""
    filler = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    size = 64 * 1024
    while size:
        try:
            os.write(filler, b"\0" * size)
        except OSError:
            size //= 2
    os.close(filler)


def say(what: dict[str, Any]) -> None:
    """One line for whoever gave the order."""
    os.write(1, json.dumps(what).encode() + b"\n")


def listen() -> str:
    """One line from whoever gives the orders; it writes only when it is waited for."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 65536)
        if not data:
            return ""
        line += data
    return line.decode()


_WATCHED: tuple[tuple[Any, str], ...] = (
    (slices, "SLICE_BYTES"),
    (shipper, "SLICE_BYTES"),
    (slices, "READ_WHOLE_BYTES"),
    (shipper, "READ_WHOLE_BYTES"),
    (crew, "FtpClient"),
    (slices, "open_file"),
    (lookout, "open_file"),
    (shipper, "next_slice"),
    (ClientSession, "__init__"),
    (ControlConnection, "queue"),
    (ControlConnection, "flush"),
    (ControlConnection, "next"),
    (DataConnection, "send"),
    (DataConnection, "finish_sending"),
    (Registry, "_write"),
)


@contextlib.contextmanager
def watched(moments: Moments, *, read_whole_bytes: int = READ_WHOLE_BYTES) -> Iterator[None]:
    """In here, agents of this process have small slices, and every step of a shipping cycle is known to ``moments``.

    Slices above ``read_whole_bytes`` are sent straight from their files.
    """
    before = [getattr(owner, name) for owner, name in _WATCHED]
    for owner, name in _WATCHED[:2]:
        setattr(owner, name, SLICE_BYTES)
    for owner, name in _WATCHED[2:4]:
        setattr(owner, name, read_whole_bytes)
    cast(Any, crew).FtpClient = functools.partial(FtpClient, timeout_s=moments.order.timeout_s)
    for owner in (slices, lookout):
        _around(owner, "open_file", moments, "open")
    _around(shipper, "next_slice", moments, "verify")
    _watch_signing_in(moments)
    _watch_commands(moments)
    _watch_data(moments)
    _watch_commits(moments)
    try:
        yield
    finally:
        for (owner, name), value in zip(_WATCHED, before, strict=True):
            setattr(owner, name, value)


def _around(owner: Any, name: str, moments: Moments, step: str) -> None:
    whole = getattr(owner, name)

    @functools.wraps(whole)
    def method(*arguments: Any, **more: Any) -> Any:
        with moments.step(step):
            return whole(*arguments, **more)

    setattr(owner, name, method)


def _watch_signing_in(moments: Moments) -> None:
    whole = ClientSession.__init__

    def method(self: ClientSession, *arguments: Any, **more: Any) -> None:
        with moments.step("sign in"):
            moments.quiet += 1
            try:
                whole(self, *arguments, **more)
            finally:
                moments.quiet -= 1

    cast(Any, ClientSession).__init__ = method


def _watch_commands(moments: Moments) -> None:
    """Commands that travel together are one step, ``STOR + SIZE``; each reply is one, that after the data ``226``."""
    queue, flush, following = ControlConnection.queue, ControlConnection.flush, ControlConnection.next
    waiting: dict[int, list[str]] = {}

    def queue_(self: ControlConnection, *commands: Command) -> int:
        waiting.setdefault(id(self), []).extend(verb.upper() for verb, _ in commands)
        return queue(self, *commands)

    def flush_(self: ControlConnection) -> None:
        moments.saw(self)
        verbs = [verb for verb in dict.fromkeys(waiting.pop(id(self), [])) if verb not in _BESIDE]
        if moments.quiet or not verbs:
            flush(self)
            return
        with moments.step(" + ".join(verbs)):
            flush(self)

    def next_(self: ControlConnection, *, patience_s: float = 0.0) -> Answer:
        verb = str(self._protocol._waiting[0]) if self._protocol._waiting else ""
        if self._inbox:
            verb = self._inbox[0].verb
        if moments.quiet or verb in _BESIDE:
            return following(self, patience_s=patience_s)
        if verb == "STOR":
            return _next_of_stor(self, patience_s)
        with moments.step(f"reply to {verb}"):
            return following(self, patience_s=patience_s)

    def _next_of_stor(self: ControlConnection, patience_s: float) -> Answer:
        """The 150 comes some time during the transfer and changes nothing; the final reply is the step."""
        answer = self.peek()
        while answer is None:
            answer = following(self, patience_s=patience_s)
            self._inbox.appendleft(answer)
        if answer.reply.preliminary:
            return following(self, patience_s=patience_s)
        with moments.step("226"):
            return following(self, patience_s=patience_s)

    cast(Any, ControlConnection).queue = queue_
    cast(Any, ControlConnection).flush = flush_
    cast(Any, ControlConnection).next = next_


def _watch_data(moments: Moments) -> None:
    send = DataConnection.send

    def send_(self: DataConnection, source: SendSource, progress: Progress | None = None) -> None:
        half = source.length // 2
        with moments.step("first half of the data"):
            send(self, SendSource(source.content, source.offset, half))
        with moments.step("all data"):
            send(self, SendSource(source.content, source.offset + half, source.length - half), progress)

    cast(Any, DataConnection).send = send_
    _around(DataConnection, "finish_sending", moments, "end of data")


def _watch_commits(moments: Moments) -> None:
    write = Registry._write

    def write_(self: Registry, now_ns: int) -> None:
        with moments.step(_commit_name(self)):
            write(self, now_ns)

    cast(Any, Registry)._write = write_


def _commit_name(registry: Registry) -> str:
    """What a commit of the registry records."""
    rows = list(registry._unsaved.values())
    if not rows:
        return "commit: forgotten"
    if any(row.going for row in rows):
        return "commit: rename begun"
    if any(row.misplaced for row in rows):
        return "commit: rename planned"
    if all(not row.remote for row in rows):
        return "commit: seen"
    return "commit: confirmed"


class Hasty:
    """Dice for agents that wait no longer than they must."""

    def uniform(self, a: float, b: float) -> float:
        return 0.01


def _live(order: Order) -> None:
    moments = Moments(order)
    sent = 0
    problems: tuple[str, ...] = ()
    complete = False
    with watched(moments):
        for _ in range(1 if order.act == "fill" else RUNS_MAX):
            summary = Agent(load_config(order.config), dice=Hasty()).once()
            sent += summary.sent_bytes
            complete, problems = summary.complete, summary.problems
            if complete:
                break
            time.sleep(_BREATH_S)  # a server that was killed takes a moment to be there again
    say({"complete": complete, "sent": sent, "problems": problems, "steps": moments.steps})


def main() -> None:
    """Fork an agent for every order until there are no more."""
    while line := listen():
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _live(Order(**json.loads(line)))
                code = 0
            except BaseException:  # noqa: BLE001 (this process ends here; its log says why)
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        say({"ended": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
