"""Asking a running agent from outside to read its settings anew, and learning what became of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from logferry.agent.lock import holder
from logferry.agent.status import Status, is_running, read_status
from logferry.clock import SYSTEM, Clock
from logferry.errors import NotFound, NotPermitted, TimedOut
from logferry.limits import RELOAD_ANSWER_S

_LOOK_S = 0.05


def reload(state_dir: Path, *, clock: Clock = SYSTEM, timeout_s: float = RELOAD_ANSWER_S) -> Status:
    """Make the agent with this state folder read its settings; its status afterwards says whether it took them.

    Raises:
        NotFound: none runs.
        NotPermitted: it belongs to somebody else.
        TimedOut: it did not answer.
    """
    hint = "start it with: logferry agent run"
    pid = holder(state_dir)
    if pid is None and not is_running(read_status(state_dir), state_dir):
        raise NotFound(f"no agent runs with the state folder {state_dir}", hint=hint)
    before = read_status(state_dir)
    tries = before.config_tries if before.pid == pid else 0
    if sys.platform == "win32":
        # There is no such signal; it looks at its files once a second anyway.
        clock.sleep(timeout_s / 2)
        return read_status(state_dir)
    try:
        os.kill(pid or before.pid, signal.SIGHUP)
    except ProcessLookupError as error:
        raise NotFound(f"no agent runs with the state folder {state_dir}", hint=hint) from error
    except PermissionError as error:
        raise NotPermitted(f"the agent (process {pid}) belongs to another user", hint="use sudo") from error
    end_s = clock.monotonic_s() + timeout_s
    while (now := read_status(state_dir)).config_tries == tries or now.pid != (pid or before.pid):
        if clock.monotonic_s() > end_s:
            hint = "it may be looking at many files just now; `logferry agent status` says later what it took"
            raise TimedOut(f"the agent did not answer within {timeout_s:g} s", hint=hint)
        clock.sleep(_LOOK_S)
    return now
