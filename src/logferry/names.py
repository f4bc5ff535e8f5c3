"""Names: raw file names (bytes) to archive paths (text) and back without loss, and agent ids.

An *archive path* is text like ``var/log/app.log``: components joined by ``/``, no leading slash, each
component valid UTF-8 without control characters, at most 255 bytes, never ``.`` or ``..``. It is what FTP
carries, what the live tree and the catalog hold.

A raw name may hold any byte but NUL and ``/``. ``escape`` writes what an archive path cannot hold as ``%XX``
(upper-case hexadecimal) and leaves everything else alone; a ``%`` is escaped only where it would otherwise read
as such a code. ``unescape(escape(raw)) == raw`` for every raw name.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from logferry.errors import BadName
from logferry.limits import AGENT_ID_CHARS_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX

_CODE = re.compile(rb"%([0-9A-F]{2})")
_LOOKS_LIKE_CODE = re.compile(r"%(?=[0-9A-F]{2})")
# C0, DEL, C1 and the line and paragraph separators: none may reach a protocol line, a terminal or a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\udc80-\udcff]")
_AGENT_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{AGENT_ID_CHARS_MAX}}}")
# What some servers and file systems refuse in a name.
_REFUSED = re.compile(r"""[\\"'*:<>?|`$&;#\[\]{}]|^[ -]|[ .]$|[^\x00-\x7f]""")
_TEMPORARY = re.compile(r"\.~lf-[0-9a-f]{16}")
_VARIANT = re.compile("[\U000e0100-\U000e01ef]")
_ASIDE = re.compile(r"(?P<name>.+)\.~gen-(?P<stamp>[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8})~", re.DOTALL)


