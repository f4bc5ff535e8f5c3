"""What a search is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from logferry.encodings import Encoding
from logferry.limits import SEARCH_HITS_DEFAULT, SEARCH_S_MAX
from logferry.search.plan import Seen


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for and where.

    ``agent`` is a glob, ``path`` a part of the path (with wildcards: the whole path). ``file_id`` (and
    ``generation``) narrow the search to one file. ``newest_first``: the file that changed last first, and in it the
    last line first; else the opposite. ``from_ns <= x < until_ns`` bounds the times of lines, as ``time:`` does.
    ``encoding``: what the bytes of that one file are read as; None: UTF-8, or UTF-16 where a mark says so.
    ``after_byte <= x < before_byte`` bounds where its lines begin. ``entries``: the query is matched against whole
    entries, and each hit is one: a line and those that continue it. A tally knows neither ``limit`` nor ``context`` nor
    order, nor any of the last three but ``entries``.
    """

    query: str
    scope: Seen
    agent: str = ""
    path: str = ""
    exact_case: bool = False
    limit: int = SEARCH_HITS_DEFAULT
    context: int = 0
    deadline_s: float = SEARCH_S_MAX
    newest_first: bool = True
    file_id: int | None = None
    generation: int | None = None
    from_ns: int | None = None
    until_ns: int | None = None
    entries: bool = False
    encoding: Encoding | None = None
    after_byte: int = 0
    before_byte: int | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    patient: threading.Event = field(default_factory=threading.Event)
    """Set once it is known to go on for long: from then on it gives way to what is over soon."""
