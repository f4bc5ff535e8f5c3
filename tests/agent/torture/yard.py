"""The yard: a node whose every written byte is also kept in a ledger, the agent that is to deliver it, and the final
check that every row of the matrix ends with."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from logferry.agent.config import AgentConfig, load_config
from logferry.agent.reporter import Summary
from logferry.agent.status import Status, read_status
from logferry.agent.watch import Hints
from logferry.testing.ledger import Ledger, Life
from tests.agent.conftest import Node, RunningAgent, eventually
from tests.agent.shelves import AGENT, PASSWORD, Shelf
from tests.agent.truth import Account, account, differences

WAIT_S = 60.0
"""How long to wait for what must happen. Not a measure of speed: machines may be busy."""
FOLLOWS_RENAMES = "renamed" in {field.name for field in dataclasses.fields(Hints)}
"""Whether watchers tell of renames, and looks bear file systems that fail in the middle of a folder."""
SMALL_SLICES = (
    "import sys\n"
    "from logferry.agent import shipper, slices\n"
    "slices.SLICE_BYTES = shipper.SLICE_BYTES = 24 * 1024\n"
    "slices.READ_WHOLE_BYTES = shipper.READ_WHOLE_BYTES = 16 * 1024\n"
    "from logferry.agent.__main__ import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""The agent's program with slices so small that a short test meets many of them."""


class YardNode(Node):
    """A node for a server whose user and root may be other than usual."""

    def __init__(self, base: Path, server: Shelf) -> None:
        super().__init__(base, server)
        self.upload_rate = ""
        (base / "agent.secret").write_text(getattr(server, "password", PASSWORD) + "\n")

    def config(self) -> AgentConfig:
        super().config()
        text = self.config_path.read_text()
        text = text.replace('to = "/logs"', f'to = "{getattr(self.server, "root", "")}/logs"')
        text = text.replace("[server]\n", f'[server]\nuser = "{getattr(self.server, "user", AGENT)}"\n')
        if self.upload_rate:
            text = f'limits.upload_rate = "{self.upload_rate}"\n{text}'
        self.config_path.write_text(text)
        return load_config(self.config_path)


