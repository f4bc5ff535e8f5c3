"""How a person likes it, in every browser they sign in with: time zone, looks, keys, words to highlight.

What the catalog holds is read leniently: what another version left there, or nobody knows, counts as not said. What
comes in is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from starlette.requests import Request

from logferry.archive.catalog.preferences import PreferencesRecord
from logferry.errors import Refused, TooLarge
from logferry.limits import HIGHLIGHT_CHARS_MAX, HIGHLIGHTS_MAX
from logferry.server.people import Identity
from logferry.web.auth import context_of
from logferry.web.managing import refuse_tokens
from logferry.web.trail import note
from logferry.web.zone import checked_choice, known_choice

Theme = Literal["auto", "light", "dark"]
Density = Literal["comfortable", "compact"]
Keys = Literal["on", "off"]
Colour = Literal["yellow", "green", "blue", "violet", "red", "grey"]
COLOURS: tuple[str, ...] = get_args(Colour)
CHOICES: dict[str, tuple[str, ...]] = {"theme": get_args(Theme), "density": get_args(Density), "keys": get_args(Keys)}
"""What each may be; the first is what holds while nothing is said. ``keys``: whether letters are keys of the viewer."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """A word that is marked in every log the person reads."""

    word: str
    colour: str = COLOURS[0]
    exact_case: bool = False


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the person has said; empty, and of ``highlights`` None: nothing so far."""

    zone: str = ""
    theme: str = ""
    density: str = ""
    keys: str = ""
    highlights: tuple[Highlight, ...] | None = None

    @classmethod
    def of(cls, record: PreferencesRecord) -> Preferences:
        """What is known of what the catalog holds."""
        known = {name: value for name in CHOICES if (value := getattr(record, name)) in CHOICES[name]}
        return cls(zone=known_choice(record.zone), highlights=_highlights_of(record.highlights), **known)


def change_preferences(request: Request, who: Identity, values: Mapping[str, str]) -> None:
    """Keep ``zone``, ``theme``, ``density`` and ``keys``, as far as they are in ``values``.

    Raises:
        NotPermitted: a token asks.
        Refused: there is no such zone or choice.
    """
    refuse_tokens(who, "changes no settings")
    for name, value in values.items():
        if name != "zone" and value not in CHOICES[name]:
            raise Refused(f"{name}: {value[:20]!r} is no choice", hint=f"choose one of {', '.join(CHOICES[name])}")
    kept: dict[str, Any] = {name: checked_choice(value) if name == "zone" else value for name, value in values.items()}
    if kept:
        context_of(request).catalog.preferences.change(who.user_id, **kept)
    note(request, action="preferences.change", target=who.name, **kept)


def change_highlights(request: Request, who: Identity, highlights: Sequence[Highlight]) -> None:
    """These take the place of all that were. Whoever does so last in two browsers has theirs kept.

    Raises:
        NotPermitted: a token asks.
        TooLarge: too many, or a word is too long.
        Refused: there is no such colour, or no word.
    """
    refuse_tokens(who, "changes no settings")
    if len(highlights) > HIGHLIGHTS_MAX:
        raise TooLarge(f"{len(highlights)} highlights are too many", hint=f"keep the {HIGHLIGHTS_MAX} you need most")
    for one in highlights:
        if len(one.word) > HIGHLIGHT_CHARS_MAX:
            raise TooLarge(
                f"the word {one.word[:20]!r}… has {len(one.word)} characters",
                hint=f"a part of it, of up to {HIGHLIGHT_CHARS_MAX} characters, marks the same lines",
            )
        if not one.word or one.colour not in COLOURS:
            raise Refused(f"{one.word[:20]!r} in {one.colour[:20]!r} is no highlight", hint="give a word, and a colour")
    text = json.dumps([asdict(one) for one in highlights])
    context_of(request).catalog.preferences.change(who.user_id, highlights=text)
    # How many, not which: what somebody looks for is theirs.
    note(request, action="preferences.change", target=who.name, highlights=len(highlights))


def _highlights_of(text: str) -> tuple[Highlight, ...] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    known = (_highlight_of(one) for one in found if isinstance(one, dict))
    return tuple(one for one in known if one is not None)[:HIGHLIGHTS_MAX]


def _highlight_of(found: dict[str, Any]) -> Highlight | None:
    word, colour = found.get("word"), found.get("colour")
    if not isinstance(word, str) or not 0 < len(word) <= HIGHLIGHT_CHARS_MAX:
        return None
    return Highlight(word, colour if colour in COLOURS else COLOURS[0], found.get("exact_case") is True)
