"""The options of ``ls`` that people and programs put before the path of LIST, NLST and STAT."""

from __future__ import annotations

import re
from typing import NamedTuple

_WORD = re.compile(r"-(?:-|[A-Za-z0-9]+)(?:\s+|$)")


class ListOptions(NamedTuple):
    """What a listing shall look like.

    ``-R`` recursive, ``-t`` newest first, ``-S`` largest first, ``-r`` the other way round, ``-d`` the folder itself
    instead of its entries, ``-F`` a ``/`` behind folders, ``-l`` long lines (LIST has them anyway, NLST then too).
    ``-a``, ``-A``, ``-1`` and all others change nothing: names with a leading dot are always listed, since a program
    that copies a tree would miss them; ``.`` and ``..`` never are.
    """

    recursive: bool = False
    newest_first: bool = False
    largest_first: bool = False
    reverse: bool = False
    itself: bool = False
    marks: bool = False
    long: bool = False


NO_OPTIONS = ListOptions()


def read_options(argument: str) -> tuple[ListOptions, str]:
    """The options before a path, and the path. ``--`` ends them, so that a name may begin with a dash."""
    letters = ""
    while argument.startswith("-"):
        found = _WORD.match(argument)
        if not found:
            break
        argument = argument[found.end() :]
        word = found.group().strip()
        if word == "--":
            break
        letters += word[1:]
    if not letters:
        return NO_OPTIONS, argument
    options = ListOptions(
        recursive="R" in letters,
        newest_first="t" in letters,
        largest_first="S" in letters,
        reverse="r" in letters,
        itself="d" in letters,
        marks="F" in letters,
        long="l" in letters,
    )
    return options, argument
