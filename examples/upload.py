"""Upload a file or a folder to an FTP server, resuming what was interrupted.

    python examples/upload.py ftp.example.org 21 ann /var/log/app /logs --pin sha256/...

The password comes from the environment variable FTP_PASSWORD. Without --pin the server's certificate must be signed by
a known authority; --plain sends everything in the clear.
"""

from __future__ import annotations

import argparse
import os
import sys

from logferry.errors import LogferryError
from logferry.ftp import FtpClient


def files_below(path: str) -> list[tuple[str, str]]:
    """(local path, path below ``path``) of every file."""
    if os.path.isfile(path):
        return [(path, os.path.basename(path))]
    found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return [(file, os.path.relpath(file, path).replace(os.sep, "/")) for file in sorted(found)]


def main() -> int:
    """Exit code 0 when everything arrived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("source", help="file or folder here")
    parser.add_argument("target", help="folder there")
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
            for local, name in files_below(given.source):
                copied = client.upload(local, f"{given.target.rstrip('/')}/{name}")
                resumed = f", resumed at {copied.resumed_at}" if copied.resumed_at else ""
                print(f"{name}: {copied.size} bytes{resumed}")
    except LogferryError as error:
        print(f"upload failed: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
