"""How much the home of a user may hold, and how much it does.

A home is counted once, in the background when its first user logs in, and from then on every upload, removal and
rename moves the count; now and then it is counted anew, because others may write into the home as well. All sessions
whose home is the same share one ``Ledger``, so uploads at the same moment cannot each take the last room.

Bytes are taken before they are written. What is taken and then not kept is given back, so the count may be too high
for a moment, never too low by more than what was written behind the server's back: by other programs, by another
process of the server, or through a home that lies inside this one. The next count finds it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable

from logferry.clock import SYSTEM, Clock
from logferry.errors import Later, LogferryError, TooLarge
from logferry.ftp.filesystem import Usage
from logferry.ftp.users import User
from logferry.limits import (
    FTP_QUOTA_COUNT_S_MAX,
    FTP_QUOTA_HOMES_MAX,
    FTP_QUOTA_RECOUNT_S,
    FTP_QUOTA_RECOUNT_SOON_S,
)

log = logging.getLogger("logferry.ftp")

Count = Callable[[], Usage]
"""Counts a home; may take long, may raise LogferryError or OSError."""


class Ledger:
    """What one home holds. Thread-safe."""

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._lock = threading.Condition()
        self._clock = clock
        self._bytes = 0
        self._files = 0
        self._counted = False
        self._counted_s = 0.0
        self._counting = False
        self._doubtful = False
        self._moved = False
        self._taken_bytes = self._taken_files = 0
        """Whether anything moved since the count that is under way began, and what was taken since."""
        self._writing: Counter[str] = Counter()
        self._crowded: set[str] = set()
        self._replaced: dict[str, int] = {}
        self._replacing: Counter[str] = Counter()
        """Uploads under way by path; paths that had several at once; the sizes of the files they will replace, and what
        has come in their place so far: as much of that as the file has needs no room of its own."""
        self._losses: Counter[str] = Counter()
        """How often the file at a path was lost while uploads of that path were under way."""

    # Counting ----------------------------------------------------------------------------------------------------

    def refresh(self, count: Count) -> None:
        """Have the home counted in the background if it never was, or not lately."""
        with self._lock:
            if self._counting or not self._is_stale():
                return
            self._counting = True
            self._moved = bool(self._writing)
            self._taken_bytes = self._taken_files = 0
        thread = threading.Thread(target=self._count, args=(count,), name="logferry-ftp-count", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The machine has no thread left. Whoever comes next tries again.
            self._note(None)
            log.error("a home cannot be counted: %s", error)  # noqa: TRY400  # where does not matter

    def _is_stale(self) -> bool:
        if not self._counted:
            return True
        age_s = self._clock.monotonic_s() - self._counted_s
        return age_s >= (FTP_QUOTA_RECOUNT_SOON_S if self._doubtful else FTP_QUOTA_RECOUNT_S)

    def _count(self, count: Count) -> None:
        found: Usage | None = None
        try:
            found = count()
        except (LogferryError, OSError) as error:
            log.error("a home cannot be counted, for its quota: %s", error)  # noqa: TRY400  # the cause says it all
        finally:
            self._note(found)

    def _note(self, found: Usage | None) -> None:
        """A count has ended, with this result or without one."""
        with self._lock:
            self._counting = False
            if found is not None:
                # What came meanwhile may have been seen or not: better counted twice than not at all. Looked at again.
                self._bytes = found.size_bytes + self._taken_bytes
                self._files = found.files + self._taken_files
                self._doubtful = self._moved
                self._counted = True
                self._counted_s = self._clock.monotonic_s()
            self._lock.notify_all()

    def wait(self) -> None:
        """Wait until the home was counted once.

        Raises:
            Later: that takes too long, or could not be done.
        """
        with self._lock:
            self._lock.wait_for(lambda: self._counted or not self._counting, FTP_QUOTA_COUNT_S_MAX)
            if not self._counted:
                raise Later("how much of your quota is used is not known yet", hint="try again in a minute")

    def doubt(self) -> None:
        """The count may be wrong: it is made anew soon."""
        with self._lock:
            self._doubtful = True

    @property
    def usage(self) -> Usage:
        """As far as it is known."""
        return Usage(self._bytes, self._files)

    # Moving the count --------------------------------------------------------------------------------------------

    def take(self, size_bytes: int, files: int, limit: Limit, replacing: str = "") -> None:
        """Take room before it is used, ``replacing`` by an upload that will replace the file of that path.

        Raises:
            TooLarge: the quota has no room for it (552).
        """
        with self._lock:
            if size_bytes > 0 and limit.size_bytes is not None:
                beyond = self._beyond(size_bytes, replacing)
                if beyond and self._needed() + beyond > limit.size_bytes:
                    self._doubtful = True
                    raise TooLarge(f"your quota of {limit.size_bytes} bytes is used up", hint="remove something first")
            if files > 0 and limit.files is not None and self._files + files > limit.files:
                self._doubtful = True
                raise TooLarge(f"your quota of {limit.files} files is used up", hint="remove something first")
            if replacing:
                self._replacing[replacing] += size_bytes
            self._move(size_bytes, files)

    def _needed(self) -> int:
        """What is held, less what will go when the uploads under way are whole."""
        return self._bytes - sum(min(size, self._replacing[path]) for path, size in self._replaced.items())

    def _beyond(self, size_bytes: int, replacing: str) -> int:
        """How much of ``size_bytes`` that come next needs room."""
        spare = self._replaced.get(replacing, 0) - self._replacing[replacing] if replacing else 0
        return size_bytes - min(max(spare, 0), size_bytes)

    def give(self, size_bytes: int, files: int = 0) -> None:
        """Give back what was taken, or is gone."""
        with self._lock:
            self._move(-size_bytes, -files)

    def _move(self, size_bytes: int, files: int) -> None:
        self._bytes = max(self._bytes + size_bytes, 0)
        self._files = max(self._files + files, 0)
        self._moved = True
        self._taken_bytes += max(size_bytes, 0)
        self._taken_files += max(files, 0)

    def room(self, limit: Limit) -> int | None:
        """Bytes left of ``limit``; None when it does not bound bytes."""
        size_bytes = limit.size_bytes
        return None if size_bytes is None else max(size_bytes - self._bytes, 0)

    # Uploads under way -------------------------------------------------------------------------------------------

    def begin(self, path: str, replaced_bytes: int) -> bool:
        """An upload of ``path`` begins, which will replace that much; whether it is the only one of that path."""
        with self._lock:
            self._writing[path] += 1
            if replaced_bytes:
                self._replaced[path] = replaced_bytes
            if self._writing[path] == 1:
                return True
            self._crowded.add(path)
            return False

    def end(self, path: str, replacing_bytes: int = 0) -> tuple[bool, bool]:
        """It is over; whether it was the last one of that path, and whether there were others meanwhile.

        ``replacing_bytes`` were taken as ``replacing``.
        """
        with self._lock:
            self._replacing[path] -= replacing_bytes
            crowded = path in self._crowded
            self._writing[path] -= 1
            if self._writing[path]:
                return False, crowded
            del self._writing[path]
            self._losses.pop(path, None)
            self._replaced.pop(path, None)
            self._replacing.pop(path, None)
            self._crowded.discard(path)
            return True, crowded

    def losses(self, path: str) -> int:
        """How often the file at ``path`` was lost since the uploads under way began: appends write to one of those."""
        return self._losses.get(path, 0)

    def replaced(self, path: str, size_bytes: int, now_bytes: int = 0) -> None:
        """What was at ``path``, ``size_bytes`` in one file, is gone; another upload of it would replace the new."""
        with self._lock:
            self._move(-size_bytes, -1)
            if path in self._writing:
                self._losses[path] += 1
            if path in self._replaced:
                self._replaced[path] = now_bytes


class Limit:
    """One user's quota; sessions share it, and a change counts for uploads under way. None does not bound."""

    __slots__ = ("files", "size_bytes")

    def __init__(self, size_bytes: int | None = None, files: int | None = None) -> None:
        self.size_bytes = size_bytes
        self.files = files


