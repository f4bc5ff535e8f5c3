"""Users in a JSON file, in the format of the log archive system that Logferry replaces; its files work as they are::

    {"web-01": {"passwd": "...", "dirpath": "/srv/logs/web-01", "perm": "elradfmwMT"}}

``passwd`` is a password in clear, as that system writes it, or a hash of ``hash_password``. Further keys are
``enabled``, ``require_tls``, ``folders``, ``quota_bytes`` and ``quota_files`` (see ``User``); keys that mean nothing
here are kept. ``dirpath`` is an absolute folder, or one relative to the folder of the file.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig, Conflict, LogferryError, NotFound
from logferry.ftp.passwords import hash_password, verify_password
from logferry.ftp.users import User
from logferry.ftp.users_entry import entry_of, is_clear, user_from
from logferry.ftp.users_file import Entries, UsersFile, parse
from logferry.limits import FTP_PASSWORD_CHARS_SHORT, FTP_USERS_FILE_LOOK_S, FTP_USERS_FILE_YOUNG_S

log = logging.getLogger("logferry.ftp")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What was read: a digest of the bytes (which may hold passwords), the users in them, those with a password in
    clear, and what is wrong with others."""

    digest: bytes
    users: dict[str, User]
    clear: tuple[str, ...]
    faults: tuple[str, ...]


_NOTHING = _Loaded(b"", {}, (), ())


