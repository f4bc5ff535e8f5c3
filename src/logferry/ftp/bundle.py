"""A bundle being unpacked while it arrives: what ``STOR /.bundles/x.tar.zst`` writes to.

Small members are collected and published in batches, so that they share their syncs; a large one goes through
``open_upload`` like any other upload. Whatever ends a bundle early, the whole members that came before are published.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from logferry.errors import Conflict, LogferryError, NotFound, NotPermitted, OverQuota
from logferry.ftp.bundle_files import BundleMember, no_folder, open_member, publish
from logferry.ftp.filesystem import Filesystem, Upload
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.bundle import Report, member_path
from logferry.ftp.protocol.expand import EXPANDERS
from logferry.ftp.protocol.paths import split
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.tar_headers import FILE, FOLDER, BadBundle, Member
from logferry.ftp.protocol.tar_reader import TarReader
from logferry.ftp.refusals import refusal
from logferry.ftp.transfers import Interrupted
from logferry.limits import (
    BUNDLE_BATCH_BYTES,
    BUNDLE_BATCH_MEMBERS,
    BUNDLE_BYTES_MAX,
    BUNDLE_MEMBER_BYTES_MAX,
    BUNDLE_MEMBERS_MAX,
    BUNDLE_RATIO_FREE_BYTES,
    BUNDLE_RATIO_MAX,
)

Stored = Callable[[str, int], None]
"""Told the path and size of each file that is published."""
Letters = Callable[[str], Permissions]
"""The user's letters at a path."""
Admit = Callable[[str, int], Reply | None]
"""Asked before each file, its path and size: None, or the reply that refuses it."""


