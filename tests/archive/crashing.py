"""Killing a process that writes into an archive, for real, and the agent that goes on afterwards.

A child is forked, works on the archive and is killed with SIGKILL; what it had been told to be done comes back
through a pipe. The parent then looks at what is left on the disk.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from logferry.archive.durable import Disk
from logferry.errors import NotFound
from logferry.names import temporary_name
from tests.archive.conftest import Shelf
from tests.security.amounts import amount, dice

STRIDE = amount("kill_stride", 3, 1)


@contextmanager
def forked(work: Callable[[Callable[[str], None]], None]) -> Iterator[tuple[int, int]]:
    """Run ``work(tell)`` in a child process: (its pid, a descriptor with the lines it told). Reaped at the end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            work(lambda line: _write(writing, line))
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    try:
        yield pid, reading
    finally:
        os.close(reading)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _write(fd: int, line: str) -> None:
    os.write(fd, line.encode() + b"\n")


def told(reading: int) -> list[str]:
    """All whole lines until the child is gone."""
    data = b""
    while block := os.read(reading, 65536):
        data += block
    return data.decode().split("\n")[:-1]


def dying_at(step: int) -> Callable[[str], None]:
    """A hook that kills this process before the ``step``-th durable step (from 0)."""
    count = -1

    def hook(_name: str) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def killed_at_each_step(
    template: Path, folder: Path, steps: Sequence[tuple[str, Callable[[Shelf], None]]]
) -> Iterator[tuple[int, int, Path]]:
    """Run ``steps`` in a child on a copy of ``template``, killed before each of its durable steps in turn.

    In the quick run every third one, beginning with another one each time; ``make crash`` takes all.

    Yields the durable step (from 0), how many of ``steps`` were told to be done before, and the copy, which is removed
    afterwards. Ends with the run that nothing killed.
    """
    kill_at = dice("kill steps").randrange(STRIDE)
    while True:
        place = folder / f"killed-{kill_at}"
        shutil.copytree(template, place)

        def work(tell: Callable[[str], None], folder: Path = place, kill_at: int = kill_at) -> None:
            shelf = Shelf(folder, disk=Disk(dying_at(kill_at)))
            for number, (_, step) in enumerate(steps):
                step(shelf)
                tell(str(number))
            tell("end")

        with forked(work) as (_, reading):
            acknowledged = told(reading)
        if acknowledged and acknowledged[-1] == "end":
            return
        yield kill_at, len(acknowledged), place
        shutil.rmtree(place)
        kill_at += STRIDE


# What an agent does; each may be repeated when it does not know whether it was done ----------------------------------


def grow(shelf: Shelf, path: str, whole: bytes, confirmed: int) -> None:
    """Send what comes after ``confirmed``; the server may have more already."""
    offset = min(shelf.size(path) or 0, confirmed)
    shelf.put(path, whole[offset:], offset=offset)


def publish(shelf: Shelf, path: str, data: bytes) -> None:
    """Send in two slices under a temporary name, then rename."""
    folder, slash, _ = path.rpartition("/")
    temporary = f"{folder}{slash}{temporary_name(path)}"
    shelf.put(temporary, data[: len(data) // 2])
    shelf.put(temporary, data[len(data) // 2 :], offset=len(data) // 2)
    shelf.rename(temporary, path)


def move(shelf: Shelf, source: str, target: str) -> None:
    """Rename; that the source is gone means that it was done."""
    with suppress(NotFound):
        shelf.rename(source, target)
