"""What right means: every byte ever written is on the server once, under its path or as a kept generation."""

from __future__ import annotations

from logferry.names import escape_path
from logferry.testing.ledger import Ledger, Life
from tests.agent.shelves import Shelf


def differences(ledger: Ledger, server: Shelf) -> list[str]:
    """What is not right; empty when all is."""
    found: list[str] = []
    current = server.current()
    on_disk = {escape_path(life.path): life for life in ledger.lives if life.on_disk}
    for name, life in on_disk.items():
        if name not in current:
            found.append(f"missing: {name} ({life.size} bytes)")
        elif current[name] != life.read():
            found.append(f"differs: {name}: {_first_difference(current[name], life.read())}")
    extras = [(name, data) for name, data in current.items() if name not in on_disk]
    names = {escape_path(path) for life in ledger.lives for path in life.paths}
    extras += [(name, data) for name in sorted(names) for data in server.generations(name)]
    return found + _unaccounted(extras, [life for life in ledger.lives if not life.on_disk])


def _unaccounted(extras: list[tuple[str, bytes]], lives: list[Life]) -> list[str]:
    """Kept contents that are not the beginning of a life of their own: sent twice, mixed or invented."""
    found = []
    left = {id(life): life.read() for life in lives}
    for name, data in sorted(extras, key=lambda extra: -len(extra[1])):
        matches = [key for key, whole in left.items() if whole.startswith(data)]
        if matches:
            del left[min(matches, key=lambda key: len(left[key]))]
        elif data:
            found.append(f"unaccounted: {name}: {len(data)} bytes beginning with {data[:60]!r}")
    return found


def _first_difference(there: bytes, right: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(there, right, strict=False)) if a != b), min(len(there), len(right)))
    return f"{len(there)} bytes instead of {len(right)}, first difference at {at}: {there[at : at + 40]!r}"
