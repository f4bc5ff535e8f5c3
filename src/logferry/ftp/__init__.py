"""An FTP and FTPS server and client to embed, usable without anything else of Logferry.

A server; it runs beside your program, on threads of its own::

    from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User

    users = MemoryUsers(User.with_password("ann", "a long secret", home="/srv/ann"))
    identity = TlsIdentity.ensure("identity")  # makes a certificate at the first start
    with FtpServer(("0.0.0.0", 2121), users=users, identity=identity) as server:
        print("certificate", identity.pin)
        for event in server.events():  # or "async for", or server.on(Received, callback)
            print(event)

A client; ``upload`` returns when the file is whole on the server, and raises what went wrong else::

    from logferry.ftp import FtpClient

    with FtpClient("logs.example", 2121, user="ann", password="a long secret", pins=("sha256/...",)) as client:
        client.upload("app.log", "/web/app.log")

What is there:

Server
    ``FtpServer``, its ``ServerLimits``, ``sessions()`` as ``SessionInfo``, ``WorkerParts`` for several processes.
Users
    ``User`` with ``Permissions``, ``FolderRules`` and quotas; the stores ``MemoryUsers`` and ``JsonUsers``, or any
    ``UserStore``; ``hash_password``, ``verify_password``, ``generate_password``.
Hooks
    ``before_login`` gets a ``LoginRequest``, ``before_upload`` an ``UploadRequest``; raising refuses.
Events
    ``Event`` and its kinds (``Received``, ``Incomplete``, ``LoggedIn`` and others), as callbacks or an ``EventStream``.
Files
    ``LocalFilesystem`` for folders on disk; ``Filesystem``, ``Upload`` and ``Download`` for one of your own.
Client
    ``FtpClient``: ``upload``, ``download``, ``entries``, ``stat``, ``store_bundle`` and the rest of FTP.
Many files
    ``upload_many``, ``download_many``, ``mirror_up``, ``mirror_down``, over several connections.
TLS
    ``TlsIdentity``: certificate, key and the pin that clients compare.
Limits
    ``Timetable`` and ``TokenBucket`` for speed, ``DefenderRules`` against guessing of passwords.

Errors are those of ``logferry.errors``: ``Refused`` (change something), ``Later`` (try again), ``Full``, ``Damaged``;
each names the thing and says what to do. Security is on by default: TLS is required, data connections belong to their
control connection, no name leads out of a home, addresses that guess passwords are banned.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logferry.ftp.bundle_files import BundleFilesystem, BundleMember, Outcome
    from logferry.ftp.client import FtpClient
    from logferry.ftp.client_bundle import BundleResult
    from logferry.ftp.client_copy import Copied
    from logferry.ftp.client_digest import Digest
    from logferry.ftp.client_store import StoreItem, StoreResult
    from logferry.ftp.cut import Aborted
    from logferry.ftp.defender import Ban, DefenderRules
    from logferry.ftp.events import (
        Banned,
        Connected,
        Deleted,
        Event,
        FolderMade,
        Incomplete,
        Introduced,
        LoggedIn,
        LoginFailed,
        Missed,
        Received,
        Renamed,
        Sent,
        SessionEnded,
        TimeSet,
        Unpacked,
    )
    from logferry.ftp.filesystem import Download, Entry, Filesystem, SpaceFilesystem, Upload, Usage
    from logferry.ftp.folders import FolderRules
    from logferry.ftp.hashing import HashFilesystem
    from logferry.ftp.hooks import LoginRequest, UploadRequest
    from logferry.ftp.lanes import Clients
    from logferry.ftp.listeners import EventStream
    from logferry.ftp.local import LocalFilesystem
    from logferry.ftp.many import FileResult, ManyProgress
    from logferry.ftp.many_down import download_many
    from logferry.ftp.many_up import upload_many
    from logferry.ftp.mirror import Mirrored, mirror_down, mirror_up
    from logferry.ftp.passwords import generate_password, hash_password, verify_password
    from logferry.ftp.permissions import Permissions
    from logferry.ftp.protocol.features import Features
    from logferry.ftp.protocol.listing_reader import Listed
    from logferry.ftp.protocol.replies import Reply
    from logferry.ftp.reconnect import Backoff, retrying
    from logferry.ftp.sending import SendSource
    from logferry.ftp.server import FtpServer, WorkerParts
    from logferry.ftp.session import SessionInfo
    from logferry.ftp.shared import ServerLimits
    from logferry.ftp.throttle import TokenBucket
    from logferry.ftp.timetable import Timetable
    from logferry.ftp.tls import TlsIdentity
    from logferry.ftp.users import MemoryUsers, User, UserStore
    from logferry.ftp.users_json import JsonUsers

__all__ = [
    "Aborted",
    "Backoff",
    "Ban",
    "Banned",
    "BundleFilesystem",
    "BundleMember",
    "BundleResult",
    "Clients",
    "Connected",
    "Copied",
    "DefenderRules",
    "Deleted",
    "Digest",
    "Download",
    "Entry",
    "Event",
    "EventStream",
    "Features",
    "FileResult",
    "Filesystem",
    "FolderMade",
    "FolderRules",
    "FtpClient",
    "FtpServer",
    "HashFilesystem",
    "Incomplete",
    "Introduced",
    "JsonUsers",
    "Listed",
    "LocalFilesystem",
    "LoggedIn",
    "LoginFailed",
    "LoginRequest",
    "ManyProgress",
    "MemoryUsers",
    "Mirrored",
    "Missed",
    "Outcome",
    "Permissions",
    "Received",
    "Renamed",
    "Reply",
    "SendSource",
    "Sent",
    "ServerLimits",
    "SessionEnded",
    "SessionInfo",
    "SpaceFilesystem",
    "StoreItem",
    "StoreResult",
    "TimeSet",
    "Timetable",
    "TlsIdentity",
    "TokenBucket",
    "Unpacked",
    "Upload",
    "UploadRequest",
    "Usage",
    "User",
    "UserStore",
    "WorkerParts",
    "download_many",
    "generate_password",
    "hash_password",
    "mirror_down",
    "mirror_up",
    "retrying",
    "upload_many",
    "verify_password",
]

# Which module has which names. None may be called like one of its names: the module would take the name's place.
_PARTS = {
    "bundle_files": "BundleFilesystem BundleMember Outcome",
    "client": "FtpClient",
    "client_bundle": "BundleResult",
    "client_copy": "Copied",
    "client_digest": "Digest",
    "client_store": "StoreItem StoreResult",
    "cut": "Aborted",
    "defender": "Ban DefenderRules",
    "events": "Banned Connected Deleted Event FolderMade Incomplete Introduced LoggedIn LoginFailed Missed Received "
    "Renamed Sent SessionEnded TimeSet Unpacked",
    "filesystem": "Download Entry Filesystem SpaceFilesystem Upload Usage",
    "folders": "FolderRules",
    "hashing": "HashFilesystem",
    "hooks": "LoginRequest UploadRequest",
    "lanes": "Clients",
    "listeners": "EventStream",
    "local": "LocalFilesystem",
    "many": "FileResult ManyProgress",
    "many_down": "download_many",
    "many_up": "upload_many",
    "mirror": "Mirrored mirror_down mirror_up",
    "passwords": "generate_password hash_password verify_password",
    "permissions": "Permissions",
    "protocol.features": "Features",
    "protocol.listing_reader": "Listed",
    "protocol.replies": "Reply",
    "reconnect": "Backoff retrying",
    "sending": "SendSource",
    "server": "FtpServer WorkerParts",
    "session": "SessionInfo",
    "shared": "ServerLimits",
    "throttle": "TokenBucket",
    "timetable": "Timetable",
    "tls": "TlsIdentity",
    "users": "MemoryUsers User UserStore",
    "users_json": "JsonUsers",
}
_HOME = {name: part for part, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Load a part when the first of its names is asked for: a client need not carry the server."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
