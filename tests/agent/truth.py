"""What right means: every byte ever written is on the server once, under its path or as a kept generation."""

from __future__ import annotations

from dataclasses import dataclass, field

from logferry.agent.sources import archive_component
from logferry.testing.ledger import Ledger, Life
from tests.agent.shelves import Shelf

_LATE = ".~late-"
"""Marks what was written to a generation after an archive had filed it: the rest of it, in a file of its own."""


@dataclass(slots=True)
class Account:
    """``wrong``: contents that nobody wrote, or not like this, or that are there twice. ``short``: lives of which bytes
    are missing, with how many bytes from their beginning are there."""

    wrong: list[str] = field(default_factory=list)
    short: list[tuple[Life, int]] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Bytes written and not there."""
        return sum(life.size - have for life, have in self.short)


def account(ledger: Ledger, server: Shelf) -> Account:
    """Compare everything the server has with everything that was written."""
    made = Account()
    current = server.current()
    on_disk = {archive_name(life.path): life for life in ledger.lives if life.on_disk}
    for name, life in on_disk.items():
        if name not in current:
            made.short.append((life, 0))
        elif current[name] != (right := life.read()):
            if right.startswith(current[name]):
                made.short.append((life, len(current[name])))
            else:
                made.wrong.append(f"differs: {name}: {_first_difference(current[name], right)}")
    extras = [(name, data) for name, data in current.items() if name not in on_disk]
    names = {archive_name(path) for life in ledger.lives for path in life.paths}
    extras += [(name, data) for name in sorted(names) for data in server.generations(name)]
    _account_for(extras, [life for life in ledger.lives if not life.on_disk], made)
    return made


def differences(ledger: Ledger, server: Shelf, *, whole: bool = False) -> list[str]:
    """What is not right; empty when all is.

    Of a life that is not on the node any more a beginning is enough, as an agent that came late could not have more;
    ``whole``: all of it must be there.
    """
    made = account(ledger, server)
    return made.wrong + [
        f"missing: {archive_name(life.path)} ({have} of {life.size} bytes are there)"
        for life, have in made.short
        if whole or life.on_disk
    ]


def archive_name(raw: bytes) -> str:
    """Where a relative raw path belongs below its source's home in the archive."""
    return "/".join(archive_component(part) for part in raw.split(b"/") if part)


def _account_for(extras: list[tuple[str, bytes]], lives: list[Life], made: Account) -> None:
    """Each kept content is the beginning of a life of its own, or goes on where one that was kept ends."""
    have: dict[int, int] = {}
    read = {key: life.read() for key, life in enumerate(lives)}
    for name, data in sorted(extras, key=lambda extra: (_LATE in extra[0], -len(extra[1]))):
        if _LATE in name:
            matches = [key for key, size in have.items() if size and read[key].startswith(data, size)]
        else:
            matches = [key for key, whole in read.items() if key not in have and whole.startswith(data)]
        if matches:
            best = min(matches, key=lambda key: len(read[key]))
            have[best] = have.get(best, 0) + len(data)
        elif data:
            made.wrong.append(f"unaccounted: {name}: {len(data)} bytes beginning with {data[:60]!r}")
    made.short += [(life, have.get(key, 0)) for key, life in enumerate(lives) if have.get(key, 0) < life.size]


def _first_difference(there: bytes, right: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(there, right, strict=False)) if a != b), min(len(there), len(right)))
    return f"{len(there)} bytes instead of {len(right)}, first difference at {at}: {there[at : at + 40]!r}"
