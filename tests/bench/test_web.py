"""The web benchmark's load asks what it says, tried on a server with one file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from bench.web.load import Plan, run

from logferry.web.auth import COOKIE
from tests.web.served import served


def test_browsers_and_programs_ask_and_are_answered(tmp_path: Path) -> None:
    """Pages, searches and lines, without a failure; a file that is not there is one."""
    with served(tmp_path / "data") as site:
        fid = site.put("web-01", "var/log/a.log", b"one line\n" * 100)
        people = site.context.people
        session = people.begin_session(people.get("root")).secret
        where = urlsplit(site.url)
        assert where.hostname
        assert where.port
        file = {"fid": fid, "agent": "web-01", "path": "var/log/a.log", "size": 900}
        plan = Plan(
            where.hostname, where.port, [f"{COOKIE}={session}"] * 2, [people.new_token("root")[0]], [file], ["line"],
            seconds=2.0, warm_s=0.0, browser_pause_s=0.01, program_pause_s=0.01,
        )  # fmt: skip
        seen = asyncio.run(run(plan))
        assert seen.errors == []
        assert seen.requests == sum(map(len, seen.ms.values())) > 0
        gone = asyncio.run(run(Plan(**{**vars(plan), "files": [{**file, "fid": 999, "path": "none"}], "seconds": 1.0})))
        assert gone.errors
