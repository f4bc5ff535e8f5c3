"""The agent on other systems: what they lack is hidden, in a process of its own, and files are still followed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.agent.conftest import Node, eventually, lines

MACOS = """
import asyncio, select, sys, watchfiles, zoneinfo
sys.platform = "darwin"
del select.epoll
"""
WINDOWS = """
import asyncio, ctypes, logging, os, select, selectors, shutil, socket, ssl, subprocess, sys, tempfile, zoneinfo
import urllib.request, watchfiles
sys.platform = "win32"
sys.modules["fcntl"] = None
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH"):
    delattr(os, name)
for name in ("fdatasync", "pread", "pwrite", "sendfile"):
    delattr(os, name)
for name in ("MSG_DONTWAIT", "MSG_WAITALL", "SO_RCVTIMEO", "SO_SNDTIMEO"):
    if hasattr(socket, name):
        delattr(socket, name)
del select.epoll, select.poll
selectors.DefaultSelector = selectors.SelectSelector
"""
NO_WATCHER = 'sys.modules["watchfiles"] = sys.modules["watchfiles._rust_notify"] = None\n'
WORK = """
from logferry.agent.config import load_config
from logferry.agent.runner import Agent
from logferry.agent.journal import Journal
from logferry.agent.watch import best_watcher
import threading

made = []
def watcher(journal):
    made.append(best_watcher(journal))
    print(type(made[0]).__name__, journal.states(), flush=True)
    return made[0]

agent = Agent(load_config(sys.argv[1]), watcher=watcher)
threading.Thread(target=lambda: (sys.stdin.read(), agent.stop()), daemon=True).start()
agent.run()
assert "logferry.agent.inotify" not in sys.modules
"""


@pytest.mark.parametrize("system", ["macos", "windows", "windows without watchfiles"])
def test_files_are_followed_on_other_systems(plain_node: Node, system: str) -> None:
    """New, grown, renamed, truncated and deleted: with the system's watcher, or by looking where there is none."""
    prelude = MACOS if system == "macos" else WINDOWS
    by_looking = system.endswith("without watchfiles")
    plain_node.scan_interval = "100ms" if by_looking else "1h"
    plain_node.write("app.log", lines(0, 50))
    plain_node.write("big.bin", os.urandom(3_000_000))
    plain_node.config()
    program = prelude + (NO_WATCHER if by_looking else "") + WORK
    agent = subprocess.Popen(
        [sys.executable, "-c", program, str(plain_node.config_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert agent.stdout is not None
        said = agent.stdout.readline()
        assert said, agent.communicate("", timeout=60)
        assert said.startswith("NoWatcher {'watching': 'polling" if by_looking else "WatchFiles"), said
        expected = {"app.log": lines(0, 50), "big.bin": plain_node.read("big.bin")}
        eventually(lambda: plain_node.current() == expected, plain_node.current, timeout_s=60)
        plain_node.write("app.log", lines(50, 5))
        plain_node.write("sub/new.log", lines(7, 3))
        expected |= {"app.log": lines(0, 55), "sub/new.log": lines(7, 3)}
        eventually(lambda: plain_node.current() == expected, plain_node.current, timeout_s=60)
        os.rename(plain_node.path("app.log"), plain_node.path("app.log.1"))
        plain_node.write("app.log", lines(900, 2))
        expected |= {"app.log": lines(900, 2), "app.log.1": lines(0, 55)}
        eventually(lambda: plain_node.current() == expected, plain_node.current, timeout_s=60)
        os.truncate(plain_node.path("app.log"), 0)
        plain_node.write("app.log", lines(2000, 1))
        expected["app.log"] = lines(2000, 1)
        eventually(lambda: plain_node.current() == expected, plain_node.current, timeout_s=60)
        assert plain_node.generations("app.log") == [lines(900, 2)]
    finally:
        _, trouble = agent.communicate("", timeout=60)
    assert agent.returncode == 0, trouble
