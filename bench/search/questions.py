"""What is asked: words and patterns of the corpus itself, about as frequent as those that the targets are about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["count", "hits", "newest", "histogram"]
NEEDLE = "needleq7f3a9c41e2z"
_SAMPLE_BYTES = 400_000
_WORD = re.compile(rb"(?<![A-Za-z0-9\x80-\xff])[A-Za-z]{3,16}(?![A-Za-z0-9\x80-\xff])")
_IN_VARIABLE = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]{3,16}(?=[_-]-?[0-9])")
_ADDRESS = re.compile(rb"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
_NUMBER = re.compile(rb"(?<![A-Za-z0-9.])[0-9]{7,}(?![A-Za-z0-9.])")


@dataclass(frozen=True, slots=True)
class Question:
    """One search. ``text`` is a query of ours; the others say the same to peers.

    ``words``: lines hold all of these, as whole words in any case for those who know words, ``pattern`` a regular
    expression, ``literal`` a text.
    """

    name: str
    kind: Kind
    text: str
    target_ms: float
    words: tuple[str, ...] = ()
    literal: str = ""
    pattern: str = ""
    any_case: bool = False

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)


def questions(root: Path) -> list[Question]:
    """What is asked of the logs below ``root``."""
    lines = [line for sample in _samples(root) for line in sample.splitlines()]
    words, within = _spellings(lines)
    common = _near(words, 0.075 * len(lines))
    with_common = [line for line in lines if common in line]
    beside = Counter(word for line in with_common for word in set(_WORD.findall(line)) if word in words)
    del beside[common]
    second = _near(beside, len(with_common) / 3).decode()
    part = _part(lines, 0.023 * len(lines))
    shown = common.decode()
    across = re.escape(part.decode()) + r"[^0-9]{0,40}[0-9]+"
    before, behind = _around(lines)
    addresses, numbers = _counted(lines, _ADDRESS), _counted(lines, _NUMBER)
    rare_address, often = _rare(addresses), max(addresses, key=addresses.__getitem__)
    number = _rare(numbers)
    beside_common = _rarest(with_common, _NUMBER, numbers)
    one, another = _pair(lines, addresses, numbers)
    return [
        Question("rare-word", "hits", NEEDLE, 2, words=(NEEDLE,), literal=NEEDLE),
        Question("absent-word", "hits", "zzqqyxabsent", 1, words=("zzqqyxabsent",), literal="zzqqyxabsent"),
        Question("count-word", "count", shown, 1, words=(shown,), literal=shown, any_case=True),
        Question("count-word-in-variables", "count", within, 120, words=(within,), literal=within, any_case=True),
        Question("newest-100", "newest", shown, 8, words=(shown,), literal=shown, any_case=True),
        Question("substring", "count", part.decode(), 60, literal=part.decode(), any_case=True),
        Question("rare-substring", "hits", NEEDLE[1:-1], 10, literal=NEEDLE[1:-1]),
        Question("rare-substring-any-case", "hits", NEEDLE[1:-1].upper(), 15, literal=NEEDLE[1:-1], any_case=True),
        Question("and-static", "count", f"{shown} {second}", 2, words=(shown, second)),
        Question("and-variable", "count", f"{shown} {beside_common}", 7, words=(shown, beside_common)),
        Question("histogram", "histogram", shown, 12, words=(shown,)),
        Question("regex-many", "count", f"/{across}/", 120, pattern=across, any_case=True),
        Question("regex-one", "hits", "/needleq[0-9a-f]+41e2z/", 30, pattern="needleq[0-9a-f]+41e2z"),
        Question("regex-across", "count", f"/{before}[0-9]+{behind}/c", 120, pattern=f"{before}[0-9]+{behind}"),
        Question("rare-id", "hits", number, 10, words=(number,), literal=number),
        Question("address", "count", rare_address, 30, literal=rare_address),
        Question("address-often", "count", often, 120, literal=often),
        Question("two-variables", "count", f"{one} {another}", 30, words=(one, another)),
        Question("time-range", "newest", f"{shown} time:2026-10-10T00..2026-10-10T05", 6),
    ]


def prose_questions(root: Path) -> list[Question]:
    """What is asked of prose, which has hardly two lines alike: log types say nothing of it."""
    lines = [line for sample in _samples(root) for line in sample.splitlines()]
    words = Counter(word.lower() for line in lines for word in set(_WORD.findall(line)))
    common = _near(words, 0.02 * len(lines)).decode()
    rare = min(word for word, count in words.items() if count == min(words.values())).decode()
    line = next(line for line in lines[len(lines) // 3 :] if common.encode() in line.lower().split()[:-1])
    at = line.lower().split().index(common.encode())
    phrase = b" ".join(line.split()[at : at + 2]).decode()
    return [
        Question("prose-rare-word", "hits", rare, 30, literal=rare, any_case=True),
        Question("prose-absent-word", "hits", "zzqqyxabsent", 1, literal="zzqqyxabsent", any_case=True),
        Question("prose-count-word", "count", common, 120, literal=common, any_case=True),
        Question("prose-newest-100", "newest", common, 8, literal=common, any_case=True),
        Question("prose-phrase", "count", f'"{phrase}"', 60, literal=phrase, any_case=True),
        Question("prose-two-words", "count", f"{common} {rare}", 30, words=(common, rare)),
    ]


def _samples(root: Path) -> Iterator[bytes]:
    """The middle of each file."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size // 2 - _SAMPLE_BYTES // 2))
            yield file.read(_SAMPLE_BYTES)


