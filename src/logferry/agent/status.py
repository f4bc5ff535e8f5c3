"""``status.json``: what the running agent says about itself, written atomically, read by ``logferry agent status``."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logferry.clock import rfc3339
from logferry.errors import Damaged, NotFound
from logferry.names import shown

FILE_NAME = "status.json"


@dataclass(frozen=True, slots=True)
class Failing:
    """A file that cannot be sent now: path (shown form), why, tries so far."""

    path: str
    why: str
    failures: int


@dataclass(frozen=True, slots=True)
class Status:
    """All times are nanoseconds since 1970 UTC, all sizes bytes."""

    agent: str
    version: str
    pid: int
    server: str
    link: str
    """``new``, ``connected``, ``away``, ``full`` or ``refused``."""
    link_why: str
    link_since_ns: int
    started_ns: int
    written_ns: int
    stopped: bool
    files: int
    """Files known on the node."""
    waiting: int
    """Files with unsent bytes."""
    held: int
    """Files kept open."""
    lag_bytes: int
    sent_files: int
    sent_bytes: int
    generations: int
    renames: int
    last_path: str
    registry_state: str
    watching: str
    mismatches: int = 0
    """Uploads that arrived with other bytes and were sent again."""
    failing: tuple[Failing, ...] = ()
    findings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def write_status(state_dir: Path, status: Status) -> None:
    """Replace ``status.json``. Raises OSError. Not synced: it tells of the moment and is written again soon."""
    temporary = state_dir / (FILE_NAME + ".new")
    temporary.write_text(json.dumps(status.to_json(), indent=1), encoding="utf-8")
    os.replace(temporary, state_dir / FILE_NAME)


def read_status(state_dir: str | os.PathLike[str]) -> Status:
    """The last status the agent wrote.

    Raises:
        NotFound: no agent has run with this state folder.
        Damaged: the file makes no sense.
    """
    path = Path(state_dir) / FILE_NAME
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        hint = "start the agent with: logferry agent run"
        raise NotFound(f"no agent has run with the state folder {state_dir}", hint=hint) from error
    except ValueError as error:
        raise Damaged(f"{path} is damaged", where=str(path), hint="a running agent writes it anew") from error
    try:
        failing = tuple(Failing(**item) for item in values.pop("failing"))
        return Status(**values | {"failing": failing, "findings": tuple(values["findings"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{path} is from another version", where=str(path), hint="restart the agent") from error


def is_running(status: Status) -> bool:
    """Whether the process that wrote ``status`` still exists on this machine."""
    if status.stopped or os.name != "posix":
        return not status.stopped
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def text(status: Status, *, running: bool) -> list[str]:
    """Lines for people."""
    why = f" ({status.link_why})" if status.link_why else ""
    state = status.link + why if running else f"not running since {rfc3339(status.written_ns)}"
    if not running and why:
        state += f"; then: {status.link}{why}"
    lines = [
        f"{status.agent} → {status.server}   {shown(state)}",
        f"{_count(status.files, 'file')} · {status.waiting:,} waiting, {status.lag_bytes:,} bytes · sent "
        f"{_count(status.sent_files, 'slice')}, {status.sent_bytes:,} bytes since {rfc3339(status.started_ns)}",
    ]
    if status.renames or status.generations:
        lines.append(f"{_count(status.renames, 'rename')} followed · {_count(status.generations, 'new generation')}")
    if status.last_path:
        lines.append(f"last sent {status.agent}:/{shown(status.last_path)}")
    lines += [f"problem: {item}" for item in (status.registry_state, status.watching) if item]
    lines += [f"cannot look: {shown(finding)}" for finding in status.findings]
    lines += [f"cannot send: {shown(item.path)}: {item.why} (tried {item.failures}x)" for item in status.failing]
    return lines


def _count(number: int, noun: str) -> str:
    """``1 file``, ``1,204 files``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
