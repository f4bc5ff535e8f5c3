"""Who may log in: one small protocol, and a store in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Protocol

from logferry.errors import BadConfig, Conflict, NotFound
from logferry.ftp.passwords import hash_password, verify_password
from logferry.ftp.permissions import LETTERS, Permissions
from logferry.ftp.timetable import Rate, check_rates


@dataclass(frozen=True, slots=True)
class User:
    """An FTP user. ``home`` means whatever the server's ``filesystem`` factory makes of it (by default a folder).

    ``require_tls`` None follows the server; True refuses the user's password over plain FTP; False admits it where
    the server requires TLS of others. ``password_hash`` comes from ``passwords.hash_password``; empty refuses every
    password. ``upload_rate`` limits what the user sends to us, ``download_rate`` what we send them, over all their
    connections: bytes per second or a timetable such as ``08:00-18:00 1 MiB/s, else 10 MiB/s``. ``connections`` is how
    many they may have. 0 is no limit.
    """

    name: str
    home: str
    permissions: str = LETTERS
    password_hash: str = ""
    enabled: bool = True
    require_tls: bool | None = None
    upload_rate: Rate = 0
    download_rate: Rate = 0
    connections: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "permissions", Permissions(self.permissions))
        check_rates(upload_rate=self.upload_rate, download_rate=self.download_rate)
        if self.connections < 0:
            raise BadConfig(f"connections is {self.connections}", hint="0 is no limit")

    @classmethod
    def with_password(cls, name: str, password: str, home: str, permissions: str = LETTERS) -> User:
        """A user with ``password`` hashed here."""
        return cls(name=name, home=home, permissions=permissions, password_hash=hash_password(password))


class UserStore(Protocol):
    """Where users come from. Both methods may be called by several threads at once."""

    def find(self, name: str) -> User | None:
        """The user of that name now. Asked before every command, so it must be cheap."""
        ...

    def verify(self, user: User, password: str) -> bool:
        """Whether ``password`` is right. May take long; never called on the loop's thread."""
        ...


class MemoryUsers:
    """Users held in memory; each change takes effect on the next command of the sessions it concerns."""

    def __init__(self, *users: User) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, User] = {}
        for user in users:
            self.add(user)

    def add(self, user: User) -> None:
        """Add a user. Raises Conflict when the name is taken."""
        with self._lock:
            if user.name in self._users:
                raise Conflict(f"user {user.name} exists already", hint="use change()")
            self._users[user.name] = user

    def change(self, name: str, **changes: Any) -> User:
        """Replace fields of a user, e.g. ``change("ann", permissions="elr")``. Raises NotFound."""
        with self._lock:
            if name not in self._users:
                raise NotFound(f"no user {name}", hint="use add()")
            self._users[name] = replace(self._users[name], **changes)
            return self._users[name]

    def remove(self, name: str) -> None:
        """Remove a user; their sessions end with the next command. Raises NotFound."""
        with self._lock:
            if self._users.pop(name, None) is None:
                raise NotFound(f"no user {name}")

    def find(self, name: str) -> User | None:
        return self._users.get(name)

    def verify(self, user: User, password: str) -> bool:
        return verify_password(user.password_hash, password)
