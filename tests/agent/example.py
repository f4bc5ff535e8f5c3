"""A status with something in every place."""

from __future__ import annotations

from logferry.agent.status import Failing, Status

STATUS = Status(
    agent="web-01",
    version="1.0",
    pid=7,
    server='logs.example:2121"\\\n',
    link="away",
    link_why="no route",
    link_since_ns=1_760_000_000_000_000_000,
    started_ns=1_760_000_000_000_000_000,
    written_ns=1_760_000_060_500_000_000,
    stopped=False,
    files=2114,
    waiting=3,
    held=2,
    lag_bytes=5_000_000_000,
    sent_files=12,
    sent_bytes=2**53 + 1,
    generations=1,
    renames=4,
    last_path="logs/a.log",
    registry_state="",
    watching="",
    failing=(Failing("/var/log/a", "the file is not readable", 3, 12.5),),
    failing_count=1,
    lag_s=61.25,
    retry_s=4.5,
    errors={"later": 2, "refused": 1},
    watcher="inotify",
    sources=("/var/log",),
    heartbeat="ok",
    clock_skew_s=-0.25,
)
