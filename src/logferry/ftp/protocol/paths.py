"""Virtual paths: ``/`` is the user's home, and nothing lies above it. Pure text, no file system."""

from __future__ import annotations

import re

from logferry.errors import BadName
from logferry.limits import NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX

_HARMFUL = re.compile("[\x00\r\n]")


def resolve(folder: str, argument: str) -> str:
    """The absolute, normalised path that ``argument`` names for a client whose working folder is ``folder``.

    ``.`` and empty components vanish; ``..`` goes up and stops at ``/``. A trailing slash is ignored.

    Raises:
        BadName: a component is over 255 bytes, the whole too long or too deep, or holds NUL, CR or LF.
    """
    parts = [] if argument.startswith("/") else [part for part in folder.split("/") if part]
    for part in argument.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    path = "/" + "/".join(parts)
    if len(path) > 100 or _HARMFUL.search(path):
        _check(path, parts)
    return path


def _check(path: str, parts: list[str]) -> None:
    if _HARMFUL.search(path):
        raise BadName("NUL, CR or LF in a file name", hint="escape such names, for example as %0A")
    if len(parts) > PATH_DEPTH_MAX:
        raise BadName(f"path of {len(parts)} levels", hint=f"at most {PATH_DEPTH_MAX}")
    if len(_bytes(path)) > PATH_BYTES_MAX:
        raise BadName(f"path of {len(_bytes(path))} bytes", hint=f"at most {PATH_BYTES_MAX}")
    for part in parts:
        if len(_bytes(part)) > NAME_BYTES_MAX:
            raise BadName(f"file name of {len(_bytes(part))} bytes", hint=f"at most {NAME_BYTES_MAX}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def split(path: str) -> tuple[str, str]:
    """``"/a/b/c"`` -> ``("/a/b", "c")``; ``"/c"`` -> ``("/", "c")``; ``"/"`` -> ``("/", "")``."""
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def join(folder: str, name: str) -> str:
    """``("/a", "b")`` -> ``"/a/b"``; ``("/", "b")`` -> ``"/b"``."""
    return f"{folder}/{name}" if folder != "/" else f"/{name}"


def quoted(path: str) -> str:
    """``path`` as a 257 reply shows it: in double quotes, those inside doubled (RFC 959 appendix II)."""
    return '"' + path.replace('"', '""') + '"'
