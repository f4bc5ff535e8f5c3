"""Logferry's FTP library: a server and a client, usable without anything else of Logferry.

Server::

    from logferry.ftp import FtpServer, MemoryUsers, User

    users = MemoryUsers(User.with_password("ann", "secret", home="/srv/ann"))
    with FtpServer(("127.0.0.1", 2121), users=users, tls="off") as server:
        print(server.address)
        for event in server.events():  # or "async for", or server.on(Received, callback)
            print(event)

Client::

    from logferry.ftp import FtpClient

    with FtpClient("127.0.0.1", 2121, user="ann", password="secret", tls="off") as client:
        client.upload("app.log", "/web/app.log")
"""

from logferry.ftp.bundle_files import BundleFilesystem, BundleMember, Outcome
from logferry.ftp.client import FtpClient
from logferry.ftp.client_bundle import BundleResult
from logferry.ftp.client_copy import Copied
from logferry.ftp.client_digest import Digest
from logferry.ftp.client_store import StoreItem, StoreResult
from logferry.ftp.cut import Aborted
from logferry.ftp.defender import Ban, DefenderRules
from logferry.ftp.download_many import download_many
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
from logferry.ftp.upload_many import upload_many
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
