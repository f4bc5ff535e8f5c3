"""An FTP server whose users come from a JSON file that may be edited while it runs.

    python examples/serve_users.py users.json --port 2121
    python examples/serve_users.py users.json --add bob --home /srv/bob          (password in FTP_PASSWORD)

A file of the older log archive system works as it is; --upgrade replaces the passwords in it by hashes. With TLS: the
certificate is made at the first start, in the folder of the file, and its pin is printed for the clients.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from logferry.errors import LogferryError
from logferry.ftp import FtpServer, JsonUsers, TlsIdentity, User

QUOTA_BYTES = 10 * 1024**3


def add(users: JsonUsers, name: str, home: str) -> None:
    """A user who may upload everywhere but reads only what lies in /public."""
    made = User.with_password(name, os.environ["FTP_PASSWORD"], home=home, permissions="elafmwT")
    users.add(made)
    users.change(name, folders={"/public": "elr"}, quota_bytes=QUOTA_BYTES)
    print(f"added {name}")


def serve(users: JsonUsers, folder: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    identity = TlsIdentity.ensure(folder)
    with FtpServer(("127.0.0.1", port), users=users, identity=identity) as server:
        print("listening on {}:{}".format(*server.address), flush=True)
        print(f"certificate {identity.pin}", flush=True)
        while not stop.wait(1.0):
            # A signal may reach another thread; Python handles it here, as soon as this thread runs again.
            pass


def main() -> int:
    """Exit code 0, or what the error says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file")
    parser.add_argument("--port", type=int, default=2121)
    parser.add_argument("--upgrade", action="store_true", help="replace passwords in clear by hashes")
    parser.add_argument("--default-home", metavar="FOLDER", help="for users without dirpath; {user} is their name")
    parser.add_argument("--add", metavar="NAME")
    parser.add_argument("--home", metavar="FOLDER", default="")
    given = parser.parse_args()
    try:
        users = JsonUsers(given.file, default_home=given.default_home, upgrade=given.upgrade, create=bool(given.add))
        if given.add:
            add(users, given.add, given.home)
        else:
            serve(users, os.path.dirname(os.path.abspath(given.file)), given.port)
    except (LogferryError, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, LogferryError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
