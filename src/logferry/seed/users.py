"""``userRecord.json``: who could log in, and what becomes of them. Pure.

The older server had letters per user and one folder for all. Here an agent delivers and reads nothing, a person reads
and delivers nothing, and nobody takes away what is archived. So each user becomes one or the other; where the letters
do not tell which, a person is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from logferry.errors import BadConfig
from logferry.limits import PASSWORD_CHARS_MIN
from logferry.names import folded
from logferry.seed.agent import PLACEHOLDER
from logferry.seed.decisions import Decision, Kind
from logferry.seed.settings_text import text_of

LETTERS = "elradfmwMT"
Fate = Literal["admin", "viewer", "agent", "skip"]
FATES: tuple[Fate, ...] = get_args(Fate)
_SLASHES = re.compile(r"[\\/]+")
_GLOB = re.compile(r"[*?!]")


@dataclass(frozen=True, slots=True)
class OldUser:
    """A user of the older server. ``home`` None: the whole archive."""

    name: str
    password: str = field(repr=False)
    letters: str
    home: str | None

    @property
    def uploads(self) -> bool:
        """Whether it could store files."""
        return "w" in self.letters


@dataclass(frozen=True, slots=True)
class UserPlan:
    """What a user becomes. ``fate`` None: a person has to say; ``proposed`` is what seems likely.

    ``agents``: for whom an agent delivers. ``home``: the one agent whose own folder was its root. ``scope``: what a
    person sees (empty: everything). ``password`` empty: nobody signs in by it until there is another.
    """

    name: str
    fate: Fate | None
    proposed: Fate
    why: str
    agents: tuple[str, ...] = ()
    home: str = ""
    scope: tuple[str, ...] = ()
    password: str = field(default="", repr=False)
    blocked: str = ""
    """Why there is no password."""
    notes: tuple[tuple[Kind, str], ...] = ()
    """What becomes of its letters."""


def old_users(raw: bytes, where: str) -> list[OldUser]:
    """The users of a file, in its order. Raises BadConfig."""
    hint = "it is a JSON object: name -> passwd, perm and perhaps dirpath"
    try:
        values = json.loads(text_of(raw))
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{where} is no JSON: {error}", hint=hint) from error
    if not isinstance(values, dict):
        raise BadConfig(f"{where} is no list of users", hint=hint)
    return [_user(name, entry, where, hint) for name, entry in values.items()]


def _user(name: str, entry: Any, where: str, hint: str) -> OldUser:
    if not isinstance(entry, dict) or not isinstance(entry.get("passwd", ""), str):
        raise BadConfig(f"{where}: user {name!r} makes no sense", hint=hint)
    letters = entry.get("perm", "")
    home = entry.get("dirpath")
    if not isinstance(letters, str) or not isinstance(home, str | None):
        raise BadConfig(f"{where}: user {name!r} makes no sense", hint=hint)
    return OldUser(name, entry.get("passwd", ""), letters, home or None)


def plan(
    user: OldUser, *, root: str, delivers: Collection[str], unclaimed: Collection[str], answer: Fate | None
) -> UserPlan:
    """What becomes of ``user``.

    Args:
        root: the folder that all shared.
        delivers: the ids of the agents whose settings name this user.
        unclaimed: ids of agents that have files, but no settings that would name a user.
        answer: what a person said, if anybody did.
    """
    inner = None if user.home is None else _inside(user.home, root)
    password, blocked = _password(user.password)
    fate, proposed, why = _fate(user, inner, bool(delivers))
    fate = answer or fate
    likely = fate or proposed
    agents: tuple[str, ...] = ()
    home = ""
    if likely == "agent":
        home = inner.partition("/")[0] if inner else ""
        agents = (home,) if home else tuple(sorted({*delivers, *unclaimed}))
    scope = (f"{inner}/**",) if inner and likely in ("admin", "viewer") else ()
    return UserPlan(
        user.name, fate, proposed, why, agents, home, scope, password, blocked, tuple(_notes(user, likely, inner))
    )


def _fate(user: OldUser, inner: str | None, delivers: bool) -> tuple[Fate | None, Fate, str]:
    """What is certain (None: nothing), what is likely, and why."""
    if user.home is not None and inner is None:
        return "skip", "skip", f"its folder {user.home} is not in the older archive"
    if inner and _GLOB.search(inner):  # as a scope it would mean more than this folder
        return "skip", "skip", f"its folder {user.home} has signs in its name that mean something in a scope"
    if delivers:
        if user.uploads:
            return "agent", "agent", "agents' settings name it"
        return None, "agent", "agents' settings name it, but its letters lack w: it could not upload"
    if inner:
        if not user.uploads:
            return "viewer", "viewer", f"it could read {inner} and store nothing"
        if "/" not in inner:
            return "agent", "agent", f"it could store, in {inner} alone"
        return None, "viewer", f"it could store, but its folder {inner} is only a part of an agent's"
    if not user.uploads:
        return None, "viewer", "it had the whole archive, and could store nothing"
    likely: Fate = "agent" if "agent" in user.name.casefold() else "admin"
    return None, likely, "it had the whole archive"


def _password(password: str) -> tuple[str, str]:
    """The password to keep, or why there is none."""
    if password in ("", PLACEHOLDER):
        return "", "its password in the file is only a placeholder"
    if len(password) < PASSWORD_CHARS_MIN:
        return "", f"its password has fewer than {PASSWORD_CHARS_MIN} characters"
    return password, ""


def _notes(user: OldUser, fate: Fate, inner: str | None) -> Iterable[tuple[Kind, str]]:
    letters = set(user.letters)
    if strange := sorted(letters - set(LETTERS)):
        yield "skip", f"{', '.join(map(repr, strange))} is no letter that means anything"
    if fate == "agent":
        if "r" in letters:
            yield "skip", "r: agents read nothing; give people users of their own"
        if gone := "".join(sorted(letters & {"d", "M"})):
            yield "skip", f"{gone}: never given, what is archived stays"
        if "f" in letters:
            yield "do", "f: moves its own names only, and replaces nothing"
        if inner and "/" in inner:
            yield "warn", f"its root was {inner}; now it is the whole folder of the agent"
    elif fate in ("admin", "viewer"):
        if kept := "".join(c for c in "elr" if c in letters):
            yield "do", f"{kept}: browse and download"
        if gone := "".join(c for c in "adfmwMT" if c in letters):
            yield "skip", f"{gone}: people deliver and delete nothing by FTP"


def _inside(home: str, root: str) -> str | None:
    """``home`` relative to ``root`` (empty: the same), None when it lies elsewhere. Windows paths too."""
    parts, names = _parts(home), _parts(root)
    if ".." in parts:
        return None
    if [p.casefold() for p in parts[: len(names)]] == [n.casefold() for n in names]:
        return "/".join(parts[len(names) :])
    at = next((i for i in range(len(parts) - 1, -1, -1) if parts[i].casefold() == names[-1].casefold()), None)
    return None if at is None else "/".join(parts[at + 1 :])  # the archive was moved since, or is on another machine


def _parts(path: str) -> list[str]:
    return [part for part in _SLASHES.split(path) if part not in ("", ".")]


def user_decisions(plans: Iterable[UserPlan], known: Mapping[str, str]) -> Iterable[Decision]:
    """What becomes of the users. ``known``: name (folded) -> role, of those who are here already."""
    for one in plans:
        about = f"user {one.name}"
        if (role := known.get(folded(one.name))) is not None:
            yield Decision("done", about, f"is here already ({role}) and stays as it is")
            continue
        if one.fate is None:
            options = f"--admin {one.name}, --viewer {one.name}, --agent {one.name} or --skip {one.name}"
            yield Decision("ask", about, f"{one.why}; likely: {one.proposed}", options)
            continue
        if one.fate == "skip":
            yield Decision("skip", about, f"left out: {one.why}")
            continue
        yield Decision("do", about, f"{_becomes(one)}: {one.why}")
        for kind, note in one.notes:
            yield Decision(kind, about, note)
        if one.blocked:
            yield Decision("warn", about, f"blocked until it has another password: {one.blocked}", _unblock(one))


def _becomes(one: UserPlan) -> str:
    if one.fate != "agent":
        return f"becomes {one.fate}, sees {', '.join(one.scope) or 'everything'}"
    if one.home:
        return f"becomes the user of agent {one.home}"
    if not one.agents:
        return "becomes a user that delivers, but for no agent that is known yet"
    return f"becomes the user that delivers for {', '.join(one.agents)}"


def _unblock(one: UserPlan) -> str:
    if one.fate == "agent":
        return f"logferry admin delivers {one.name} --password-file FILE"
    return f"logferry admin user reset {one.name}"