class Program:
    """A program that keeps its log open: what it writes goes to that file whatever happens to its name."""

    def __init__(self, yard: Yard, name: bytes) -> None:
        self._yard = yard
        os.makedirs(os.path.dirname(yard.node.path(name)), exist_ok=True)
        self._file = open(yard.node.path(name), "ab", buffering=0)  # noqa: SIM115 (closed by close)
        yard.ledger.written(name, b"")
        self._life = yard.ledger.current()[name]

    def write(self, data: bytes) -> None:
        """Write at the end."""
        self._file.write(data)
        self._yard.ledger.added(self._life, data)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Yard:
    """What programs do to logs is done on disk and in the ledger. Names are relative to the logs of ``node``."""

    def __init__(self, node: YardNode, folder: Path) -> None:
        self.node = node
        self.ledger = Ledger(folder)

    # What happens to logs ---------------------------------------------------------------------------------------------

    def write(self, name: str | bytes, data: bytes) -> Life:
        """Append, as a program that opens its log for each line."""
        self.node.write(name, data)
        self.ledger.written(os.fsencode(name), data)
        return self.ledger.current()[os.fsencode(name)]

    def program(self, name: str | bytes) -> Program:
        """A program that keeps ``name`` open."""
        return Program(self, os.fsencode(name))

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        """A file gets another name; what had it is replaced."""
        os.rename(self.node.path(old), self.node.path(new))
        self.ledger.renamed(os.fsencode(old), os.fsencode(new))

    def rotate(self, name: str, *, keep: int = 1000) -> None:
        """``app.log`` becomes ``app.log.1``, that one ``app.log.2`` and so on; the one after ``keep`` is deleted."""
        numbers = [n for n in range(1, keep + 1) if os.path.lexists(self.node.path(f"{name}.{n}"))]
        if keep in numbers:
            self.delete(f"{name}.{keep}")
        for number in reversed(numbers):
            if number != keep:
                self.rename(f"{name}.{number}", f"{name}.{number + 1}")
        self.rename(name, f"{name}.1")

    def rename_folder(self, old: str, new: str) -> None:
        """A folder gets another name, with all that is in it."""
        os.rename(self.node.path(old), self.node.path(new))
        start = os.fsencode(old) + b"/"
        for path in [p for p in self.ledger.current() if p.startswith(start)]:
            self.ledger.renamed(path, os.fsencode(new) + b"/" + path.removeprefix(start))

    def truncate(self, name: str, size: int = 0) -> None:
        """Cut to ``size`` bytes, in place."""
        kept = self.node.read(name)[:size]
        os.truncate(self.node.path(name), size)
        self.ledger.removed(os.fsencode(name))
        self.ledger.written(os.fsencode(name), kept)

    def copytruncate(self, name: str, copy: str) -> None:
        """Copy, then cut to nothing in place: the other way of logrotate."""
        shutil.copyfile(self.node.path(name), self.node.path(copy))
        os.truncate(self.node.path(name), 0)
        self.ledger.copied(os.fsencode(name), os.fsencode(copy))
        self.ledger.removed(os.fsencode(name))
        self.ledger.written(os.fsencode(name), b"")

    def overwrite(self, name: str, data: bytes, *, mtime_ns: int | None = None) -> None:
        """Other bytes in the same inode; ``mtime_ns``: and the time set back to that."""
        with open(self.node.path(name), "r+b") as file:
            file.truncate(len(data))
            file.write(data)
        self._dated(name, mtime_ns)
        self.ledger.removed(os.fsencode(name))
        self.ledger.written(os.fsencode(name), data)

    def replace(self, name: str, data: bytes, *, mtime_ns: int | None = None) -> None:
        """A new file is put over the old one by rename."""
        fresh = self.node.base / "fresh"
        fresh.write_bytes(data)
        if mtime_ns is not None:
            os.utime(fresh, ns=(mtime_ns, mtime_ns))
        os.replace(fresh, self.node.path(name))
        self.ledger.removed(os.fsencode(name))
        self.ledger.written(os.fsencode(name), data)

    def delete(self, name: str | bytes) -> None:
        """Unlink."""
        os.unlink(self.node.path(name))
        self.ledger.removed(os.fsencode(name))

    def dated(self, name: str, mtime_ns: int) -> None:
        """Set the modification time."""
        self._dated(name, mtime_ns)

    def _dated(self, name: str, mtime_ns: int | None) -> None:
        if mtime_ns is not None:
            os.utime(self.node.path(name), ns=(mtime_ns, mtime_ns))

    def stat(self, name: str) -> os.stat_result:
        """``lstat`` of a log."""
        return os.lstat(self.node.path(name))

    # The agent --------------------------------------------------------------------------------------------------------

    def live(self, *, watcher: bool = True) -> RunningAgent:
        """The agent, running; with the system's watcher or polling."""
        return LiveAgent(self.node, watcher=watcher)

    def status(self) -> Status:
        """What the last agent said about itself. A stopped one has said everything."""
        return read_status(self.node.base / "agent-state")

    def once(self) -> Summary:
        """Run the agent until everything is sent. It must get that far."""
        summary = self.node.once()
        assert summary.complete, summary
        return summary

    # The end ----------------------------------------------------------------------------------------------------------

    def account(self) -> Account:
        """What is there and what is not."""
        return account(self.ledger, self.node.server)

    def arrived(self) -> bool:
        """Whether everything written is there."""
        return not differences(self.ledger, self.node.server, whole=True)

    def wait(self) -> None:
        """Until everything written is there."""
        eventually(self.arrived, lambda: differences(self.ledger, self.node.server, whole=True), timeout_s=WAIT_S)

    def finish(self, *, whole: bool = True) -> None:
        """An agent sends what is left; then every byte ever written is there once, and nothing is left to send.

        ``whole=False``: of what the node does not have any more, a beginning is enough.
        """
        deadline = time.monotonic() + WAIT_S
        while not (summary := self.node.once()).complete:
            assert time.monotonic() < deadline, summary
            time.sleep(0.2)
        assert differences(self.ledger, self.node.server, whole=whole) == []
        again = self.node.once()
        assert (again.complete, again.sent_slices, again.sent_bytes) == (True, 0, 0), again


class LiveAgent(RunningAgent):
    """As ``RunningAgent``, and looking at its files when the block begins."""

    def __enter__(self) -> LiveAgent:
        super().__enter__()
        eventually(lambda: self.agent.status() is not None, timeout_s=WAIT_S)
        return self


def part(running: RunningAgent, name: str) -> Any:
    """An inner part of a running agent, such as its ``registry``."""
    agent: Any = running.agent
    parts = getattr(agent, "_parts", None)
    return getattr(parts, name) if hasattr(parts, name) else getattr(agent, f"_{name}")


class AgentProgram:
    """The agent as a process of its own, perhaps started ``through`` another program, such as strace."""

    def __init__(self, node: Node, *through: str, small_slices: bool = False) -> None:
        node.config()
        self.log = node.base / "agent.log"
        self._out = self.log.open("ab")
        before = self.log.stat().st_size
        program = ["-c", SMALL_SLICES] if small_slices else ["-m", "logferry.agent"]
        self.process = subprocess.Popen(
            [*through, sys.executable, *program, str(node.config_path)], stderr=self._out, stdout=self._out
        )
        eventually(lambda: b'"started"' in self.log.read_bytes()[before:], self.log.read_text, timeout_s=WAIT_S)

    @property
    def said(self) -> str:
        """Everything agents of this node have logged."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """``kill -9``."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; it does, without a complaint."""
        code = self._end(signal.SIGTERM)
        assert code == 0, self.said

    def _end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._out.close()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It does nothing meanwhile (SIGSTOP), as on a machine that has no time for it."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self._end(signal.SIGTERM if kind is None else signal.SIGKILL)
