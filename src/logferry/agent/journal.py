"""The agent's log: one line of JSON per change of state, through the standard library's logging."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping

from logferry.names import shown

_LOGGER = logging.getLogger("logferry.agent")


def text(path: bytes | str) -> str:
    """A path as it may stand in a log: control and undecodable bytes are drawn as marks."""
    return shown(os.fsdecode(path))


class Journal:
    """Writes events as ``{"event": …, …}``; a state repeated for the same thing is written once."""

    def __init__(self, logger: logging.Logger = _LOGGER) -> None:
        self._logger = logger
        self._states: dict[str, str] = {}

    def event(self, event: str, *, level: int = logging.INFO, **facts: object) -> None:
        """Write one line."""
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", json.dumps({"event": event, **_plain(facts)}, ensure_ascii=False))

    def state(self, thing: str, state: str, *, level: int = logging.INFO, **facts: object) -> bool:
        """Write one line if the state of ``thing`` differs from the last one; returns whether it did. "" = normal."""
        if self._states.get(thing, "") == state:
            return False
        if state:
            self._states[thing] = state
        else:
            self._states.pop(thing, None)  # another thread may just have done it
        self.event("state", level=level, thing=thing, state=state or "ok", **facts)
        return True

    def forget(self, thing: str) -> None:
        """There is no such thing any more: nothing is written."""
        self._states.pop(thing, None)

    def states(self) -> dict[str, str]:
        """Everything that is not normal now."""
        return dict(self._states)


def _plain(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: text(v) if isinstance(v, (bytes, str)) else v for key, v in facts.items()}
