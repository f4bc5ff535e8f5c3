"""A network of our own, where all bytes that travel are those of the program that is measured."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

_CLONE_NEWNET = 0x40000000


def apart() -> bool:
    """Move this process and its children to come into a network namespace with nothing but a loopback. As root only."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return True


def travelled() -> int:
    """Bytes that have gone over the loopback of this network so far, headers and acknowledgements included."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[0])
    raise SystemExit("there is no loopback interface")
