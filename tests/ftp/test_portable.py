"""The library on other systems: what they lack is hidden, in a process of its own, and files still travel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MACOS = """
import os, select, sys, zoneinfo
sys.platform = "darwin"
for name in ("O_PATH", "fdatasync", "posix_fallocate", "copy_file_range"):
    if hasattr(os, name):
        delattr(os, name)
del select.epoll
"""
WINDOWS = """
import asyncio, ctypes, logging, os, select, selectors, shutil, socket, ssl
import subprocess, sys, tempfile, urllib.request, zoneinfo
sys.platform = "win32"
sys.modules["fcntl"] = None
for name in ("O_PATH", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"):
    delattr(os, name)
for name in ("fdatasync", "pread", "pwrite", "sendfile"):
    delattr(os, name)
for name in ("MSG_DONTWAIT", "MSG_WAITALL", "SO_RCVTIMEO", "SO_SNDTIMEO"):
    if hasattr(socket, name):
        delattr(socket, name)
del select.epoll, select.poll
selectors.DefaultSelector = selectors.SelectSelector
"""
WORK = """
import threading
from pathlib import Path
from logferry.errors import BadConfig
from logferry.ftp import FtpClient, FtpServer, LocalFilesystem, MemoryUsers
from logferry.ftp import SendSource, TlsIdentity, User, hash_password
from tests.ftp.shelf import Shelf

folder = Path(sys.argv[1])
windows = sys.platform == "win32"
if windows:
    try:
        LocalFilesystem(str(folder / "home"))
    except BadConfig:
        pass
    else:
        raise AssertionError("a home that nobody guards")
users = MemoryUsers(User("ann", str(folder / "home"), password_hash=hash_password("secret", light=True)))
shelf = Shelf()
more = {"filesystem": lambda user: shelf} if windows else {}
content = bytes(range(256)) * 4000
source = folder / "source"
source.write_bytes(content)
identity = TlsIdentity.ensure(str(folder / "identity"))
for tls in ("off", "required"):
    settings = {"tls": tls, "identity": identity, "passive_ports": range(40000, 60000), **more}
    with FtpServer(("127.0.0.1", 0), users=users, **settings) as server:
        host, port = server.address
        pins = (identity.pin,) if tls != "off" else ()
        with FtpClient(host, port, user="ann", password="secret", tls=tls, pins=pins) as client:
            client.store("/a", SendSource.of(content))
            client.upload(str(source), "/d/b")
            client.download("/d/b", str(folder / "back"))
            assert (folder / "back").read_bytes() == content
            got = bytearray()
            client.retrieve("/a", got.extend)
            assert bytes(got) == content
            assert {entry.name for entry in client.entries("/")} == {"a", "d"}
            client.rename("/a", "/c")
            client.remove("/c")
            assert client.size("/c") is None
            (folder / "back").unlink()
print("done", threading.active_count())
"""


@pytest.mark.parametrize("hide", [MACOS, WINDOWS], ids=["macos", "windows"])
def test_files_travel_where_the_system_lacks_what_linux_has(tmp_path: Path, hide: str) -> None:
    """Server and client, plain and TLS; homes on disk where folders can be opened, else a file system of one's own."""
    program = [sys.executable, "-c", f"import sys\n{hide}\n{WORK}", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")
