"""Windows only: a log is opened so that its writer may go on renaming and deleting it.

``os.open`` there forbids both as long as the file is open, and a rotation would fail because the agent reads.
"""

from __future__ import annotations

import ctypes
import msvcrt
import os
import sys
from ctypes import wintypes

assert sys.platform == "win32"

_GENERIC_READ = 0x80000000
_SHARE_ALL = 0x1 | 0x2 | 0x4  # reading, writing, renaming and deleting
_OPEN_EXISTING = 3
_NORMAL = 0x80
_INVALID = ctypes.c_void_p(-1).value

_create_file = ctypes.WinDLL("kernel32", use_last_error=True).CreateFileW
_create_file.restype = wintypes.HANDLE
_create_file.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.LPVOID,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
]


def open_shared(path: bytes) -> int:
    """A descriptor to read ``path`` with. Raises OSError."""
    handle = _create_file(os.fsdecode(path), _GENERIC_READ, _SHARE_ALL, None, _OPEN_EXISTING, _NORMAL, None)
    if handle == _INVALID:
        raise ctypes.WinError(ctypes.get_last_error())
    return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT)
