"""Logferry's FTP server as a process: ``python -m tests.ftp.serve PORT ROOT [FOLDER OF THE CERTIFICATE]``."""

from __future__ import annotations

import sys
import threading

from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User


def main(port: str, root: str, identity_folder: str = "") -> None:
    """Serve ``root`` to ``ann`` until killed."""
    users = MemoryUsers()
    users.add(User.with_password("ann", "secret", home=root))
    identity = TlsIdentity.ensure(identity_folder) if identity_folder else None
    with FtpServer(("127.0.0.1", int(port)), users=users, tls="required" if identity else "off", identity=identity):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