def _codes(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def _escape_forbidden(text: str) -> str:
    text = _CONTROL.sub(lambda m: _codes(m.group()), text)
    return _SURROGATE.sub(lambda m: _codes(m.group()), text)


def escape(raw: bytes) -> str:
    """Return the archive name of one raw path component (bytes as the file system has them).

    Raises:
        BadName: ``raw`` is empty, ``.``, ``..``, holds NUL or ``/``, or gets longer than 255 bytes.
    """
    if not raw or raw in (b".", b"..") or b"/" in raw or b"\x00" in raw:
        raise BadName(f"{raw!r} is not a file name")
    text = raw.decode("utf-8", "surrogateescape")
    text = _LOOKS_LIKE_CODE.sub("%25", text)
    return checked_component(_escape_forbidden(text))


def unescape(name: str) -> bytes:
    """Return the raw bytes that ``escape`` made ``name`` from. Any archive name is accepted."""
    return _CODE.sub(lambda m: bytes([int(m.group(1), 16)]), name.encode("utf-8", "surrogateescape"))


def plain_name(name: str) -> str:
    """``name`` (one component) as a server that refused it may take it: more of it as ``%XX``.

    ``unescape`` gives the same raw name for both. A name that gets too long stays as it is.
    """
    plain = _REFUSED.sub(lambda m: _codes(m.group()), name)
    return plain if len(plain) <= NAME_BYTES_MAX else name


def plain_path(path: str) -> str:
    """``plain_name`` for every component of an archive path."""
    return "/".join(plain_name(part) for part in path.split("/"))


def escape_path(raw: bytes) -> str:
    """Return the archive path of a relative raw path (bytes, components joined by ``/``)."""
    return checked_path("/".join(escape(part) for part in raw.split(b"/") if part))


def from_wire(name: str) -> str:
    """Return the archive name for one component as an FTP client sent it (UTF-8 with surrogate escapes).

    The client's ``%XX`` stay as they are: an agent has escaped already, and another client means what it writes.
    """
    return checked_component(_escape_forbidden(name))


def checked_component(name: str) -> str:
    """Return ``name`` if it can stand in an archive path.

    Raises:
        BadName: it cannot.
    """
    if not name or name in (".", "..") or "/" in name or _CONTROL.search(name) or _SURROGATE.search(name):
        raise BadName(f"{name!r} is not an archive name")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise BadName(f"name of {len(name.encode())} bytes: {name[:40]}…", hint=f"at most {NAME_BYTES_MAX} bytes")
    return name


@lru_cache(maxsize=1024)  # one upload asks several times
def checked_path(path: str) -> str:
    """Return ``path`` if it is an archive path: ``a/b/c``, no empty, ``.`` or ``..`` component. ``""`` is the root.

    Raises:
        BadName: it is not.
    """
    if path == "":
        return path
    parts = path.split("/")
    for part in parts:
        checked_component(part)
    if len(parts) > PATH_DEPTH_MAX or len(path.encode()) > PATH_BYTES_MAX:
        raise BadName(
            f"path too long or too deep: {path[:60]}…", hint=f"at most {PATH_BYTES_MAX} bytes, {PATH_DEPTH_MAX} levels"
        )
    return path


def split(path: str) -> tuple[str, str]:
    """``"a/b/c"`` -> ``("a/b", "c")``; a path without a slash has the folder ``""``."""
    folder, _, name = path.rpartition("/")
    return folder, name


def checked_agent_id(agent_id: str) -> str:
    """Return ``agent_id`` if it is 1-63 ASCII letters, digits, ``.``, ``_``, ``-`` and not ``.`` or ``..``.

    Raises:
        BadName: it is not.
    """
    if not _AGENT_ID.fullmatch(agent_id) or agent_id in (".", ".."):
        raise BadName(
            f"{agent_id[:80]!r} is not an agent id",
            hint=f"1-{AGENT_ID_CHARS_MAX} letters, digits, '.', '_' or '-'",
        )
    return agent_id


def folded(identifier: str) -> str:
    """The form under which two agent ids or user names count as the same."""
    return identifier.casefold()


# Names with a meaning on the wire -------------------------------------------------------------------------------


def temporary_name(path: str) -> str:
    """The name under which a new file travels until it is whole: short, hidden, the same for the same ``path``."""
    return f".~lf-{hashlib.blake2b(path.encode(), digest_size=8).hexdigest()}"


def is_temporary(name: str) -> bool:
    """Whether ``name`` (one component) is one that ``temporary_name`` makes."""
    return _TEMPORARY.fullmatch(name) is not None


def aside_name(name: str, stamp: str) -> str:
    """``app.log.~gen-20261123T081400Z-1a2b3c4d~``: where an old generation of ``name`` is moved aside.

    ``stamp`` is ``YYYYMMDDTHHMMSSZ-`` and eight hexadecimal digits. A name too long for the suffix is
    replaced by the hash that ``temporary_name`` gives it.
    """
    aside = f"{name}.~gen-{stamp}~"
    if len(aside.encode()) > NAME_BYTES_MAX:
        aside = f"{temporary_name(name)}.~gen-{stamp}~"
    if parse_aside(aside) is None:
        raise BadName(f"{stamp!r} is not a generation stamp")
    return aside


def parse_aside(name: str) -> tuple[str, str] | None:
    """The (name, stamp) that ``aside_name`` was given, or None. For a hashed name the first part is the hash name."""
    found = _ASIDE.fullmatch(name)
    return (found["name"], found["stamp"]) if found else None


def is_aside_of(candidate: str, name: str) -> bool:
    """Whether ``candidate`` is where ``aside_name`` would move an old generation of ``name``."""
    parsed = parse_aside(candidate)
    return parsed is not None and parsed[0] in (name, temporary_name(name))


# Text for people ---------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """``text`` with every control, surrogate and bidi character drawn as a visible mark: safe for a terminal."""
    # Nothing of what is marked counts as printable, but for the last of the invisible, which vary the letter before.
    if text.isprintable() and (text.isascii() or not _VARIANT.search(text)):
        return text
    return "".join(_mark(c) for c in text)


def _mark(c: str) -> str:
    code = ord(c)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0:
        return f"\\x{code:02X}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02X}"
    if code in _INVISIBLE or 0xD800 <= code <= 0xDFFF:  # another lone surrogate cannot even be written
        return f"<U+{code:04X}>"
    return c


_INVISIBLE = frozenset(
    code
    for first, last in (
        (0x061C, 0x061C), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0xFEFF, 0xFEFF),
        (0xFFF9, 0xFFFB), (0xE0000, 0xE01EF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""What steers the direction of text, has no width, or (annotations, tags) says what nobody sees."""
