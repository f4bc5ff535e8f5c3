"""What an import found out about one thing, in a form that people and programs can read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["do", "done", "ask", "warn", "skip"]
"""``do``: is or would be done. ``done``: is so already. ``ask``: a person has to say. ``warn``: to be looked at.
``skip``: left out, on purpose."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One sentence about one thing. ``hint`` says what to do where something is to be done by a person."""

    kind: Kind
    about: str
    text: str
    hint: str = ""

    def row(self) -> dict[str, str]:
        """For JSON."""
        return {"kind": self.kind, "about": self.about, "text": self.text, "hint": self.hint}
