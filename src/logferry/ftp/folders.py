"""Permission letters per folder: which of a user's letters hold at which path. Pure text, no file system.

A rule is a pattern and the letters that hold where it fits, instead of the user's own::

    FolderRules({"/incoming": "elw", "/incoming/**": "w", "/*/private": ""})

- A pattern is an absolute virtual path; ``/`` is the home. It fits that path and everything beneath it.
- ``*`` and ``?`` stand for characters of one component, ``[abc]`` for one of them (``[*]`` for a star itself), and
  ``**`` alone between slashes for any number of components. A pattern that ends in ``/**`` fits what lies beneath, not
  the folder itself.
- The longest match wins: of several rules that fit the one with the most components (``**`` not counted) holds, of
  those the one with the most literal characters, of those the one written last. Letters of other rules play no part.
- Where no rule fits, the user's own letters hold.

Rules speak of names. A symbolic link that an administrator puts into a home gives what it leads to a second name.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping

from logferry.errors import BadConfig
from logferry.ftp.permissions import Permissions
from logferry.limits import FTP_FOLDER_RULES_MAX, PATH_BYTES_MAX

_ANY = "**"
_WILD = re.compile(r"[*?\[]")


class FolderRules(Mapping[str, Permissions]):
    """Rules for one user, from pattern to letters, in the order they were written. Never changes.

    Raises:
        BadConfig: a pattern or a letter that means nothing; it is named.
    """

    __slots__ = ("_rules", "_sorted")

    def __init__(self, rules: Mapping[str, str]) -> None:
        if len(rules) > FTP_FOLDER_RULES_MAX:
            raise BadConfig(f"{len(rules)} folder rules for one user", hint=f"at most {FTP_FOLDER_RULES_MAX}")
        made = [_Rule(pattern, Permissions(letters)) for pattern, letters in rules.items()]
        self._rules = {rule.pattern: rule.letters for rule in made}
        if len(self._rules) < len(made):
            raise BadConfig("two folder rules for one pattern", hint="a slash at the end means nothing")
        made.reverse()  # the sort is stable: of equals the one written last comes first
        self._sorted = sorted(made, key=lambda rule: rule.weight, reverse=True)

    def __getitem__(self, pattern: str) -> Permissions:
        return self._rules[pattern]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __hash__(self) -> int:
        return hash(tuple(self._rules.items()))

    def __eq__(self, other: object) -> bool:
        # The order counts: it decides between equals.
        return isinstance(other, FolderRules) and list(self._rules.items()) == list(other._rules.items())

    def __repr__(self) -> str:
        return f"FolderRules({ {pattern: str(letters) for pattern, letters in self._rules.items()} })"

    def letters(self, path: str, own: Permissions) -> Permissions:
        """What holds at ``path`` (absolute, normalised) for a user whose own letters are ``own``."""
        parts = _parts(path)
        for rule in self._sorted:
            if rule.fits(path, parts):
                return rule.letters
        return own

    def grant(self, letter: str) -> bool:
        """Whether ``letter`` is granted anywhere."""
        return any(letters.allow(letter) for letters in self._rules.values())

    def divide(self, path: str) -> bool:
        """Whether a rule may draw a line beneath ``path``: then it is no folder to move as a whole."""
        parts = _parts(path)
        return any(rule.may_fit_beneath(parts) for rule in self._sorted)


class _Rule:
    """One pattern, cut into components."""

    __slots__ = ("_literal", "_steps", "letters", "pattern", "weight")

    def __init__(self, pattern: str, letters: Permissions) -> None:
        parts = _checked(pattern)
        self.pattern = "/" + "/".join(parts)
        self.letters = letters
        self._steps = [_step(part) for part in parts]
        self._literal = "" if _WILD.search(pattern) else self.pattern
        literal_chars = len(_WILD.sub("", self.pattern))
        self.weight = (sum(part != _ANY for part in parts), literal_chars)

    def fits(self, path: str, parts: list[str]) -> bool:
        """Whether the pattern fits ``path`` or a folder above it."""
        if self._literal:
            return path == self._literal or self._literal == "/" or path.startswith(f"{self._literal}/")
        return len(self._steps) in self._places(parts)

    def may_fit_beneath(self, parts: list[str]) -> bool:
        """Whether the pattern may fit something beneath a folder that it does not fit itself."""
        places = self._places(parts)
        return bool(places) and len(self._steps) not in places

    def _places(self, parts: list[str]) -> set[int]:
        """Places in the pattern that ``parts`` lead to; its end as soon as a folder above fits."""
        end = len(self._steps)
        places = self._skipping({0})
        for part in parts:
            if end in places or not places:
                break
            places = self._next(places, part)
        return places

    def _next(self, places: set[int], part: str) -> set[int]:
        """Places in the pattern reached by one more component."""
        found = set()
        for place in places:
            step = self._steps[place]
            if step is None:
                # The last "**" has its one component now; another goes on as long as it likes.
                found.add(place + 1 if place + 1 == len(self._steps) else place)
            elif step.fullmatch(part):
                found.add(place + 1)
        return self._skipping(found)

    def _skipping(self, places: set[int]) -> set[int]:
        """``places``, and those behind a ``**`` that stands for nothing (the last one stands for something)."""
        for place in sorted(places):
            while place < len(self._steps) - 1 and self._steps[place] is None:
                place += 1
                places.add(place)
        return places


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _step(part: str) -> re.Pattern[str] | None:
    """What one component of a path has to look like; None for any number of components."""
    if part == _ANY:
        return None
    return re.compile(fnmatch.translate(part))


def _checked(pattern: str) -> list[str]:
    """The components of ``pattern``."""
    if not pattern.startswith("/"):
        raise BadConfig(f"folder rule {pattern!r} is not absolute", hint="begin it with /, which is the user's home")
    if len(pattern) > PATH_BYTES_MAX:
        raise BadConfig(f"folder rule of {len(pattern)} characters", hint=f"at most {PATH_BYTES_MAX}")
    parts = pattern.removesuffix("/").split("/")[1:]
    for part in parts:
        if part in ("", ".", ".."):
            raise BadConfig(f"folder rule {pattern!r} has the component {part!r}", hint="write the path itself")
        if _ANY in part and part != _ANY:
            raise BadConfig(f"folder rule {pattern!r}", hint="** stands alone between two slashes")
    return parts
