"""``python -m bench.viewer.serve FOLDER``: serves the archive in a folder until its standard input ends.

Prints the address and the cookie of the administrator's session. A process of its own, as a server is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.fleet import Fleet
from tests.browser.harness import serving

from logferry.web.app import create_app
from logferry.web.auth import COOKIE


def main() -> None:
    """Serve."""
    fleet = Fleet(Path(sys.argv[1]) / "data")
    try:
        with serving(create_app(fleet.context)) as base:
            session = fleet.people.begin_session(fleet.people.get("admin"))
            print(base, COOKIE, session.secret, flush=True)
            sys.stdin.read()
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
