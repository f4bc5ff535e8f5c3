"""What a machine offers, looked at once: its clock, its limits, its Python. For ``logferry doctor``."""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from logferry.errors import LogferryError
from logferry.limits import INOTIFY_WATCHES_USUAL, OPEN_FILES_MIN, OPEN_FILES_USUAL, YEAR_MIN

Level = Literal["ok", "warn", "fail"]
_UNSYNCHRONISED = 5
"""What ``adjtimex`` returns where nothing keeps the clock right."""
_TIMEX_BYTES = 512
"""Room for ``struct timex``, which has 208 bytes; all zero: only look."""
STATE_ROOM_BYTES = 64 << 20
"""What an agent's registry of some 200,000 files takes."""
_WATCHES = "/proc/sys/fs/inotify/max_user_watches"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: how it is, what it belongs to, in words; ``hint`` is the next step."""

    level: Level
    area: str
    text: str
    hint: str = ""


def failed(area: str, error: LogferryError | OSError) -> Finding:
    """The finding for an error."""
    if isinstance(error, LogferryError):
        return Finding("fail", area, error.message, error.hint)
    return Finding("fail", area, str(error))


def clock(now_ns: int) -> Iterator[Finding]:
    """Whether the clock can be right, and whether something keeps it so."""
    seconds = now_ns // 1_000_000_000
    if seconds < (YEAR_MIN - 1970) * 365 * 86_400:
        yield Finding("fail", "clock", "the clock stands in the past", "set it: timedatectl set-ntp true, or chrony")
    elif _clock_state() == _UNSYNCHRONISED:
        yield Finding(
            "warn", "clock", "nothing says that this clock is kept right",
            "run chrony or systemd-timesyncd; times of arrival, one-time codes and certificates depend on it",
        )  # fmt: skip
    else:
        yield Finding("ok", "clock", "the clock is kept right" if _clock_state() >= 0 else "the clock looks right")


def _clock_state() -> int:
    """What the kernel thinks of its clock; negative where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return -1
    try:
        return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return -1


def open_files() -> Iterator[Finding]:
    """How many files and connections a process may have open."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = "any number of" if soft == resource.RLIM_INFINITY else f"{soft:,}"
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES_MIN:
        top = "" if hard in (resource.RLIM_INFINITY, soft) else f" (a process may ask for {hard:,})"
        yield Finding(
            "warn", "limits", f"{told} files and connections may be open at once{top}",
            f"LimitNOFILE={OPEN_FILES_USUAL} in the unit, or ulimit -n {OPEN_FILES_USUAL}",
        )  # fmt: skip
    else:
        yield Finding("ok", "limits", f"{told} files and connections may be open at once")


def inotify(folders: int) -> Iterator[Finding]:
    """Whether the kernel lets as many folders be watched as there are."""
    try:
        with open(_WATCHES, encoding="ascii") as file:
            allowed = int(file.read())
    except (OSError, ValueError):
        return
    told = f"{allowed:,} folders may be watched, {folders:,} are to be"
    if folders > allowed * 0.8:
        more = max(INOTIFY_WATCHES_USUAL, folders * 2)
        yield Finding("warn", "limits", told, f"sysctl fs.inotify.max_user_watches={more}; beyond it they are polled")
    else:
        yield Finding("ok", "limits", told)


def python() -> Iterator[Finding]:
    """Which Python runs this."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs it from a checkout may have another
        yield Finding("fail", "packages", found, "Logferry takes 3.11 or newer")
    else:
        yield Finding("ok", "packages", found)


def private(area: str, paths: Sequence[str]) -> Iterator[Finding]:
    """Whether nobody but their owner reads these files; those that are not there are passed over."""
    for path in paths:
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Finding("fail", area, f"{path}: {error.strerror}", "run this as the user who runs Logferry")
            continue
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("fail", area, f"others may read {path} (mode {mode:04o})", f"chmod 600 {path}")
        else:
            yield Finding("ok", area, f"{path} is for its owner alone")
