"""A model of everything that may happen around an agent: Hypothesis draws what happens, the ledger knows what is right.

The agent is the real one, in this process: its runner's turns are made by the test, its worker is a thread, its
registry a real database, its server a real one on an archive over loopback. It dies in the middle of a step without
being able to do anything more, or its connection is cut there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logferry.agent.config import load_config
from logferry.agent.runner import Agent
from logferry.agent.watch import NoWatcher
from logferry.errors import Unreachable
from logferry.ftp.client_control import ControlConnection
from tests.agent.crash.mortal import Hasty, Moments
from tests.agent.crash.works import Place
from tests.agent.shelves import ArchiveShelf

QUIET_S_MAX = 60.0
NAMES = (b"app.log", b"app.log.1", b"app.log.2", b"sys.log", b"d/deep.log", b"d/e/odd %41.log")
SIZES = (0, 1, 40, 900, 5_000, 30_000, 70_000)
_WIRE = ("STOR", "REST", "SIZE", "RNFR", "RNTO", "MKD", "MLST", "MFMT", "reply", "226", "data", "first", "all", "end")


class Dead(BaseException):
    """The agent was killed: nothing of it may do anything any more."""


@dataclass(slots=True)
class Fate(Moments):
    """Kills the agent, or cuts its connection, when so many moments have passed."""

    act: str = ""
    left: int = 0
    dead: bool = False
    connections: weakref.WeakSet[ControlConnection] = field(default_factory=weakref.WeakSet)

    def arm(self, act: str, left: int) -> None:
        """``die`` or ``cut`` at the ``left``-th moment from now."""
        self.steps.clear()
        self.act, self.left = act, left

    def saw(self, connection: ControlConnection) -> None:
        """A control connection is in use."""
        self.connections.add(connection)

    def come(self, moment: str) -> None:
        """A moment has come."""
        if self.dead:
            raise Dead
        with self._lock:
            self.left -= 1
            due = self.left == 0 and self.act
        if not due:
            return
        if self.act == "die":
            self.dead = True
            raise Dead
        self._cut(moment)

    def _cut(self, moment: str) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        if moment.split()[1] in _WIRE:
            raise Unreachable("the test cut the connection")


class ArchivePlaceTarget:
    """The archive server of this process as a target of places."""

    user, home = "web-01", ""

    def __init__(self, shelf: ArchiveShelf, password: str) -> None:
        self.shelf = shelf
        self.password = password

    @property
    def address(self) -> tuple[str, int]:
        return self.shelf.address

    def kill(self) -> None:
        """Stop it hard and start it again."""
        self.shelf.server.stop(timeout_s=0.0)
        self.shelf.start()

    def current(self, folder: str) -> dict[str, bytes]:
        return self.shelf.below(folder)

    def generations(self, folder: str, name: str) -> list[bytes]:
        return self.shelf.generations_at(f"{folder}/{name}")


class Puppet:
    """An agent whose turns the test makes."""

    def __init__(self, place: Place, fate: Fate) -> None:
        self.fate = fate
        self.agent: Any = Agent(load_config(place.config), dice=Hasty())
        self.agent._open(NoWatcher())

    def turns(self, count: int) -> None:
        """Some turns, without waiting for what they began."""
        self.agent._looks.due_s = 0.0
        for _ in range(count):
            self.agent._turn()

    def turns_until(self, done: Callable[[], object], what: str) -> None:
        """Turns until that is so."""
        end = time.monotonic() + QUIET_S_MAX
        while not done():
            assert time.monotonic() < end, f"not seen: {what}"
            self.turns(1)
            self.agent._sleep()

    def until_quiet(self) -> None:
        """Turns until nothing is left to do."""
        agent = self.agent
        agent._looks.due_s = 0.0
        end = time.monotonic() + QUIET_S_MAX
        while True:
            agent._turn()
            roster = agent._roster
            waits = roster.busy or roster.works or roster.misplaced or roster.any_undecided
            if not (self.at_work or waits or agent._lookout.deferred or agent._lookout.put_off):
                return
            assert time.monotonic() < end, (
                f"never quiet: {agent._reporter.summary()}; {roster.works}; {roster.misplaced}; {agent._link.status}; "
                f"busy {roster.busy}, held {roster.held}, deferred {agent._lookout.deferred}; {self.fate.steps[-20:]}"
            )
            agent._sleep()

    @property
    def at_work(self) -> bool:
        """Whether its worker has a job."""
        return bool(self.agent._dispatch.crew.busy)

    def stop(self) -> None:
        """As on SIGTERM."""
        self.agent._close()
        self.agent._close_wake()

    def bury(self) -> None:
        """After its death: what the system would take back."""
        agent = self.agent
        workers = agent._dispatch.crew._workers
        for worker in workers:
            worker.abort()
            worker.stop()
        for worker in workers:
            assert worker.join(20)
            if worker._client is not None:
                worker._client.drop()
        agent._attendants.close()
        agent._parts.close()
        agent._selector.close()
        agent._close_wake()


class World:
    """What all runs of the machine share."""

    def __init__(self, base: Path, target: ArchivePlaceTarget, fate: Fate) -> None:
        self.base = base
        self.target = target
        self.fate = fate
        self.number = 0
        self.steps = 0
        self.kills = 0
        self.cuts = 0
        self.truths = 0


class Machine(RuleBasedStateMachine):
    """One node's life."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        world.number += 1
        self.base = world.base / f"run{world.number}"
        self.place = Place(
            self.base, f"run{world.number}", world.target, address=world.target.address, state=self.base / "state"
        )
        self.held: dict[bytes, IO[bytes]] = {}
        self.puppet: Puppet | None = None

    @initialize()
    def begin(self) -> None:
        """The agent is there from the beginning; often it is away, though."""
        self._start()

    @invariant()
    def counted(self) -> None:
        """Every step counts."""
        self.world.steps += 1

    # The node ---------------------------------------------------------------------------------------------------------

    def _exists(self, name: bytes) -> bool:
        return os.path.exists(self.place.tree.absolute(name))

    def _let_go(self, name: bytes) -> None:
        if (handle := self.held.pop(name, None)) is not None:
            handle.close()

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from(SIZES))
    def write(self, name: bytes, size: int) -> None:
        """Open, append, close."""
        self.place.append(size, name)

    @rule(name=st.sampled_from(NAMES))
    def hold(self, name: bytes) -> None:
        """A program opens its log and keeps it open."""
        if self._exists(name) and name not in self.held:
            self.held[name] = open(self.place.tree.absolute(name), "ab")  # noqa: SIM115 (that is the point)

    @rule(size=st.sampled_from(SIZES[1:]))
    def write_through_an_old_handle(self, size: int) -> None:
        """The programs write on, whatever their logs are called by now."""
        for name, handle in self.held.items():
            data = self.place.lines(size)
            handle.write(data)
            handle.flush()
            self.place.ledger.written(name, data)

    @rule(old=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def rename(self, old: bytes, new: bytes) -> None:
        """Onto a free name or over another file."""
        if not self._exists(old) or old == new:
            return
        self._let_go(new)
        os.makedirs(os.path.dirname(self.place.tree.absolute(new)), exist_ok=True)
        os.rename(self.place.tree.absolute(old), self.place.tree.absolute(new))
        self.place.ledger.renamed(old, new)
        if (handle := self.held.pop(old, None)) is not None:
            self.held[new] = handle

    @rule(size=st.sampled_from(SIZES))
    def rotate(self, size: int) -> None:
        """Three names move up by one, a new file begins."""
        for old, new in ((b"app.log.1", b"app.log.2"), (b"app.log", b"app.log.1")):
            self.rename(old, new)
        self.place.append(size, b"app.log")

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from(SIZES))
    def copytruncate(self, name: bytes, size: int) -> None:
        """A copy beside it, then to nothing; the inode stays, and so do open handles."""
        copy = name + b".copy"
        if not self._exists(name):
            return
        shutil.copyfile(self.place.tree.absolute(name), self.place.tree.absolute(copy))
        self.place.ledger.copied(name, copy)
        self.place.refill(size, name)

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from(SIZES))
    def truncate(self, name: bytes, size: int) -> None:
        """To nothing, then other content."""
        if self._exists(name):
            self.place.refill(size, name)

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from(SIZES))
    def replace(self, name: bytes, size: int) -> None:
        """Another file is renamed over it."""
        if not self._exists(name):
            return
        self._let_go(name)
        fresh = os.fsencode(self.base / "fresh")
        data = self.place.lines(size)
        with open(fresh, "wb") as file:
            file.write(data)
        os.rename(fresh, self.place.tree.absolute(name))
        self.place.ledger.removed(name)
        self.place.ledger.written(name, data)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: bytes) -> None:
        """The node has it no more."""
        if not self._exists(name):
            return
        self._let_go(name)
        os.unlink(self.place.tree.absolute(name))
        self.place.ledger.removed(name)

    @rule(size=st.sampled_from(SIZES[:4]))
    def many(self, size: int) -> None:
        """Ten files at once: a bundle."""
        for number in range(10):
            self.place.append(size, b"many/%d.log" % number)

    # The agent --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.world.fate.dead = False
        self.puppet = Puppet(self.place, self.world.fate)

    def _awake(self) -> Puppet:
        if self.puppet is None:
            self._start()
        assert self.puppet is not None
        return self.puppet

    @rule(count=st.integers(1, 4))
    def turns(self, count: int) -> None:
        """It looks and begins to send; nobody waits for it."""
        self._awake().turns(count)

    @rule()
    def all_is_sent(self) -> None:
        """It gets the time it needs; then every byte is there once."""
        self._awake().until_quiet()
        wrong = self.place.wrong()
        assert wrong == [], wrong
        self.world.truths += 1

    @precondition(lambda self: self.puppet is not None)
    @rule()
    def stop(self) -> None:
        """Stopped politely; it may be in the middle of something."""
        assert self.puppet is not None
        self.puppet.stop()
        self.puppet = None

    @rule(moments=st.integers(1, 60))
    def kill(self, moments: int) -> None:
        """Killed at one of its next moments, if it has so many."""
        puppet = self._awake()
        self.world.fate.arm("die", moments)
        with contextlib.suppress(Dead):
            while not self.world.fate.dead:
                before = self.world.fate.left
                puppet.turns(1)
                if not puppet.at_work and self.world.fate.left == before:
                    self.world.fate.dead = True
                if puppet.at_work:
                    puppet.agent._sleep()
        self.world.kills += 1
        puppet.bury()
        self.world.fate.arm("", 0)
        self.puppet = None

    @rule(moments=st.integers(1, 60))
    def cut(self, moments: int) -> None:
        """The connection is cut at one of its next moments."""
        self._awake()
        self.world.fate.arm("cut", moments)
        self.world.cuts += 1

    @rule()
    def server_restarts(self) -> None:
        """All connections are lost."""
        self.world.target.kill()

    def teardown(self) -> None:
        """The end of every life: all is sent, all is right."""
        fate = self.world.fate
        try:
            fate.arm("", 0)
            self.all_is_sent()
            self.stop()
        finally:
            for name in list(self.held):
                self._let_go(name)
            if self.puppet is not None:
                fate.dead = True
                self.puppet.bury()
            shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def dying_quietly() -> Any:
    """Threads of killed agents end without a word."""
    before = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not isinstance(arguments.exc_value, Dead):
            before(arguments)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