class JsonUsers:
    """A ``UserStore`` on a JSON file. Safe from many threads; several processes may write to the file.

    The file is looked at every ``fresh_s`` seconds at most, when somebody asks for a user; what was changed in it by
    hand or by a program counts from then on. A file that cannot be read or parsed changes nothing: the users of before
    stay, and the log says so once. A single user with a fault is left out, so that nobody gets in by a half-written
    entry. ``add``, ``change`` and ``remove`` write through: when they return, the file is on disk.

    Passwords in clear are hashed as they are read and not kept. With ``upgrade`` the file is rewritten with hashes
    (the older system cannot read it then); else it stays as it is, and the log warns.

    Args:
        default_home: the home of users without ``dirpath``, to whom the older system gave everything; ``{user}`` in it
            stands for the name. Without it such users are refused.
        create: begin with an empty file where there is none.

    Raises:
        BadConfig: the file is missing, broken, or a user in it has a fault; each is named.
    """

    def __init__(
        self,
        path: str,
        *,
        default_home: str | None = None,
        upgrade: bool = False,
        create: bool = False,
        fresh_s: float = FTP_USERS_FILE_LOOK_S,
        clock: Clock = SYSTEM,
    ) -> None:
        self._file = UsersFile(path)
        self._user_from = functools.partial(
            user_from, folder=self._file.folder, default_home=default_home, hash_clear=self._hash
        )
        self._upgrade = upgrade
        self._fresh_s = fresh_s
        self._clock = clock
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._hashed: dict[str, tuple[bytes, str]] = {}
        """By user: the keyed digest of the password in clear, and the hash made of it; the same stays the same."""
        self._looked_s = clock.monotonic_s()
        self._seen: tuple[int, ...] | None = None
        self._complaint = ""
        self._loaded = _NOTHING
        if create and not os.path.exists(path):
            self._file.write({})
        mark = self._file.mark()
        self._take(self._file.read(), mark)
        if self._loaded.faults:
            raise BadConfig(f"{path}: {'; '.join(self._loaded.faults)}", hint="correct or remove these users")
        if upgrade:
            self._write_hashes()
        self._warn()

    # The store ---------------------------------------------------------------------------------------------------

    def find(self, name: str) -> User | None:
        """The user of that name now."""
        if self._clock.monotonic_s() - self._looked_s >= self._fresh_s:
            self._look()
        return self._loaded.users.get(name)

    def verify(self, user: User, password: str) -> bool:
        """Whether ``password`` is right."""
        return verify_password(user.password_hash, password)

    def names(self) -> list[str]:
        """Everybody who may log in, as of the last look."""
        return sorted(self._loaded.users)

    # Changes -----------------------------------------------------------------------------------------------------

    def add(self, user: User) -> None:
        """Add a user. Raises Conflict when the name is taken, BadConfig, or OSError when it cannot be stored."""

        def edit(entries: Entries) -> None:
            if user.name in entries:
                raise Conflict(f"user {user.name} exists already", hint="use change()")
            entries[user.name] = entry_of(user)

        self._edit(edit, user.name)

    def change(self, name: str, **changes: Any) -> User:
        """Replace fields of a user, e.g. ``change("ann", permissions="elr")``; what else the file says of them stays.

        Raises NotFound, BadConfig, or OSError when it cannot be stored.
        """

        def edit(entries: Entries) -> None:
            found = self._loaded.users.get(name)
            if found is None:
                raise NotFound(f"no user {name}", hint="use add()")
            entries[name] |= entry_of(replace(found, **changes), changes)

        self._edit(edit, name)
        return self._loaded.users[name]

    def remove(self, name: str) -> None:
        """Remove a user; their sessions end with the next command. Raises NotFound, or OSError."""

        def edit(entries: Entries) -> None:
            if entries.pop(name, None) is None:
                raise NotFound(f"no user {name}")

        self._edit(edit, "")

    def _edit(self, edit: Callable[[Entries], None], name: str) -> None:
        """Read, change, write, while no other process does the same; ``name`` must be without fault afterwards."""
        with self._lock, self._file.locked():
            content = self._file.read()
            self._take(content, None)
            entries = parse(content, self._file.path)
            edit(entries)
            if name:
                self._user_from(name, entries[name])
            self._take(self._file.write(entries), self._file.mark())

    def _write_hashes(self) -> None:
        """Put hashes in the place of passwords in clear, if there are any."""
        with self._lock, self._file.locked():
            content = self._file.read()
            self._take(content, None)
            clear = self._loaded.clear
            if not clear:
                return
            entries = parse(content, self._file.path)
            for name in clear:
                password = entries[name]["passwd"]
                entries[name]["passwd"] = hash_password(password)
            self._take(self._file.write(entries), self._file.mark())
            log.info("%s: passwords of %d users are hashed now", self._file.path, len(clear))

    # Reading -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read the file again if it changed. One thread does, the others go on with what they have."""
        if not self._lock.acquire(blocking=False):
            return
        mark = None
        try:
            self._looked_s = self._clock.monotonic_s()
            mark = self._file.mark()
            if mark is not None and mark == self._seen:
                return
            content = self._file.read()
            if self._digest(content) == self._loaded.digest:
                self._seen = self._settled(mark)
                self._complain(self._loaded.faults)
                return
            self._take(content, mark)
            log.info("%s was read again: %d users", self._file.path, len(self._loaded.users))
        except (LogferryError, OSError) as error:
            self._seen = self._settled(mark)
            self._complain([f"{error}; the users of before stay"])
            return
        finally:
            self._lock.release()
        if self._upgrade and self._loaded.clear:
            self._upgrade_again()

    def _upgrade_again(self) -> None:
        try:
            self._write_hashes()
        except (LogferryError, OSError) as error:
            log.error("%s: passwords stay in clear: %s", self._file.path, error)  # noqa: TRY400  # the cause says it all

    def _take(self, content: bytes, mark: tuple[int, ...] | None) -> None:
        """From now on what ``content`` says holds. Raises BadConfig when it is no file of users at all."""
        self._loaded = self._load(content)
        self._seen = self._settled(mark)
        self._complain(self._loaded.faults)

    def _complain(self, faults: Iterable[str]) -> None:
        """Say what is wrong, once."""
        complaint = "; ".join(faults)
        if complaint and complaint != self._complaint:
            log.error("%s: %s", self._file.path, complaint)
        self._complaint = complaint

    def _settled(self, mark: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """``mark``, unless the file is so young that another change might leave the same."""
        if mark is None or abs(self._clock.now_ns() - mark[0]) < FTP_USERS_FILE_YOUNG_S * 1e9:
            return None
        return mark

    def _load(self, content: bytes) -> _Loaded:
        """What ``content`` says."""
        users: dict[str, User] = {}
        clear: list[str] = []
        faults: list[str] = []
        before = self._loaded.users
        for name, entry in parse(content, self._file.path).items():
            try:
                user = self._user_from(name, entry)
            except BadConfig as error:
                faults.append(str(error))
                continue
            # The very object of before, where nothing changed: sessions see at a glance that nothing did.
            users[name] = before[name] if before.get(name) == user else user
            if is_clear(entry["passwd"]):
                clear.append(name)
        self._hashed = {name: self._hashed[name] for name in clear}
        return _Loaded(self._digest(content), users, tuple(clear), tuple(faults))

    def _hash(self, name: str, password: str) -> str:
        """The hash of a password in clear: light, since it protects memory only, where the file has it readable."""
        digest = self._digest(password.encode("utf-8", "surrogateescape"))
        found = self._hashed.get(name)
        if found is not None and hmac.compare_digest(found[0], digest):
            return found[1]
        made = hash_password(password, light=True)
        self._hashed[name] = (digest, made)
        if len(password) < FTP_PASSWORD_CHARS_SHORT:
            log.warning("user %r has a password of %d characters, which is guessed soon", name, len(password))
        return made

    def _digest(self, content: bytes) -> bytes:
        return hashlib.blake2b(content, key=self._key).digest()

    def _warn(self) -> None:
        """Say what about the file is not safe."""
        if self._loaded.clear:
            log.warning(
                "%s has the passwords of %d users in clear; upgrade=True replaces them by hashes",
                self._file.path,
                len(self._loaded.clear),
            )
            if self._file.readable_by_others():
                log.warning("%s can be read by other users of this machine; chmod 600 it", self._file.path)
