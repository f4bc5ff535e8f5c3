"""How the members of a bundle get into a file system: many at a time where it can, else one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from logferry.errors import Conflict, LogferryError, NotFound, NotPermitted
from logferry.ftp.filesystem import Filesystem, Upload
from logferry.ftp.protocol.paths import split

Outcome = LogferryError | OSError | None
"""None: it is there, durably."""


class BundleMember(NamedTuple):
    """A whole file, or a folder (``data`` None). ``path`` is as in ``Filesystem``; ``modified_ns`` None leaves it."""

    path: str
    data: bytes | None
    modified_ns: int | None = None


@runtime_checkable
class BundleFilesystem(Protocol):
    """A file system that takes many small files faster than one by one."""

    def publish_many(self, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
        """Publish each member as ``open_upload`` at offset 0, ``write`` and ``commit`` would, and make the folders.

        One outcome per member, in order. When it returns, everything whose outcome is None is durable: bytes, names,
        folders. Members have different paths. Without ``make_folders`` folders that are missing are NotPermitted.
        """
        ...


def publish(files: Filesystem, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
    """``publish_many`` of any file system.

    It must be the file system's own: a wrapper that hands unknown attributes on to what it wraps (to count for a
    quota, say) would let members by that it never sees.
    """
    if isinstance(files, BundleFilesystem):
        owner: object = getattr(files.publish_many, "__self__", None)
        if owner is files:
            return files.publish_many(members, make_folders=make_folders)
    return [publish_one(files, member, make_folders=make_folders) for member in members]


def publish_one(files: Filesystem, member: BundleMember, *, make_folders: bool) -> Outcome:
    """One member through the methods every file system has."""
    try:
        if member.data is None:
            ensure_folder(files, member.path, make=make_folders)
            return None
        upload = open_member(files, member.path, make_folders=make_folders)
        try:
            upload.write(member.data)
        except BaseException:
            upload.abandon()
            raise
        upload.commit()
        if member.modified_ns is not None:
            files.set_modified(member.path, member.modified_ns)
    except (LogferryError, OSError) as error:
        return error
    return None


def open_member(files: Filesystem, path: str, *, make_folders: bool) -> Upload:
    """Begin an upload of ``path`` from byte 0; its folders are made when missing."""
    ensure_folder(files, split(path)[0], make=make_folders)
    return files.open_upload(path, offset=0, append=False)


def ensure_folder(files: Filesystem, path: str, *, make: bool) -> None:
    """See to it that the folder ``path`` is there, and those above it. Raises NotPermitted, Conflict."""
    if path == "/":
        return
    try:
        if files.stat(path).is_folder:
            return
    except NotFound:
        if not make:
            raise no_folder(path) from None
        ensure_folder(files, split(path)[0], make=make)
        try:
            files.make_folder(path)
        except Conflict:
            if not files.stat(path).is_folder:
                raise
        return
    raise Conflict(f"{path} is no folder")


def no_folder(path: str) -> NotPermitted:
    """The error where a folder is missing that may not be made."""
    return NotPermitted(f"the folder {path} is missing and this user may make none")
