"""``python -m logferry.server <settings.json>``: the FTP part as the supervisor starts it."""

from __future__ import annotations

import sys

from logferry.server.parts import run_ftp, run_part

if __name__ == "__main__":
    sys.exit(run_part(run_ftp, sys.argv[1]))
