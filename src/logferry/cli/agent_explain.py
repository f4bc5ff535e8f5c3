"""``logferry agent explain`` for people: the answer first, then how it came about."""

from __future__ import annotations

from collections.abc import Iterator

from logferry.agent.explain import Explanation
from logferry.cli import text

_COLOURS = {"shipped": "green", "pending": "yellow", "kept": "yellow", "not shipped": "red"}


def lines(found: Explanation) -> list[str]:
    """One fact a line, safe for a terminal."""
    head = text.paint(found.answer, fg=_COLOURS[found.answer])
    return [f"{head}  {text.line(found.path)}", *(f"  {name:<9} {text.line(value)}" for name, value in _facts(found))]


def _facts(found: Explanation) -> Iterator[tuple[str, str]]:
    if found.why:
        yield "why", found.why
    if found.source:
        yield "source", found.source + (f"  (pattern {found.pattern})" if found.pattern else "")
    if found.archive:
        yield "archive", found.archive
    if found.going_to:
        yield "moves to", found.going_to
    if found.size is not None:
        yield "on disk", f"{found.size:,} bytes"
    if found.confirmed is not None:
        yield "confirmed", f"{found.confirmed:,} bytes"
    if found.pending:
        yield "pending", f"{found.pending:,} bytes"
    if found.earlier:
        yield "earlier", f"{found.earlier:,} generation{'s' * (found.earlier != 1)} to be moved aside first"
    if found.error:
        tried = f" (tried {found.failures}x)" if found.failures else ""
        yield "error", found.error + tried
    if found.retry_s is not None:
        yield "next try", f"in {text.duration(found.retry_s)}"
    for note in found.notes:
        yield "note", note
    if found.answer == "pending":
        yield "agent", f"running, server {found.link}" if found.running else "not running: nothing is sent now"
    if found.hint:
        yield "hint", found.hint
