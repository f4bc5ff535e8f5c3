"""What all handlers have in common: their type, and short ways to a reply or a file task."""

from __future__ import annotations

import re
from collections.abc import Callable

from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import Action, FileTask
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State

Handler = Callable[[State, str], Reply | Action]

NUMBER = re.compile(r"[0-9]{1,19}")
"""A byte offset: fits 64 bits."""


def reply(code: int, *lines: str) -> Reply:
    """A reply of these lines."""
    return Reply(code, lines)


def fixed(code: int, text: str, about: str) -> Handler:
    """A handler that always says the same; ``about`` is its docstring."""
    always = Reply(code, (text,))

    def handler(_state: State, _argument: str) -> Reply:
        return always

    handler.__doc__ = about
    return handler


def task(verb: str, about: str, *, home: bool = True) -> Handler:
    """A handler for a command that is one file task on its path; ``home``: whether ``/`` itself may be it."""

    def handler(state: State, argument: str) -> Reply | Action:
        path = paths.resolve(state.folder, argument)
        if path == "/" and not home:
            return reply(550, "Permission denied: / is the home.")
        return FileTask(verb, path)

    handler.__doc__ = about
    return handler
