"""One user as a JSON file has it: from its entry to a ``User`` and back. Touches no file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from typing import Any

from logferry.errors import BadConfig
from logferry.ftp.users import User
from logferry.limits import PASSWORD_CHARS_MAX

Entry = dict[str, Any]
"""What the file says of one user, keys included that nobody here knows."""

KEYS = {
    "password_hash": "passwd",
    "home": "dirpath",
    "permissions": "perm",
    "enabled": "enabled",
    "require_tls": "require_tls",
    "folders": "folders",
    "quota_bytes": "quota_bytes",
    "quota_files": "quota_files",
}
"""Fields of ``User`` and the keys they have in the file."""

_ALWAYS = ("password_hash", "home", "permissions")
_USUAL = User("", "")
_HASHES = ("$argon2", "$scrypt$")
_PLACEHOLDER = re.compile(r"\**")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def is_clear(password: object) -> bool:
    """Whether it is a password itself, not a hash."""
    return isinstance(password, str) and not password.startswith(_HASHES)


def user_from(
    name: str, entry: Entry, *, folder: str, default_home: str | None, hash_clear: Callable[[str, str], str]
) -> User:
    """The user that ``entry`` describes.

    ``folder`` is what a relative ``dirpath`` is relative to; ``hash_clear`` makes the hash from (name, password).

    Raises:
        BadConfig: something is missing or makes no sense; the message begins with the user.
    """
    try:
        password = _password(entry)
        return User(
            name=_name(name),
            home=os.path.join(folder, _home(name, entry, default_home)),
            permissions=_permissions(entry),
            password_hash=hash_clear(name, password) if is_clear(password) else password,
            enabled=_flag(entry, "enabled") is not False,
            require_tls=_flag(entry, "require_tls"),
            folders=_folders(entry),
            quota_bytes=_number(entry, "quota_bytes"),
            quota_files=_number(entry, "quota_files"),
        )
    except BadConfig as error:
        raise BadConfig(f"user {name!r}: {error.message}", hint=error.hint) from error


def entry_of(user: User, fields: Collection[str] = ()) -> Entry:
    """How the file shows ``fields`` of ``user``; without any, all that are not as usual.

    Raises:
        BadConfig: the file has no key for a field.
    """
    entry: Entry = {}
    for field in fields or KEYS:
        if field not in KEYS:
            raise BadConfig(f"a user's {field} cannot be changed", hint=f"one of {', '.join(KEYS)}")
        value = getattr(user, field)
        if fields or field in _ALWAYS or value != getattr(_USUAL, field):
            entry[KEYS[field]] = dict(value) if field == "folders" and value is not None else value
    return entry


def _name(name: str) -> str:
    if not name or not _is_sayable(name):
        raise BadConfig("no name that a client could send")
    return name


def _password(entry: Entry) -> str:
    password = _text(entry, "passwd") or ""
    if _PLACEHOLDER.fullmatch(password):
        raise BadConfig("passwd is missing or a placeholder", hint="set a password")
    if len(password) > PASSWORD_CHARS_MAX or not _is_sayable(password):
        raise BadConfig("passwd is nothing that a client could send")
    return password


def _permissions(entry: Entry) -> str:
    permissions = _text(entry, "perm")
    if permissions is None:
        raise BadConfig("perm is missing", hint='for example "elr" to read, "elafmwT" to deliver')
    return permissions


def _home(name: str, entry: Entry, default_home: str | None) -> str:
    home = _text(entry, "dirpath")
    if not home:
        if default_home is None:
            raise BadConfig("dirpath is missing", hint="set it, or pass default_home for all such users")
        if "{user}" in default_home and ("/" in name or name in (".", "..")):
            raise BadConfig("no folder can have this name", hint="set dirpath")
        home = default_home.replace("{user}", name)
    if _DRIVE.match(home) and os.name != "nt":
        raise BadConfig(f"dirpath {home!r} is a folder of a Windows machine", hint="set one of this machine")
    if not _is_sayable(home):
        raise BadConfig(f"dirpath {home!r} is no name of a folder")
    return home


def _is_sayable(text: str) -> bool:
    """Whether it can be bytes on the wire and in the file system."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return not any(byte in raw for byte in b"\x00\r\n")


def _text(entry: Entry, key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise BadConfig(f"{key} is no text", hint="put it in double quotes")
    return value


def _flag(entry: Entry, key: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadConfig(f"{key} is {value!r}", hint="true or false")
    return value


def _number(entry: Entry, key: str) -> int | None:
    value = entry.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise BadConfig(f"{key} is {value!r}", hint="a whole number, 0 or more")
    return value


def _folders(entry: Entry) -> dict[str, str] | None:
    value = entry.get("folders")
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(letters, str) for letters in value.values()):
        raise BadConfig(f"folders is {value!r}", hint='as in {"/incoming": "elw"}')
    return value
