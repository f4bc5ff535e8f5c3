"""``python -m bench.viewer.serve FOLDER TOLD``: serves the archive in a folder until its standard input ends.

Writes the address and the cookie of the administrator's session into the file TOLD. A process of its own, as a server
is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.fleet import Fleet
from tests.browser.harness import serving

from logferry.limits import WEB_SWITCH_S
from logferry.web.app import create_app
from logferry.web.auth import COOKIE


def main() -> None:
    """Serve."""
    sys.setswitchinterval(WEB_SWITCH_S)  # as the web part does
    fleet = Fleet(Path(sys.argv[1]) / "data")
    try:
        with serving(create_app(fleet.context)) as base:
            session = fleet.people.begin_session(fleet.people.get("admin"))
            Path(sys.argv[2]).write_text(f"{base} {COOKIE} {session.secret}\n")
            sys.stdin.read()
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
