"""Make a folder on an FTP server like one here, or with --down the other way round; only what differs is copied.

    python examples/mirror.py ftp.example.org 21 ann /var/log/app /logs --exclude '*.tmp' --pin sha256/...

The password comes from the environment variable FTP_PASSWORD. Without --pin the server's certificate must be signed by
a known authority; --plain sends everything in the clear.
"""

from __future__ import annotations

import argparse
import os
import sys

from logferry.errors import LogferryError
from logferry.ftp import FtpClient, ManyProgress, Mirrored, mirror_down, mirror_up


def show(progress: ManyProgress) -> None:
    """How far it is, on one line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r{progress.files_done}/{progress.files} files, {progress.bytes_done} bytes", end="", file=sys.stderr)


def tell(done: Mirrored) -> None:
    """What was done."""
    for path in done.deleted:
        print(f"deleted {path}")
    for path, error in done.failed:
        print(f"{path}: {error}", file=sys.stderr)
    copied = sum(file.error is None for file in done.files)
    print(f"{copied} copied ({done.bytes} bytes), {done.same} the same already, {len(done.failed)} failed")


def main() -> int:
    """Exit code 0 when both sides are alike now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("here", help="folder here")
    parser.add_argument("there", help="folder on the server")
    parser.add_argument("--down", action="store_true", help="from the server to here")
    parser.add_argument("--delete", action="store_true", help="remove what only the target has")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--pin", action="append", default=[], help="sha256/… of the server's certificate")
    parser.add_argument("--plain", action="store_true", help="no TLS")
    given = parser.parse_args()

    client = FtpClient(
        given.host,
        given.port,
        user=given.user,
        password=os.environ.get("FTP_PASSWORD", ""),
        tls="off" if given.plain else "required",
        pins=tuple(given.pin),
    )
    try:
        with client:
            if given.down:
                done = mirror_down(
                    client, given.there, given.here, exclude=given.exclude, delete=given.delete, progress=show
                )
            else:
                done = mirror_up(
                    client, given.here, given.there, exclude=given.exclude, delete=given.delete, progress=show
                )
    except LogferryError as error:
        print(f"mirror failed: {error}", file=sys.stderr)
        return error.exit_code
    tell(done)
    return 0 if done.complete else 4


if __name__ == "__main__":
    sys.exit(main())
