"""Serve a folder to one user over FTPS.

    FTP_PASSWORD=... python examples/serve.py /srv/ann --user ann --port 2121

The certificate is made at the first start, in ./identity, and its pin is printed for the clients. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading

from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder")
    parser.add_argument("--user", default="ann")
    parser.add_argument("--port", type=int, default=2121)
    parser.add_argument("--identity", default="identity", help="folder of the certificate")
    given = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    users = MemoryUsers(User.with_password(given.user, os.environ["FTP_PASSWORD"], home=given.folder))
    identity = TlsIdentity.ensure(given.identity)
    with FtpServer(("127.0.0.1", given.port), users=users, identity=identity) as server:
        print("listening on {}:{}".format(*server.address), flush=True)
        print(f"certificate {identity.pin}", flush=True)
        while not stop.wait(1.0):
            # A signal may reach another thread; Python handles it here, as soon as this thread runs again.
            pass


if __name__ == "__main__":
    main()
