"""How ``logferry import-seed`` tells what it found out."""

from __future__ import annotations

from collections.abc import Iterable

from logferry.cli import text
from logferry.seed.decisions import Decision

_COLOURS = {"do": "green", "done": "bright_black", "ask": "cyan", "warn": "yellow", "skip": "bright_black"}


class Teller:
    """Writes decisions down, as lines for people or as JSON, and counts them."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.counts = dict.fromkeys(_COLOURS, 0)

    def one(self, decision: Decision) -> None:
        """Tell one."""
        self.counts[decision.kind] += 1
        if self.as_json:
            text.out_json(decision.row())
            return
        kind = text.paint(f"{decision.kind:4}", fg=_COLOURS[decision.kind])
        text.out(f"{kind}  {text.line(decision.about)}: {text.line(decision.text)}")
        if decision.hint:
            text.out(f"      {text.line(decision.hint)}")

    def all(self, decisions: Iterable[Decision]) -> None:
        """Tell each."""
        for decision in decisions:
            self.one(decision)
