"""An FTP drop box that looks at uploads before they begin, and at logins.

    FTP_PASSWORD=... python examples/serve_refuse.py /srv/drop --port 2121

Only ``.log`` and ``.csv`` files are taken, of at most 1 GB where the client says their size (ALLO), and nobody may
replace a file that is there. User ``drop`` sees names and can upload; nothing else.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading

from logferry.errors import BadName, Conflict, NotPermitted, TooLarge
from logferry.ftp import FtpServer, LoginRequest, MemoryUsers, UploadRequest, User

SIZE_MAX = 10**9
TAKEN = (".log", ".csv")


class DropBox:
    """What is let in. The hooks are called on the session's thread; raising refuses, with the error's own code."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.closed = threading.Event()

    def before_upload(self, request: UploadRequest) -> None:
        """553 for another kind of file, 552 for too much, 550 for a name that is taken."""
        if not request.path.endswith(TAKEN):
            raise BadName(f"{request.path} is not taken here", hint=f"only {' and '.join(TAKEN)}")
        if request.size is not None and request.size > SIZE_MAX:
            raise TooLarge(f"{request.size} bytes are too many", hint=f"at most {SIZE_MAX}")
        if request.offset == 0 and os.path.exists(self._folder + request.path):
            raise Conflict(f"{request.path} is here already")

    def before_login(self, request: LoginRequest) -> None:
        """While it is closed (SIGUSR1 closes and opens it), nobody comes in."""
        if self.closed.is_set():
            raise NotPermitted(f"closed just now, {request.user}", hint="come back later")

    def toggle(self) -> None:
        """Open what is closed, close what is open."""
        if self.closed.is_set():
            self.closed.clear()
        else:
            self.closed.set()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=2121)
    given = parser.parse_args()

    box = DropBox(given.folder)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, lambda *_: box.toggle())
    password = os.environ["FTP_PASSWORD"]
    users = MemoryUsers(User.with_password("drop", password, home=given.folder, permissions="elw"))
    server = FtpServer(
        ("127.0.0.1", given.port),
        users=users,
        tls="off",
        before_upload=box.before_upload,
        before_login=box.before_login,
    )
    with server:
        print("listening on {}:{}".format(*server.address), flush=True)
        while not stop.wait(1.0):
            # A signal may reach another thread; Python handles it here, as soon as this thread runs again.
            pass


if __name__ == "__main__":
    main()