def _near(words: Counter[bytes], wanted: float) -> bytes:
    return min(words, key=lambda word: (abs(words[word] - wanted), word), default=b"error")


def _part(lines: list[bytes], wanted: float) -> bytes:
    """A piece inside of words, in about so many lines."""
    some = lines[:: max(1, len(lines) // 20_000)]
    parts = Counter(
        word[1:-1].lower() for line in some for word in set(_WORD.findall(line)) if len(word) >= 6
    )  # its first and last letter left out
    return _near(parts, wanted * len(some) / len(lines))


def _around(lines: list[bytes]) -> tuple[str, str]:
    """The text on both sides of the number that stands between the same two texts most often."""
    found = Counter(re.findall(rb"([A-Za-z]{4,16}[ :=\[(])[0-9]+([\])]?[ ,:;][ A-Za-z]{3,12})", b"\n".join(lines)))
    if not found:
        return "no ", " "
    before, behind = min(found, key=lambda pair: (-found[pair], pair))
    return re.escape(before.decode()), re.escape(behind.decode())


def _spellings(lines: list[bytes]) -> tuple[Counter[bytes], str]:
    """How many lines hold each word of one spelling that is never a part of a variable; the most frequent that is."""
    words = Counter(word for line in lines for word in set(_WORD.findall(line)))
    folded = Counter(word.lower() for word in words)
    parts = Counter(word for line in lines for word in set(_IN_VARIABLE.findall(line)) if folded[word.lower()] < 2)
    alone = {word: count for word, count in words.items() if folded[word.lower()] == 1 and word not in parts}
    return Counter(alone), max(parts, key=parts.__getitem__, default=b"part").decode()


def _counted(lines: list[bytes], pattern: re.Pattern[bytes]) -> Counter[str]:
    """How many lines hold each text like this."""
    found = Counter(text.decode() for line in lines for text in set(pattern.findall(line)))
    return found or Counter(["10.0.0.1"])


def _rare(counts: Counter[str]) -> str:
    """One of the texts that the fewest lines hold: the middle one, for the first ones are all zeros."""
    least = min(counts.values())
    rarest = sorted(text for text, count in counts.items() if count == least)
    return rarest[len(rarest) // 2]


def _rarest(lines: list[bytes], pattern: re.Pattern[bytes], counts: Counter[str]) -> str:
    """Of the texts like this in these lines the one that the fewest lines hold."""
    found = _counted(lines, pattern)
    return min(found, key=lambda text: (counts[text], text))


def _pair(lines: list[bytes], addresses: Counter[str], numbers: Counter[str]) -> tuple[str, str]:
    """An address and a number of one line, the most frequent such address; any two where no line has both."""
    pairs = [
        (address[0].decode(), number[0].decode())
        for line in lines
        if (address := _ADDRESS.search(line)) and (number := _NUMBER.search(line))
    ]
    any_two = next(iter(addresses)), next(iter(numbers))
    return max(pairs, key=lambda pair: (addresses[pair[0]], pair), default=any_two)
