"""Logferry's FTP library: a server and a client, usable without anything else of Logferry.

Server::

    from logferry.ftp import FtpServer, MemoryUsers, User

    users = MemoryUsers(User.with_password("ann", "secret", home="/srv/ann"))
    with FtpServer(("127.0.0.1", 2121), users=users, tls="off") as server:
        print(server.address)
"""

from logferry.ftp.events import (
    Deleted,
    Event,
    Incomplete,
    LoggedIn,
    LoginFailed,
    Received,
    Renamed,
    Sent,
    SessionEnded,
)
from logferry.ftp.filesystem import Download, Entry, Filesystem, Upload
from logferry.ftp.passwords import generate_password, hash_password, verify_password
from logferry.ftp.permissions import Permissions
from logferry.ftp.tls import TlsIdentity
from logferry.ftp.users import MemoryUsers, User, UserStore

__all__ = [
    "Deleted",
    "Download",
    "Entry",
    "Event",
    "Filesystem",
    "Incomplete",
    "LoggedIn",
    "LoginFailed",
    "MemoryUsers",
    "Permissions",
    "Received",
    "Renamed",
    "Sent",
    "SessionEnded",
    "TlsIdentity",
    "Upload",
    "User",
    "UserStore",
    "generate_password",
    "hash_password",
    "verify_password",
]