class Ledgers:
    """The homes and quotas of one server."""

    def __init__(self, *, clock: Clock = SYSTEM, homes_max: int = FTP_QUOTA_HOMES_MAX) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._homes_max = homes_max
        self._homes: OrderedDict[str, Ledger] = OrderedDict()
        self._limits: OrderedDict[str, Limit] = OrderedDict()

    def of(self, home: str) -> Ledger:
        """The ledger of ``home``, the same for all who ask for it."""
        with self._lock:
            found = self._homes.get(home)
            if found is None:
                found = self._homes[home] = Ledger(clock=self._clock)
            self._homes.move_to_end(home)
            if len(self._homes) > self._homes_max:
                self._homes.popitem(last=False)
            return found

    def limit(self, user: User) -> Limit:
        """The limit of ``user``, from now on the one that ``user`` has."""
        with self._lock:
            found = self._limits.get(user.name)
            if found is None:
                found = self._limits[user.name] = Limit(user.quota_bytes, user.quota_files)
            found.size_bytes, found.files = user.quota_bytes, user.quota_files
            self._limits.move_to_end(user.name)
            if len(self._limits) > self._homes_max:
                self._limits.popitem(last=False)
            return found

    def adjust(self, user: User) -> None:
        """``user`` may have another quota now: it counts for uploads under way, too."""
        found = self._limits.get(user.name)
        if found is not None:
            found.size_bytes, found.files = user.quota_bytes, user.quota_files
