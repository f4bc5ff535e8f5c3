"""``logferry agent explain``: whether and why a file is shipped, from where to where, what is confirmed, what is not.

It asks the settings, the file system, the registry and the last status, and changes none of them; so it works beside a
running agent and without one.
"""

from __future__ import annotations

import os
import stat as stat_module
from dataclasses import dataclass, replace
from typing import Literal

from logferry.agent.config import AgentConfig
from logferry.agent.journal import text
from logferry.agent.parts import never_sent
from logferry.agent.registry_view import rows_at, rows_ending_at
from logferry.agent.rows import Row, State
from logferry.agent.status import Status, is_running, read_status
from logferry.agent.verdict import OWN_FILE, SOURCE_FOLDER, Verdict, judge
from logferry.clock import SYSTEM, Clock
from logferry.errors import Damaged, Later, NotFound

Answer = Literal["shipped", "pending", "kept", "not shipped"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Paths are in shown form, sizes in bytes; None: not known or not the case."""

    path: str
    answer: Answer
    """``shipped``: all of it is confirmed; ``pending``: some is not; ``kept``: it is gone from the node, or left out
    by newer settings, and the archive keeps what it has; ``not shipped``: it never was and will not be."""
    why: str = ""
    hint: str = ""
    source: str = ""
    pattern: str = ""
    """What decided: the include pattern that matched, or the exclude pattern."""
    archive: str = ""
    """``agent:/path`` where its bytes are, or will be."""
    going_to: str = ""
    """Where they are to be renamed to on the server."""
    size: int | None = None
    confirmed: int | None = None
    pending: int | None = None
    generation: str = ""
    """``known``: recorded with what is confirmed; ``new``: not seen before."""
    earlier: int = 0
    """Earlier generations that are still to be moved aside on the server."""
    error: str = ""
    failures: int = 0
    retry_s: float | None = None
    running: bool = False
    link: str = ""
    notes: tuple[str, ...] = ()


def explain(config: AgentConfig, path: str, *, config_path: str = "", clock: Clock = SYSTEM) -> Explanation:
    """Explain one path. Raises nothing for what it finds; what cannot be read is among the notes."""
    raw = os.path.abspath(os.fsencode(path))
    never = [os.path.abspath(own) for own in never_sent(config, config_path)]
    verdict = judge(raw, config.sources, never)
    made = Explanation(
        path=text(raw),
        answer="pending",
        why=verdict.why,
        hint=verdict.hint,
        source=text(verdict.source),
        pattern=verdict.pattern,
        archive=_place(config, verdict.archive),
    )
    made, row = _with_registry(made, config, raw, verdict)
    made = _with_file(made, raw, verdict, row, config, clock)
    return _with_status(made, config, clock)


def _place(config: AgentConfig, archive: str) -> str:
    return f"{config.agent.id}:/{archive}" if archive else ""


# The registry -------------------------------------------------------------------------------------------------------


def _with_registry(
    made: Explanation, config: AgentConfig, raw: bytes, verdict: Verdict
) -> tuple[Explanation, Row | None]:
    registry = config.state_dir / "registry.db"
    try:
        row = next(iter(rows_at(raw, registry)), None)
        earlier = len(rows_ending_at(row.want if row else verdict.archive, registry)) if verdict.archive or row else 0
    except NotFound:
        return replace(
            made, generation="new", notes=(*made.notes, "the agent has not run yet: nothing is recorded")
        ), None
    except Later as error:
        return replace(made, notes=(*made.notes, str(error))), None
    if row is None:
        return replace(made, generation="new", earlier=earlier), None
    going_to = _place(config, row.want) if row.remote and row.remote != row.want else ""
    return (
        replace(
            made,
            generation="known",
            earlier=earlier,
            confirmed=row.offset,
            archive=_place(config, row.remote or row.want),
            going_to=going_to,
        ),
        row,
    )


# The file -----------------------------------------------------------------------------------------------------------


def _with_file(
    made: Explanation, raw: bytes, verdict: Verdict, row: Row | None, config: AgentConfig, clock: Clock
) -> Explanation:
    try:
        status = os.lstat(raw)
    except FileNotFoundError:
        return _absent(made, verdict, row)
    except OSError as error:
        return _unwanted(made, f"it cannot be looked at: {error.strerror}", "give the agent's user read permission")
    if stat_module.S_ISLNK(status.st_mode):
        return _link(made, raw, verdict, config)
    if stat_module.S_ISDIR(status.st_mode):
        return _folder(made, verdict)
    if not stat_module.S_ISREG(status.st_mode):
        return _unwanted(made, "it is neither a file nor a folder", "devices, sockets and pipes are never read")
    made = replace(made, size=status.st_size)
    return _regular(made, raw, status, verdict, row, clock)


def _regular(
    made: Explanation, raw: bytes, status: os.stat_result, verdict: Verdict, row: Row | None, clock: Clock
) -> Explanation:
    followed = row is not None and row.state in (State.NEW, State.LIVE)
    if row is not None and row.state is State.GONE and not verdict.wanted:
        return replace(made, answer="kept", why=f"{verdict.why}; the archive keeps what was sent before")
    if not verdict.wanted and not (followed and verdict.source):
        return _unwanted(made, verdict.why, verdict.hint)
    if row is not None and row.state is State.SKIPPED:
        why = "it is a compressed copy of what the server holds"
        return _unwanted(made, why, 'compressed = "ship" in its source sends it')
    if not verdict.wanted:
        made = replace(made, hint="", why=f"it had a wanted name before it was renamed ({verdict.why})")
    unsent = max(0, status.st_size - (row.offset if row is not None else 0))
    whole = row is not None and row.settled and unsent == 0
    made = replace(made, answer="shipped" if whole else "pending", pending=unsent)
    if not os.access(raw, os.R_OK):
        made = replace(made, error="it is not readable for you", hint="the agent's user needs read permission")
    rest_s = verdict.settle_s - (clock.now_ns() - status.st_mtime_ns) / 1e9 if verdict.mode == "complete" else 0.0
    if rest_s > 0 and not whole:
        note = f'mode "complete": sent when it has been left alone for {verdict.settle_s:g} s ({rest_s:.0f} s to go)'
        made = replace(made, notes=(*made.notes, note))
    if row is not None and row.offset > status.st_size:
        made = replace(made, notes=(*made.notes, "it is shorter than what was sent: a new generation begins"))
    if row is not None and row.inode != status.st_ino:
        made = replace(made, notes=(*made.notes, "another file has this path since the last look"))
    return made


def _absent(made: Explanation, verdict: Verdict, row: Row | None) -> Explanation:
    if row is not None and row.remote:
        return replace(made, answer="kept", why="it is gone from the node; the archive keeps its copy", hint="")
    if not verdict.wanted and verdict.why in (OWN_FILE, SOURCE_FOLDER):
        return _unwanted(made, verdict.why, verdict.hint)
    if not verdict.wanted:
        return _unwanted(made, f"there is no such file, and if there were: {verdict.why}", verdict.hint)
    return _unwanted(made, "there is no such file", "it would be sent as soon as it is there")


def _folder(made: Explanation, verdict: Verdict) -> Explanation:
    if not verdict.source or (verdict.pattern and not verdict.wanted) or verdict.why in (OWN_FILE, SOURCE_FOLDER):
        return _unwanted(made, verdict.why, verdict.hint)
    return _unwanted(made, "it is a folder", "its files are looked at one by one; ask about one of them")


def _link(made: Explanation, raw: bytes, verdict: Verdict, config: AgentConfig) -> Explanation:
    target = os.path.realpath(raw)
    if not verdict.wanted:
        return _unwanted(made, verdict.why, verdict.hint)
    if not os.path.isfile(target):
        return _unwanted(
            made, f"it is a link to {text(target)}, which is no file", "links to folders are never followed"
        )
    behind = judge(target, config.sources, [])
    if behind.wanted:
        why = f"it is a link to {text(target)}, which is sent under its own name"
        return _unwanted(made, why, "ask about that name")
    if not behind.source:
        why = f"it is a link to {text(target)}, which lies in no source"
        return _unwanted(made, why, "watch the folder that the file lies in")
    size = os.stat(target).st_size
    unsent = max(0, size - (made.confirmed or 0))
    answer: Answer = "pending" if unsent or made.confirmed is None else "shipped"
    return replace(made, answer=answer, size=size, pending=unsent, why=f"it is a link to {text(target)}")


def _unwanted(made: Explanation, why: str, hint: str) -> Explanation:
    if made.confirmed:
        return replace(made, answer="kept", why=f"{why}; the archive keeps what was sent before", hint=hint)
    return replace(made, answer="not shipped", why=why, hint=hint, pending=None)


# The running agent --------------------------------------------------------------------------------------------------


def _with_status(made: Explanation, config: AgentConfig, clock: Clock) -> Explanation:
    try:
        status = read_status(config.state_dir)
    except (NotFound, Damaged):
        return made
    running = is_running(status, config.state_dir)
    made = replace(made, running=running, link=_link_words(status) if running else "")
    failing = next((f for f in status.failing if f.path == made.path), None)
    if failing is None:
        finding = next((f for f in status.findings if f.startswith(f"{made.path}: ")), None)
        return replace(made, error=finding) if finding and not made.error else made
    left_s = max(0.0, failing.retry_s - (clock.now_ns() - status.written_ns) / 1e9)
    retry_s = round(left_s, 1) if running else None
    return replace(made, error=failing.why, failures=failing.failures, retry_s=retry_s)


def _link_words(status: Status) -> str:
    return f"{status.link} ({status.link_why})" if status.link_why else status.link