class Stopped(Exception):
    """The disk or the quota takes no more: the rest need not come. ``reply`` is that of the member it happened to."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Bundle:
    """An ``Upload`` whose bytes are a tar archive in ``form``. See ``report`` after its end.

    Of the user's ``letters`` at each path ``w`` stores files, ``m`` makes folders, ``T`` keeps the times in the bundle.
    """

    __slots__ = ("_admit", "_batch", "_batch_bytes", "_expanded_bytes", "_expander", "_files", "_large", "_letters",
                 "_make_folders", "_may_make", "_member", "_names", "_parts", "_path", "_stored", "_tar", "_waiting",
                 "position", "report")  # fmt: skip

    def __init__(
        self, files: Filesystem, form: str, letters: Letters, stored: Stored, admit: Admit | None = None
    ) -> None:
        self.position = 0
        """Bytes that have arrived."""
        self.report = Report()
        self._files = files
        self._stored = stored
        self._letters = letters
        self._admit = admit
        self._may_make: dict[str, bool] = {"/": True}
        """Folders that are there or may be made."""
        self._make_folders = False
        """Whether a folder of the batch may be made."""
        self._expander = EXPANDERS[form](self._unpack)
        self._expanded_bytes = 0
        self._tar = TarReader()
        self._names: set[str] = set()
        self._batch: list[BundleMember] = []
        self._batch_bytes = 0
        self._member: Member | None = None
        """The file whose content is coming, unless it was refused; ``_path`` is where it belongs."""
        self._path = ""
        self._waiting = 0
        """Bytes of it still to come."""
        self._parts: list[bytes] = []
        self._large: Upload | None = None

    # What the transfer calls -------------------------------------------------------------------------------------

    def write(self, data: memoryview | bytes) -> None:
        """Take bytes as they arrive.

        Raises:
            BadBundle: this is no bundle, or a damaged or excessive one.
            Stopped: there is no room for more.
        """
        self.position += len(data)
        self._expander.feed(data)

    def commit(self) -> None:
        """That was all: publish what is left. Raises Interrupted when the bundle is cut, Stopped."""
        try:
            self._expander.finish()
            self._tar.finish()
        except BadBundle as error:
            # Its sender may have died, which looks like a good end.
            raise Interrupted(426, str(error)) from error
        self._publish()

    def abandon(self) -> None:
        """The bundle broke off: publish the whole members that came, forget the one under way."""
        large, self._large = self._large, None
        if large is not None:
            large.abandon()
        self._member = None
        with contextlib.suppress(Stopped):  # then these are refused by name
            self._publish()

    def answer(self, error: BaseException | None = None) -> Reply | None:
        """The final reply, after ``commit``, or ``abandon`` because of ``error``.

        None when no byte came, or ``error`` is none of those that are told so.
        """
        if error is None:
            return self.report.reply()
        if isinstance(error, Stopped):
            return self.report.reply(error.reply.code, error.reply.text)
        if isinstance(error, Interrupted):
            return self.report.reply(error.code, error.reason) if self.position else None
        return self.report.reply(error.ftp_reply, str(error)) if isinstance(error, LogferryError) else None

    # Bytes to members ----------------------------------------------------------------------------------------------

    def _unpack(self, data: memoryview | bytes) -> None:
        self._expanded_bytes += len(data)
        self._check_size()
        for event in self._tar.feed(data):
            if not isinstance(event, Member):
                if self._member is not None:
                    self._more(event)
            elif event.kind == FILE:
                self._begin(event)
            else:
                self._other(event)

    def _check_size(self) -> None:
        expanded = self._expanded_bytes
        if expanded > BUNDLE_BYTES_MAX:
            raise BadBundle(f"more than {BUNDLE_BYTES_MAX >> 30} GiB in one bundle", hint="make several")
        if expanded > BUNDLE_RATIO_FREE_BYTES and expanded > self.position * BUNDLE_RATIO_MAX:
            raise BadBundle(
                f"{self.position} bytes expand to more than {BUNDLE_RATIO_MAX} times as many", hint="make several"
            )

    def _begin(self, member: Member) -> None:
        path = self._admitted(member)
        if path is None:
            self._member = None
            return
        self._member, self._path, self._waiting = member, path, member.size
        if member.size > BUNDLE_MEMBER_BYTES_MAX:
            self._begin_large()
        elif not member.size:
            self._collect(b"")

    def _admitted(self, member: Member) -> str | None:
        """Where a file or folder goes; None when it was refused."""
        if len(self._names) >= BUNDLE_MEMBERS_MAX:
            raise BadBundle(f"more than {BUNDLE_MEMBERS_MAX} members in one bundle", hint="make several")
        try:
            path = member_path(member.name)
            if member.kind == FILE and (path == "/" or member.name.endswith(b"/")):
                raise Conflict("a file with the name of a folder")
            if path in self._names and member.kind == FILE:
                raise Conflict("the name came before in this bundle", hint="each name once")
            refused = self._check(path, member)
        except (LogferryError, OSError) as error:
            refused = refusal(error)
        if refused is not None:
            self._refuse(member, refused)
            return None
        self._names.add(path)
        return path

    def _check(self, path: str, member: Member) -> Reply | None:
        """Ask whether the user may store this. Raises NotPermitted."""
        if member.kind == FOLDER:
            self._check_folder(path)
            return None
        if not self._letters(path).allow("w"):
            raise NotPermitted("permission denied")
        self._check_folder(split(path)[0])
        return self._admit(path, member.size) if self._admit is not None else None

    def _check_folder(self, path: str) -> None:
        """Raises NotPermitted when the folder is missing and the user may not make it."""
        known = self._may_make.get(path)
        if known is None:
            if self._letters(path).allow("m"):
                self._make_folders = True
                self._check_folder(split(path)[0])
                known = True
            else:
                # Looked at once: others do not make folders for us in the middle of a bundle.
                known = self._is_folder(path)
            self._may_make[path] = known
        if not known:
            raise no_folder(path)

    def _is_folder(self, path: str) -> bool:
        try:
            return self._files.stat(path).is_folder
        except NotFound:
            return False

    def _other(self, member: Member) -> None:
        """A member that is no file."""
        self._member = None
        if member.kind != FOLDER:
            self._refuse(member, NotPermitted(f"{member.kind}: bundles hold files and folders"))
            return
        path = self._admitted(member)
        if path is None:
            return
        if path == "/":
            self.report.members += 1
            self.report.folders += 1
        else:
            self._add(BundleMember(path, None))

    def _refuse(self, member: Member, error: LogferryError | Reply) -> None:
        if self.report.members + len(self._batch) >= BUNDLE_MEMBERS_MAX:
            raise BadBundle(f"more than {BUNDLE_MEMBERS_MAX} members in one bundle", hint="make several")
        self.report.members += 1
        self.report.refuse(member.name, error, loses_bytes=member.loses_bytes)

    # Content -------------------------------------------------------------------------------------------------------

    def _more(self, data: memoryview) -> None:
        self._waiting -= len(data)
        if self._large is not None:
            self._more_large(self._large, data)
        elif self._waiting:
            self._parts.append(bytes(data))
        elif self._parts:
            self._parts.append(bytes(data))
            whole = b"".join(self._parts)
            self._parts.clear()
            self._collect(whole)
        else:
            self._collect(bytes(data))

    def _collect(self, content: bytes) -> None:
        """A small file is whole."""
        member, self._member = self._member, None
        assert member is not None
        self._add(BundleMember(self._path, content, self._time(member)))

    def _time(self, member: Member) -> int | None:
        return member.modified_ns if self._letters(self._path).allow("T") else None

    def _add(self, member: BundleMember) -> None:
        self._batch.append(member)
        if member.data is not None:
            self._batch_bytes += len(member.data)
        if self._batch_bytes >= BUNDLE_BATCH_BYTES or len(self._batch) >= BUNDLE_BATCH_MEMBERS:
            self._publish()

    def _publish(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        stop: Reply | None = None
        for member, outcome in zip(batch, publish(self._files, batch, make_folders=self._make_folders), strict=True):
            if outcome is None:
                self._is_stored(member.path, None if member.data is None else len(member.data))
            else:
                stop = self._failed(member.path, outcome, loses_bytes=member.data is not None) or stop
        if stop is not None:
            raise Stopped(stop)

    def _is_stored(self, path: str, size: int | None) -> None:
        report = self.report
        report.members += 1
        if size is None:
            report.folders += 1
        else:
            report.files += 1
            report.count += size
            self._stored(path, size)

    def _failed(self, path: str, error: LogferryError | OSError, *, loses_bytes: bool) -> Reply | None:
        """Note what could not be published; the reply when it makes no sense to go on."""
        reply = refusal(error)
        self.report.members += 1
        self.report.refuse(path[1:].encode("utf-8", "surrogateescape"), reply, loses_bytes=loses_bytes)
        is_over = (
            reply.code == 452 or isinstance(error, OverQuota) or (reply.code == 451 and isinstance(error, OSError))
        )
        return reply if is_over else None

    # Large files -----------------------------------------------------------------------------------------------------

    def _begin_large(self) -> None:
        self._publish()
        try:
            self._large = open_member(self._files, self._path, make_folders=self._make_folders)
        except (LogferryError, OSError) as error:
            self._fail_large(error)

    def _more_large(self, large: Upload, data: memoryview) -> None:
        try:
            large.write(data)
        except (LogferryError, OSError) as error:
            self._large = None
            large.abandon()
            self._fail_large(error)
            return
        if not self._waiting:
            self._large = None
            self._end_large(large)

    def _end_large(self, large: Upload) -> None:
        member, self._member = self._member, None
        assert member is not None
        try:
            large.commit()
            modified_ns = self._time(member)
            if modified_ns is not None:
                self._files.set_modified(self._path, modified_ns)
        except (LogferryError, OSError) as error:
            self._fail_large(error)
            return
        self._is_stored(self._path, member.size)

    def _fail_large(self, error: LogferryError | OSError) -> None:
        """What still comes of it is passed over."""
        self._member = None
        stop = self._failed(self._path, error, loses_bytes=True)
        if stop is not None:
            raise Stopped(stop)
