"""A status in words for people: what matters, in lines of at most 80 columns where names allow it."""

from __future__ import annotations

from collections.abc import Iterator

from logferry.agent.status import Status
from logferry.cli import text
from logferry.clock import rfc3339
from logferry.names import shown

_LISTED_MAX = 10


def lines(status: Status, *, running: bool, now_ns: int) -> list[str]:
    """Lines for people. Text of others in it is made safe for a terminal."""
    age_s = max(0.0, (now_ns - status.written_ns) / 1e9) if running else 0.0
    told = [f"{status.agent} → {shown(status.server)}   {_link(status, running=running, age_s=age_s)}"]
    told += [line for line in _facts(status, age_s, running=running) if line]
    told += [f"problem: {shown(item)}" for item in _problems(status)]
    told += _list("cannot look", [shown(finding) for finding in status.findings], len(status.findings))
    failing = [
        f"{shown(f.path)}: {shown(f.why)} (tried {f.failures}x{_next(f.retry_s - age_s) if running else ''})"
        for f in status.failing
    ]
    return told + _list("cannot send", failing, max(status.failing_count, len(failing)))


def _link(status: Status, *, running: bool, age_s: float) -> str:
    why = f" ({shown(status.link_why)})" if status.link_why else ""
    if not running:
        then = f"; then: {status.link}{why}" if why else ""
        return f"not running since {rfc3339(status.written_ns)}{then}"
    words = {"new": "not connected yet", "full": "the server is full"}
    since = f" for {text.duration(status.written_ns / 1e9 + age_s - status.link_since_ns / 1e9)}"
    retry = _next(status.retry_s - age_s) if status.link not in ("connected", "new") else ""
    return f"{words.get(status.link, status.link)}{since if status.link != 'new' else ''}{why}{retry}"


def _next(seconds: float) -> str:
    return f", next try in {text.duration(seconds)}" if seconds >= 1 else ""


def _facts(status: Status, age_s: float, *, running: bool) -> Iterator[str]:
    lag = "nothing waiting"
    if status.waiting:
        oldest = text.duration(status.lag_s + age_s)
        lag = f"{text.counted(status.waiting, 'file')} waiting, {text.size(status.lag_bytes)}, oldest {oldest}"
    yield f"{text.counted(status.files, 'file')} · {lag}"
    sent = f"sent {text.size(status.sent_bytes)} in {text.counted(status.sent_files, 'slice')}"
    yield f"{sent} since {rfc3339(status.started_ns)}"
    parts = [
        (status.renames, f"{text.counted(status.renames, 'rename')} followed"),
        (status.generations, text.counted(status.generations, "new generation")),
        (status.misplaced, f"{text.counted(status.misplaced, 'rename')} to do on the server"),
        (running and status.held, f"{text.counted(status.held, 'file')} kept open"),
    ]
    yield " · ".join(words for number, words in parts if number)
    if status.copies:
        copies = "1 compressed copy" if status.copies == 1 else f"{status.copies:,} compressed copies"
        yield f"{copies} of what the server holds not sent"
    if running and status.held_deleted:
        deleted = text.counted(status.held_deleted, "deleted file")
        yield f"{deleted} kept open, {text.size(status.held_bytes)} on the disk"
    if status.dropped_files:
        yield f"lost: {text.size(status.dropped_bytes)} unsent of {text.counted(status.dropped_files, 'file')}"
    if status.watcher:
        over = f", {text.counted(status.overflows, 'overflow')}" if status.overflows else ""
        polled = f", {text.counted(status.polled, 'folder')} polled" if status.polled else ""
        yield f"watching by {status.watcher}{polled} · {text.counted(status.looks, 'look')} at everything{over}"
    if status.last_path:
        yield f"last sent {status.agent}:/{shown(status.last_path)}"
    if status.errors:
        yield "errors so far: " + ", ".join(f"{kind} {number:,}" for kind, number in sorted(status.errors.items()))
    if status.clock_skew_s is not None:
        yield f"this clock is {round(status.clock_skew_s, 1) + 0.0:+.1f} s off the server's"
    if running and status.heartbeat == "ok":
        yield "the server's web part hears us"


def _problems(status: Status) -> Iterator[str]:
    if status.config_error:
        yield f"new settings are not in use: {status.config_error}"
    if status.heartbeat not in ("", "ok"):
        yield f"heartbeat: {status.heartbeat}"
    yield from (item for item in (status.registry_state, status.watching) if item)


def _list(what: str, items: list[str], whole: int) -> list[str]:
    lines = [f"{what}: {item}" for item in items[:_LISTED_MAX]]
    left = whole - len(lines)
    return lines + [f"{what}: {left:,} more (--json lists the first {len(items):,})"] * (left > 0)
