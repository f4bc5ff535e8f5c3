"""``status.json``: what the running agent says about itself, written atomically, read by ``logferry agent status``."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logferry.agent.lock import is_held
from logferry.errors import Damaged, NotFound

FILE_NAME = "status.json"


@dataclass(frozen=True, slots=True)
class Failing:
    """A file that cannot be sent now: path (shown form), why, tries so far, seconds from ``written_ns`` to the next."""

    path: str
    why: str
    failures: int
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """All times are nanoseconds since 1970 UTC, all sizes bytes, counts since the start unless they say otherwise."""

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
    """Slices, strictly: a file that grows is sent many times."""
    sent_bytes: int
    generations: int
    renames: int
    last_path: str
    registry_state: str
    watching: str
    """Why not everything is watched, empty if it is."""
    polled: int = 0
    """Folders that cannot be watched and are looked at often instead."""
    overflows: int = 0
    """How often events of the watcher were lost, each time followed by a full look."""
    held_deleted: int = 0
    """Deleted files kept open, and the room they take on the disk."""
    held_bytes: int = 0
    dropped_files: int = 0
    """Files closed or lost before all was sent, and how many bytes that were."""
    dropped_bytes: int = 0
    mismatches: int = 0
    """Uploads that arrived with other bytes and were sent again."""
    failing: tuple[Failing, ...] = ()
    findings: tuple[str, ...] = ()
    lag_s: float = 0.0
    """How long ago the oldest unsent byte was seen first."""
    retry_s: float = 0.0
    """Seconds from ``written_ns`` until the server is tried again; 0 = no pause."""
    link_failures: int = 0
    """Failures of the connection in a row."""
    misplaced: int = 0
    """Files to be renamed on the server."""
    failing_count: int = 0
    """Files that cannot be sent now; ``failing`` lists the first of them."""
    differences: int = 0
    """How often a file did not begin with what the server had confirmed of it."""
    looks: int = 0
    """Looks at everything."""
    errors: dict[str, int] = field(default_factory=dict)
    """Kind of error -> how often."""
    registry_bytes: int = 0
    watcher: str = ""
    """``inotify``, ``watchfiles`` or ``polling``."""
    sources: tuple[str, ...] = ()
    """Watched folders (shown form)."""
    config_path: str = ""
    config_loaded_ns: int = 0
    config_tries: int = 0
    """How often the settings were read anew."""
    config_error: str = ""
    """Why the newest settings do not count."""
    heartbeat: str = ""
    """``ok``, or why the server's web part does not hear us; empty: it is not told."""
    clock_skew_s: float | None = None
    """How far this clock is ahead of the server's, as far as a heartbeat has told."""
    metrics: str = ""
    """Where the metrics are, or why not."""
    copies: int = 0
    """Compressed copies of what the server holds that were not sent, since the start."""

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
        lists = {name: tuple(values.get(name, ())) for name in ("findings", "sources")}
        return Status(**values | lists, failing=failing)
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{path} is from another version", where=str(path), hint="restart the agent") from error


def is_running(status: Status, state_dir: str | os.PathLike[str] | None = None) -> bool:
    """Whether the agent that wrote ``status`` still runs on this machine; its state folder tells best."""
    held = is_held(state_dir) if state_dir is not None else None
    if held is not None:
        return held
    if status.stopped or os.name != "posix":
        return not status.stopped
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
