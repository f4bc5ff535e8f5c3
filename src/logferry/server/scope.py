"""Who may see what: globs over ``agent/path`` with ``!`` exceptions, and the four roles. Pure.

``*`` matches within one component, ``**`` across components, ``?`` one character. An empty scope sees everything. A
file is seen when some plain glob matches it and no exception does; the order of the globs does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from logferry.errors import BadName
from logferry.globs import compiled, whole
from logferry.limits import SCOPE_GLOB_CHARS_MAX, SCOPE_GLOBS_MAX

Role = Literal["viewer", "operator", "admin", "agent"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin", "agent")
_RANK = {"agent": 0, "viewer": 1, "operator": 2, "admin": 3}


def at_least(role: str, needed: Role) -> bool:
    """Whether ``role`` includes the rights of ``needed``."""
    return _RANK.get(role, -1) >= _RANK[needed]


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of globs over ``agent/path``; ``Scope()`` sees everything. ``narrowed`` takes more away."""

    globs: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for glob in (*self.globs, *self.narrowed):
            if not glob.removeprefix("!").strip("/"):
                raise BadName(f"{glob!r} is not a scope", hint='write for example "web-*/**" or "!**/secrets/**"')

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.globs and not self.narrowed

    def sees(self, agent: str, path: str) -> bool:
        """Whether the file at ``path`` of ``agent`` may be seen; ``path`` "" asks for the agent itself."""
        name = f"{agent}/{path}" if path else agent
        return _sees(self.globs, name) and _sees(self.narrowed, name)

    def may_hold(self, agent: str, folder: str) -> bool:
        """Whether something in ``folder`` ("" = the agent) or below it may be seen; exact for what is granted,
        generous for exceptions with wildcards below the folder."""
        name = f"{agent}/{folder}" if folder else agent
        return _may_hold(self.globs, name) and _may_hold(self.narrowed, name)

    def covers(self, agent: str, folder: str) -> bool:
        """Whether everything in ``folder`` ("" = the agent) and below it is surely seen; False when in doubt."""
        name = f"{agent}/{folder}" if folder else agent
        return _covers(self.globs, name) and _covers(self.narrowed, name)


def checked_scope(scope: Iterable[str]) -> tuple[str, ...]:
    """Return the globs of ``scope``, without blanks around them and without empty ones twice. Raises BadName."""
    globs = tuple(dict.fromkeys(glob.strip() for glob in scope))
    if len(globs) > SCOPE_GLOBS_MAX or any(len(glob) > SCOPE_GLOB_CHARS_MAX for glob in globs):
        raise BadName(
            "the scope is too large", hint=f"{SCOPE_GLOBS_MAX} globs of {SCOPE_GLOB_CHARS_MAX:,} characters at most"
        )
    return Scope(globs).globs


def _covers(globs: tuple[str, ...], name: str) -> bool:
    if not globs:
        return True
    if any(g.startswith("!") for g in globs):
        return False
    return any(whole(g).endswith("**") and compiled(whole(g)).fullmatch(f"{name}/\x00") for g in globs)


def _sees(globs: tuple[str, ...], name: str) -> bool:
    return not globs or (_granted(globs, name) and not _excepted(globs, name))


def _may_hold(globs: tuple[str, ...], name: str) -> bool:
    if not globs:
        return True
    # No real name holds NUL: an exception that takes both of these takes everything below the folder.
    if _excepted(globs, f"{name}/\x00") and _excepted(globs, f"{name}/\x00/\x00/\x00"):
        return False
    return _granted(globs, name) or any(_prefix_matches(g, name) for g in _plain(globs))


def _plain(globs: tuple[str, ...]) -> list[str]:
    return [g for g in globs if not g.startswith("!")] or ["**"]  # only exceptions: everything else


def _granted(globs: tuple[str, ...], name: str) -> bool:
    return any(compiled(whole(g)).fullmatch(name) for g in _plain(globs))


def _excepted(globs: tuple[str, ...], name: str) -> bool:
    return any(compiled(whole(g[1:])).fullmatch(name) for g in globs if g.startswith("!"))


def _prefix_matches(glob: str, folder: str) -> bool:
    """Whether a file below ``folder`` could match ``glob``: by component, until one ends or ``**`` opens."""
    wanted, there = whole(glob).split("/"), folder.split("/")
    for i, part in enumerate(there):
        if i >= len(wanted):
            return False
        if "**" in wanted[i]:
            return True
        if not compiled(wanted[i]).fullmatch(part):
            return False
    return len(wanted) > len(there)
