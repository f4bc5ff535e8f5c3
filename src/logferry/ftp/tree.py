"""Trees of files as a mirror sees them, and what to do to make one like the other. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from logferry.errors import BadName, LogferryError
from logferry.ftp.protocol.listing_reader import Kind
from logferry.limits import NAME_BYTES_MAX

SECOND_NS = 1_000_000_000
_WINDOWS_SIGNS = frozenset('<>:"|?*\\')
_WINDOWS_NAMES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder, link or other thing. ``step_ns``: how coarse ``modified_ns`` is known."""

    kind: Kind
    size: int | None = None
    modified_ns: int | None = None
    step_ns: int = 1


@dataclass(slots=True)
class Tree:
    """What is below a root: ``a/b`` -> Node.

    ``partly``: folders not all of whose content is in here, because it is not meant or could not be read.
    ``problems``: what could not be read, or must not be touched, and why.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    partly: set[str] = field(default_factory=set)
    problems: list[tuple[str, LogferryError]] = field(default_factory=list)


# Names ---------------------------------------------------------------------------------------------------------------


def check_name(name: str, *, windows: bool = False) -> None:
    """Raise BadName for a name (of one part of a path) from a server that must not become one on this machine.

    ``..`` and separators would lead out of the folder; Windows reads some names as devices, and drops dots at an end.
    """
    why = _fault(name) or (_windows_fault(name) if windows else "")
    if why:
        raise BadName(f"the server lists the name {name[:120]!r}, which {why}", hint="rename it on the server")


def _fault(name: str) -> str:
    if not name or name in (".", ".."):
        return "is not a file's"
    if "/" in name:
        return "has a slash and would lead elsewhere"
    if "\x00" in name or "\n" in name or "\r" in name:
        return "has a character no FTP command can carry"
    try:
        length = len(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return "cannot be written as bytes"
    return f"is longer than {NAME_BYTES_MAX} bytes" if length > NAME_BYTES_MAX else ""


def _windows_fault(name: str) -> str:
    if _WINDOWS_SIGNS & set(name) or any(c < " " for c in name):
        return "has a sign that Windows forbids"
    if name[-1] in ". ":
        return "ends with a dot or space, which Windows drops"
    if name.partition(".")[0].rstrip().casefold() in _WINDOWS_NAMES:
        return "means a device on Windows"
    return ""


def clashes(paths: Iterable[str]) -> dict[str, str]:
    """Paths that a file system without case or Unicode forms cannot tell from an earlier one -> that one."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for path in sorted(paths):
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        if (other := first.setdefault(folded, path)) != path:
            found[path] = other
    return found


# Comparing -----------------------------------------------------------------------------------------------------------


def same_file(local: Node, remote: Node, *, keeps_times: bool) -> bool:
    """Whether two files count as the same by size and time.

    Where uploads keep no time (``keeps_times`` False) a file on the server that is not older will do.
    """
    if local.size is None or local.size != remote.size:
        return False
    if local.modified_ns is None or remote.modified_ns is None:
        return True
    newer_there = remote.modified_ns - local.modified_ns
    return abs(newer_there) < max(local.step_ns, remote.step_ns) or (not keeps_times and newer_there > 0)


@dataclass(slots=True)
class Plan:
    """How to make the target like the source. Folders above those below them, deletions the other way round."""

    folders: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    same: int = 0
    skipped: list[str] = field(default_factory=list)
    """Links and things that are no files: neither copied nor touched."""

    blocked: dict[str, str] = field(default_factory=dict)
    """Path -> why it cannot be copied."""


def make_plan(source: Tree, target: Tree, *, same: Callable[[Node, Node], bool], delete: bool) -> Plan:
    """Compare two trees. Nothing is deleted when part of the source could not be read."""
    plan = Plan()
    for path in sorted(source.nodes, key=_by_parts):
        _place(plan, path, source.nodes[path], target.nodes.get(path), same)
    if delete and not source.problems:
        plan.deletes = _superfluous(source.nodes, target)
    return plan


def _by_parts(path: str) -> list[str]:
    return path.split("/")


def _place(plan: Plan, path: str, node: Node, there: Node | None, same: Callable[[Node, Node], bool]) -> None:
    above = path.rpartition("/")[0]
    if above in plan.blocked:
        if node.kind in ("file", "folder"):
            plan.blocked[path] = f"its folder cannot be made: {plan.blocked[above]}"
    elif node.kind == "folder":
        if there is None:
            plan.folders.append(path)
        elif there.kind != "folder":
            plan.blocked[path] = f"a {there.kind} stands where the folder {path} should be"
    elif node.kind != "file":
        plan.skipped.append(path)
    elif there is not None and there.kind == "folder":
        plan.blocked[path] = "a folder of that name is there"
    elif there is not None and there.kind == "file" and same(node, there):
        plan.same += 1
    else:
        plan.copies.append(path)


def _superfluous(source: Mapping[str, Node], target: Tree) -> list[str]:
    """What only the target has, the deepest first; folders only where nothing stays inside."""
    kept: set[str] = set()
    for folder in target.partly:
        while folder not in kept:
            kept.add(folder)
            folder = folder.rpartition("/")[0]
    gone = [path for path in target.nodes if path not in source and path not in kept]
    return sorted(gone, key=_by_parts, reverse=True)
