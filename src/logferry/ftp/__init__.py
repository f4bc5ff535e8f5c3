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

from logferry.ftp.client import FtpClient
from logferry.ftp.client_copy import Copied
from logferry.ftp.client_digest import Digest
from logferry.ftp.client_store import StoreItem, StoreResult
from logferry.ftp.cut import Aborted
from logferry.ftp.download_many import download_many
from logferry.ftp.events import (
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
)
from logferry.ftp.filesystem import Download, Entry, Filesystem, Upload, Usage
from logferry.ftp.folders import FolderRules
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
from logferry.ftp.server import FtpServer
from logferry.ftp.session import SessionInfo
from logferry.ftp.shared import ServerLimits
from logferry.ftp.throttle import TokenBucket
from logferry.ftp.tls import TlsIdentity
from logferry.ftp.upload_many import upload_many
from logferry.ftp.users import MemoryUsers, User, UserStore
from logferry.ftp.users_json import JsonUsers

__all__ = [
    "Aborted",
    "Backoff",
    "Clients",
    "Connected",
    "Copied",
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
    "Permissions",
    "Received",
    "Renamed",
    "Reply",
    "SendSource",
    "Sent",
    "ServerLimits",
    "SessionEnded",
    "SessionInfo",
    "StoreItem",
    "StoreResult",
    "TimeSet",
    "TlsIdentity",
    "TokenBucket",
    "Upload",
    "UploadRequest",
    "Usage",
    "User",
    "UserStore",
    "download_many",
    "generate_password",
    "hash_password",
    "mirror_down",
    "mirror_up",
    "retrying",
    "upload_many",
    "verify_password",
]
