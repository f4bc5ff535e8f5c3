"""Random queries that have something to do with the logs they are asked of."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

from logferry.search.query import Filter, Glob, Literal, Node, Regex, Text, Value, Wild, all_of
from logferry.search.query.nodes import Comparison, any_of, negated
from tests.search.oracle_files import File, Row

LEVEL_NAMES = ("trace", "debug", "info", "notice", "WARNING", "err", "fatal")
FIELDS = (
    ("@user", ("root", "alice", "ali", "Ärger", "ÄRGER", "svc")),
    ("@http.status", ("200", "404", "500", "502", "5")),
    ("@status", ("200", "404", "503")),
    ("@http.took", ("1", "50.5", "99")),
    ("@took", ("5", "5ms", "900ms")),
    ("@level", ("info", "50", "error", "null")),
    ("@msg", ("refused", "quoted", "größe", "full retry")),
    ("@tags", ("cache", "hit")),
    ("@list.id", ("3", "1", "a")),
    ("@trace.id", ("0", "ff")),
    ("@ts", ("2026-11-20T09", "2026-11-21")),
    ("@absent", ("x",)),
)
ORDERS: tuple[Comparison, ...] = (">", ">=", "<", "<=")


class Drawer:
    """Draws queries over some files."""

    def __init__(self, dice: random.Random, files: list[File]) -> None:
        self._dice = dice
        self._rows: list[tuple[File, Row]] = [(file, row) for file in files for row in file.rows if row.data.strip()]
        self._files = files

    def node(self, depth: int = 0) -> Node:
        """A query."""
        roll = self._dice.random()
        if depth < 3 and roll < 0.22:
            return all_of([self.node(depth + 1) for _ in range(self._dice.randint(2, 3))])
        if depth < 3 and roll < 0.36:
            return any_of([self.node(depth + 1) for _ in range(self._dice.randint(2, 3))])
        if depth < 3 and roll < 0.48:
            return negated(self.node(depth + 1))
        return self._leaf()

    def _leaf(self) -> Node:
        return self._dice.choices(
            (
                self._word,
                self._substring,
                self._phrase,
                self._glob,
                self._regex,
                self._level,
                self._time,
                self._field,
                self._file,
            ),
            (6, 4, 3, 2, 4, 3, 4, 4, 4),
        )[0]()

    def _line(self) -> str:
        return self._dice.choice(self._rows)[1].data.decode("utf-8", "replace").replace("\ufffd", "")

    def _words(self) -> list[str]:
        while True:
            words = re.findall(r"\w+", self._line())
            if words:
                return words

    def _cased(self, text: str) -> str:
        changed = self._dice.choice((text, text, text.upper(), text.lower(), text.swapcase()))
        return changed if len(changed) == len(text) and "ß" not in text else text

    def _word(self) -> Node:
        return Text(Literal(self._cased(self._dice.choice(self._words()))))

    def _substring(self) -> Node:
        word = self._dice.choice(self._words())
        first = self._dice.randrange(len(word))
        return Text(Literal(self._cased(word[first : first + self._dice.randint(1, 6)])))

    def _phrase(self) -> Node:
        line = self._line().strip("\r\n")
        first = self._dice.randrange(max(1, len(line)))
        return Text(Literal(line[first : first + self._dice.randint(1, 25)] or "x"))

    def _glob(self) -> Node:
        words = self._words()
        word = self._dice.choice(words)
        cut = self._dice.randrange(len(word) + 1)
        wild = self._dice.choice((Wild.RUN, Wild.ONE))
        parts: list[str | Wild] = [word[:cut], wild, word[cut + (wild is Wild.ONE) :]]
        if self._dice.random() < 0.3 and len(words) > 1:
            parts = [words[0], Wild.RUN, words[-1]]
        kept = tuple(part for part in parts if part != "")
        return Text(Glob(kept))

    def _regex(self) -> Node:
        words = [word for word in self._words() if word.isascii()] or ["x"]
        word = re.escape(self._dice.choice(words))
        pattern = self._dice.choice(
            (
                word,
                f"^{word}",
                f"{word}$",
                f"\\b{word}\\b",
                f"{re.escape(words[0])}.*{re.escape(words[-1])}",
                "10\\.[0-2]\\.[0-9]+\\.7",
                "[0-9]{3,}",
                f"({word}|timeout)",
                f"[A-Z]+ .*{word}",
                "^[^ ]+ ",
                "\\d+ms",
            )
        )
        return Text(Regex(pattern, self._dice.choice(("", "c", "i"))))

    def _level(self) -> Node:
        name, other = (Literal(self._dice.choice(LEVEL_NAMES)) for _ in range(2))
        roll = self._dice.random()
        if roll < 0.2:
            return Filter("level", "..", name, other)
        return Filter("level", self._dice.choice(ORDERS) if roll < 0.7 else "", name)

    def _time(self) -> Node:
        def value() -> Literal:
            if self._dice.random() < 0.1:
                return Literal(self._dice.choice(("now-1h", "now-2d", "now-30m", "now-90d")))
            _, row = self._dice.choice(self._rows)
            if row.own_ns is None:
                return Literal("2026-11-20")
            moment = datetime.fromtimestamp(row.own_ns // 10**9, UTC)
            text = f"{moment:%Y-%m-%dT%H:%M:%S}"
            if self._dice.random() < 0.2:
                return Literal(text[11 : self._dice.choice((16, 19))])
            return Literal(text[: self._dice.choice((7, 10, 13, 16, 16, 19))])

        roll = self._dice.random()
        if roll < 0.4:
            low, high = value(), value()
            return Filter("time", "..", low, high if roll < 0.3 else None)
        return Filter("time", self._dice.choice(ORDERS) if roll < 0.75 else "", value())

    def ranges(self) -> Node:
        """Ranges of times and levels, upside down as often as not, most of them negated."""
        made: list[Node] = []
        for _ in range(self._dice.randint(1, 3)):
            node = self._time() if self._dice.random() < 0.5 else self._level()
            made.append(negated(node) if self._dice.random() < 0.7 else node)
        if self._dice.random() < 0.2:
            made.append(self.node(2))
        node = all_of(made) if self._dice.random() < 0.8 else any_of(made)
        return negated(node) if self._dice.random() < 0.2 else node

    def _field(self) -> Node:
        name, texts = self._dice.choice(FIELDS)
        text = self._dice.choice(texts)
        roll = self._dice.random()
        value: Value = Literal(text)
        if roll < 0.1:
            return Filter(name, "", Glob((Wild.RUN,)))
        if roll < 0.2 and len(text) > 1:
            return Filter(name, self._dice.choice(("", "=")), Glob((text[:1], Wild.RUN)))
        if roll < 0.3 and text.isascii():
            return Filter(name, "", Regex(f"^{re.escape(text[:2])}"))
        if roll < 0.5:
            return Filter(name, self._dice.choice(ORDERS), value)
        if roll < 0.6:
            return Filter(name, "..", value, Literal(self._dice.choice(texts)))
        return Filter(name, self._dice.choice(("", "", "=")), value)

    def _file(self) -> Node:
        file = self._dice.choice(self._files)
        name = file.path.rpartition("/")[2]
        return self._dice.choice(
            (
                Filter("agent", "", Literal(file.agent)),
                Filter("agent", "", Literal(file.agent)),
                Filter("agent", "", Glob(("web", Wild.RUN))),
                Filter("path", "", Literal(name)),
                Filter("file", "", Literal(self._cased(name))),
                Filter("ext", "", Literal(name.rpartition(".")[2])),
                Filter("size", self._dice.choice(ORDERS), Literal(str(file.size))),
            )
        )
