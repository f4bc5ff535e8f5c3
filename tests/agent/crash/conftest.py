"""Ground to walk on: servers, agents and a network, in memory where that is possible."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.limits import MIB
from tests.agent.crash.keepers import small_disk
from tests.agent.crash.walk import Ground

REGISTRY_DISK_BYTES = 2 * MIB


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: syncing costs nothing there, and killing a process loses nothing."""
    room = "/dev/shm"
    parent = room if os.access(room, os.W_OK) and shutil.disk_usage(room).free > 1024 * MIB else None
    with tempfile.TemporaryDirectory(dir=parent, prefix="logferry-test-") as folder:
        os.chmod(folder, 0o755)  # foreign servers give up root
        yield Path(folder)


@pytest.fixture(scope="module")
def ground(memory: Path) -> Iterator[Callable[[str], Ground]]:
    """The ground with a server of a kind, made when first asked for."""
    made: dict[str, Ground] = {}
    with contextlib.ExitStack() as stack:
        disk: Path | None = None
        with contextlib.suppress(OSError):  # cases that need it are skipped and say so
            disk = stack.enter_context(small_disk(memory / "registries", REGISTRY_DISK_BYTES))

        def get(server: str) -> Ground:
            if server not in made:
                made[server] = Ground(memory / server, server, disk=disk)
                stack.callback(made[server].close)
            return made[server]

        yield get
