"""Who may log in: one small protocol, and a store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from logferry.errors import BadConfig, Conflict, NotFound
from logferry.ftp.folders import FolderRules
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

    ``folders`` gives other letters to parts of the home, as in ``{"/incoming": "elw"}`` (see ``FolderRules``).
    ``quota_bytes`` and ``quota_files`` bound what lies beneath the home, whoever put it there; None is no bound.

    Raises:
        BadConfig: a letter, a pattern or a quota that means nothing.
    """

    name: str
    home: str
    permissions: str = LETTERS
    password_hash: str = ""
    enabled: bool = True
    require_tls: bool | None = None
    folders: Mapping[str, str] | None = None
    quota_bytes: int | None = None
    quota_files: int | None = None
    upload_rate: Rate = 0
    download_rate: Rate = 0
    connections: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "permissions", Permissions(self.permissions))
        check_rates(upload_rate=self.upload_rate, download_rate=self.download_rate)
        if self.connections < 0:
            raise BadConfig(f"connections is {self.connections}", hint="0 is no limit")
        if self.folders is not None and not isinstance(self.folders, FolderRules):
            object.__setattr__(self, "folders", FolderRules(self.folders) if self.folders else None)
        for bound in (self.quota_bytes, self.quota_files):
            if bound is not None and bound < 0:
                raise BadConfig(f"quota of user {self.name} is {bound}", hint="0 or more; None for no quota")

    @property
    def folder_rules(self) -> FolderRules | None:
        """``folders`` as they were checked; None without any."""
        return self.folders if isinstance(self.folders, FolderRules) and self.folders else None

    @property
    def place(self) -> tuple[str, int | None, int | None]:
        """What the user's file system is made from; when it changes, another one has to be made."""
        return self.home, self.quota_bytes, self.quota_files

    def admits(self, now: User) -> bool:
        """Whether a session that logged in as this user may go on as ``now``, what became of the user since."""
        return now.enabled and now.password_hash == self.password_hash

    @classmethod
    def with_password(cls, name: str, password: str, home: str, permissions: str = LETTERS, **more: Any) -> User:
        """A user with ``password`` hashed here; ``more`` are further fields, as in ``quota_bytes=10**9``."""
        return cls(name=name, home=home, permissions=permissions, password_hash=hash_password(password), **more)


@runtime_checkable
class FollowedStore(Protocol):
    """A store in this process's memory. Where a server has several processes, each follows the one of the parent."""

    def follow(self, told: Callable[[str, User | None], None]) -> None:
        """Call ``told(name, user)`` after each change, None for a user who is gone; changes wait for it."""
        ...

    def unfollow(self, told: Callable[[str, User | None], None]) -> None:
        """Not any more."""
        ...

    def snapshot(self) -> dict[str, User]:
        """All users now, by name."""
        ...

    def put(self, name: str, user: User | None) -> None:
        """Take over a change, without telling anybody."""
        ...

    def put_all(self, users: Mapping[str, User]) -> None:
        """Take over a snapshot."""
        ...


class UserStore(Protocol):
    """Where users come from. Both methods may be called by several threads at once."""

    def find(self, name: str) -> User | None:
        """The user of that name now. Asked before every command, so it must be cheap."""
        ...

    def verify(self, user: User, password: str) -> bool:
        """Whether ``password`` is right. May take long; never called on the loop's thread."""
        ...


class MemoryUsers:
    """Users held in memory; each change takes effect on the next command of the sessions it concerns.

    Safe from many threads. ``follow`` and what comes after it serve servers with several processes.

    Raises:
        Conflict: two users of one name.
    """

    def __init__(self, *users: User) -> None:
        self._lock = threading.Lock()
        # Held longer, until all who follow know: they must hear of changes in the order in which they happened.
        self._order = threading.Lock()
        self._followers: list[Callable[[str, User | None], None]] = []
        self._users: dict[str, User] = {}
        for user in users:
            self.add(user)

    def add(self, user: User) -> None:
        """Add a user. Raises Conflict when the name is taken."""
        with self._order:
            with self._lock:
                if user.name in self._users:
                    raise Conflict(f"user {user.name} exists already", hint="use change()")
                self._users[user.name] = user
            self._tell(user.name, user)

    def change(self, name: str, **changes: Any) -> User:
        """Replace fields of a user, e.g. ``change("ann", permissions="elr")``. Raises NotFound."""
        with self._order:
            with self._lock:
                if name not in self._users:
                    raise NotFound(f"no user {name}", hint="use add()")
                user = self._users[name] = replace(self._users[name], **changes)
            self._tell(name, user)
            return user

    def remove(self, name: str) -> None:
        """Remove a user; their sessions end with the next command. Raises NotFound."""
        with self._order:
            with self._lock:
                if self._users.pop(name, None) is None:
                    raise NotFound(f"no user {name}")
            self._tell(name, None)

    def _tell(self, name: str, user: User | None) -> None:
        for told in self._followers:
            told(name, user)

    def follow(self, told: Callable[[str, User | None], None]) -> None:
        """Call ``told(name, user)`` after each change, None for a user who is gone; changes wait for it."""
        with self._order:
            self._followers.append(told)

    def unfollow(self, told: Callable[[str, User | None], None]) -> None:
        """Not any more."""
        with self._order:
            self._followers.remove(told)

    def snapshot(self) -> dict[str, User]:
        """All users now, by name."""
        with self._lock:
            return dict(self._users)

    def put(self, name: str, user: User | None) -> None:
        """Take over a change, without telling anybody."""
        with self._lock:
            if user is None:
                self._users.pop(name, None)
            else:
                self._users[name] = user

    def put_all(self, users: Mapping[str, User]) -> None:
        """Take over a snapshot."""
        with self._lock:
            self._users = dict(users)

    def find(self, name: str) -> User | None:
        """The user of that name now."""
        return self._users.get(name)

    def verify(self, user: User, password: str) -> bool:
        """Whether ``password`` is right."""
        return verify_password(user.password_hash, password)
