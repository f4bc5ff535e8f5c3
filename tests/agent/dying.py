"""Agents that are killed at a given step: a small process that has everything imported forks one for each run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_NURSERY = """
import os, signal, sys, threading
from logferry.agent import shipper, slices
slices.SLICE_BYTES = shipper.SLICE_BYTES = 24 * 1024
slices.READ_WHOLE_BYTES = shipper.READ_WHOLE_BYTES = 16 * 1024
from logferry.agent.config import load_config
from logferry.agent.registry import Registry
from logferry.agent.runner import Agent
from logferry.ftp.client_control import ControlConnection

lock = threading.Lock()
left = 0

def step():
    global left
    with lock:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def mortal(owner, name):
    whole = getattr(owner, name)
    def method(*args, **kwargs):
        step()
        done = whole(*args, **kwargs)
        step()
        return done
    setattr(owner, name, method)

mortal(Registry, "_write")
mortal(ControlConnection, "flush")
mortal(ControlConnection, "next")
for line in sys.stdin:
    path, _, steps = line.rstrip("\\n").rpartition(" ")
    child = os.fork()
    if child == 0:
        left = int(steps)
        Agent(load_config(path)).once()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Nursery:
    """Starts agents (with small slices) that die by SIGKILL at their Nth step: a commit, sent commands or a reply."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def run(self, config: Path, steps: int) -> bool:
        """Run an agent until all is sent or ``steps`` steps are done. Whether it came to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{config} {steps}\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in (0, -9), f"the agent ended with {code}"
        return code == 0

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._log.close()
