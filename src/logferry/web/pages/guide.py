"""Help: how to ask, with examples that run; keys; where the API and the command line are."""

from __future__ import annotations

from starlette.responses import Response

from logferry.web.pages.guard import Visit
from logferry.web.pages.search import EXAMPLES

FIELDS = (
    ("agent:web-*", "agent:web-*", "the agent’s id, whole, wildcards allowed"),
    ("path:nginx", "path:nginx", "any part of agent/path; := for the whole of it"),
    ("file:*.log", "file:*.log error", "the file’s name"),
    ("ext:log", "ext:log error", "what stands behind the last dot"),
    ("size:>10MB", "size:>10MB error", "of the file: 10k, 2MB, 1GiB"),
    ("received:today", "received:today error", "when bytes came last: a date, a time, now-2h, today, yesterday"),
    ("level:>=warn", "level:>=warn", "trace < debug < info < notice < warn < error < critical"),
    ("time:now-1h..", "time:now-1h.. error", "when the line says it was written; a..b is a range"),
    ("@status:>=500", "@status:>=500", "a field of JSON and logfmt lines; numbers compare as numbers"),
)
"""What it is called, an example that runs, what it means."""
SYNTAX = (
    ("one two", "both, in any order (AND)"),
    ("one OR two", "either; OR in capitals, “or” is a word"),
    ("-word  NOT word", "not it; “-” directly before the word"),
    ("( … )", "together"),
    ('"two words"', "exactly this, blanks and all"),
    ("con*  wor?", "any run of characters, one character"),
    ("/5\\d\\d/", "a regular expression (RE2); /…/c for exact case"),
    ("\\* \\: \\-", "the character itself"),
)
KEYS = (
    ("Everywhere", (("Ctrl K", "search lines"), ("Esc", "close a menu"))),
    (
        "Viewer",
        (
            ("/", "find in this file"), ("n N", "next, previous hit"), ("e E", "next, previous error"),
            ("w W", "next, previous warning"), ("g G", "first, last line"), (":", "go to a line or time"),
            ("f", "follow"), ("j k", "next, previous line"), ("z", "wrap"), ("y Y", "copy link, copy line"),
            ("?", "all keys of the viewer"),
        ),
    ),
)  # fmt: skip
COMMANDS = (
    ("logferry login https://…", "sign in, kept for the commands that follow"),
    ("logferry grep 'level:>=error' --since 24h", "search the lines of all files"),
    ("logferry tail -f web-01:/var/log/syslog", "the last lines, and those to come"),
    ("logferry get web-01:/var/log/nginx/ --verify", "fetch files, byte for byte"),
)


def guide(visit: Visit) -> Response:
    """``/help``"""
    return visit.page("help.html", examples=EXAMPLES, fields=FIELDS, syntax=SYNTAX, keys=KEYS, commands=COMMANDS)
