"""``python -m logferry.web <settings.json>``: the web part as the supervisor starts it."""

from __future__ import annotations

import sys

from logferry.server.parts import run_part
from logferry.web.part import run_web

if __name__ == "__main__":
    sys.exit(run_part(run_web, sys.argv[1]))
