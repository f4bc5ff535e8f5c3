"""Folder rules at work: whether an action may touch the paths it names. Asked only for users who have such rules.

Every path that a command names is judged by itself, against the letter of its verb: of a rename both names. What a
listing shows is not thinned out; what may not be listed is refused as a whole.
"""

from __future__ import annotations

import re

from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import (
    Action,
    CheckPassword,
    FileTask,
    HangUp,
    HashFile,
    Listen,
    Pause,
    StartTls,
    Transfer,
)
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State

DENIED = Reply(550, ("Permission denied.",))

_LETTERS = {"CHMOD": "M", "MFMT": "T", "STAT": "l"}
"""Letters of actions whose command has none of its own, because it is not always about a path."""

_LISTINGS = ("LIST", "NLST", "STAT")
_WILD = re.compile(r"[*?\[]")


def admitted(outcome: Reply | Action, letter: str, state: State) -> Reply | Action:
    """``outcome``, or the refusal where ``letter`` does not hold at one of its paths."""
    if isinstance(outcome, (Reply, CheckPassword, HangUp, Listen, Pause, StartTls)):
        return outcome
    if isinstance(outcome, HashFile):
        # Which of its names is meant shows when the file is found; what may be read is asked then.
        return outcome
    # An action that nobody gave a letter must not slip past the rules: it needs what looking needs.
    letter = letter or _LETTERS.get(outcome.verb, "l")
    return outcome if all(state.letters(path).allow(letter) for path in _named(outcome)) else DENIED


def _named(action: FileTask | Transfer) -> list[str]:
    """The paths that an action is about."""
    named = [action.path]
    if isinstance(action, FileTask) and action.target:
        named.append(action.target)
    if action.verb in _LISTINGS:
        folder, last = paths.split(action.path)
        if _WILD.search(last):
            # A pattern lists the folder it stands in.
            named.append(folder)
    return named
