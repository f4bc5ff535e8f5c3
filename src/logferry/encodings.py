"""Encodings of log files: which one a file has, where its lines end, its bytes as text. Pure.

A byte that means nothing in an encoding is written ``\\xNN``, whatever the encoding.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import lru_cache

from logferry.errors import Refused
from logferry.limits import ENCODING_SAMPLES_KEPT

SAMPLE_BYTES = 64 * 1024
"""So much from the beginning of a file tells its encoding: what is read to show its first lines anyway."""


class LineEnds:
    """Lines that end with the byte LF: those of every encoding but UTF-16."""

    width = 1
    """Bytes of a line end, and of what its place is a multiple of."""
    name = ""

    def count(self, data: bytes, at: int = 0) -> int:  # noqa: ARG002 - where ``data`` lies matters to others
        """How many lines end in ``data``, which lies ``at`` bytes from the start of its file."""
        return data.count(b"\n")

    def after(self, data: bytes, at: int, start: int = 0) -> int:  # noqa: ARG002 - as above
        """The index behind the first line end at or behind ``start``; -1 if there is none."""
        return data.find(b"\n", start) + 1 or -1

    def last(self, data: bytes, at: int, end: int) -> int:  # noqa: ARG002 - as above
        """The index of the last line end that is whole before ``end``; -1 if there is none."""
        return data.rfind(b"\n", 0, end)

    def without(self, line: bytes) -> bytes:
        """A line without its line end, and the CR before that."""
        return line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line


class WideLineEnds(LineEnds):
    """Lines that end with LF as two bytes, at an even place."""

    width = 2

    def __init__(self, codec: str) -> None:
        self.name = codec
        self._end = "\n".encode(codec)
        self._return = "\r".encode(codec)

    def count(self, data: bytes, at: int = 0) -> int:
        """See ``LineEnds``."""
        first = at % 2
        whole = data[first : len(data) - (len(data) - first) % 2]
        return whole.decode(self.name, "surrogatepass").count("\n")

    def after(self, data: bytes, at: int, start: int = 0) -> int:
        """See ``LineEnds``."""
        found = start - 1
        while (found := data.find(self._end, found + 1)) >= 0:
            if (found + at) % 2 == 0:
                return found + 2
        return -1

    def last(self, data: bytes, at: int, end: int) -> int:
        """See ``LineEnds``."""
        while (found := data.rfind(self._end, 0, end)) >= 0:
            if (found + at) % 2 == 0:
                return found
            end = found + 1  # the one before may overlap it
        return -1

    def without(self, line: bytes) -> bytes:
        """See ``LineEnds``."""
        if len(line) % 2 or not line.endswith(self._end):
            return line
        line = line.removesuffix(self._end)
        return line.removesuffix(self._return)


BYTE_ENDS = LineEnds()


def half_character(data: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 that is not whole."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if needed > back else 0
    return 0


@dataclass(frozen=True, slots=True)
class Encoding:
    """``name`` as addresses and answers have it, ``label`` for people; ``ends``: where lines end in it.

    ``is_single``: each byte is a character by itself. ASCII is part of all but UTF-16.
    """

    name: str
    codec: str
    label: str
    is_single: bool = False
    ends: LineEnds = BYTE_ENDS

    @property
    def is_wide(self) -> bool:
        """Whether it is UTF-16."""
        return self.ends.width == 2

    def text(self, data: bytes, *, cut: bool = False) -> tuple[str, int]:
        """``data`` as text, and how many bytes of it that is: all, but for half a character at the end of what was
        ``cut`` there."""
        decoder = codecs.getincrementaldecoder(self.codec)("backslashreplace")
        text = decoder.decode(data, not cut)
        return text, len(data) - len(decoder.getstate()[0])

    def utf8(self, data: bytes, *, cut: bool = False) -> tuple[bytes, int]:
        """The same as UTF-8."""
        text, taken = self.text(data, cut=cut)
        return text.encode("utf-8"), taken


UTF_8 = Encoding("utf-8", "utf-8", "UTF-8")
UTF_16_LE = Encoding("utf-16-le", "utf-16-le", "UTF-16 LE", ends=WideLineEnds("utf-16-le"))
UTF_16_BE = Encoding("utf-16-be", "utf-16-be", "UTF-16 BE", ends=WideLineEnds("utf-16-be"))
CP1252 = Encoding("windows-1252", "cp1252", "Western (Windows-1252)", is_single=True)
GB18030 = Encoding("gb18030", "gb18030", "Chinese (GB18030)")
SHIFT_JIS = Encoding("shift_jis", "cp932", "Japanese (Shift-JIS)")
ENCODINGS = (
    UTF_8,
    UTF_16_LE,
    UTF_16_BE,
    CP1252,
    GB18030,
    SHIFT_JIS,
    Encoding("windows-1250", "cp1250", "Central European (Windows-1250)", is_single=True),
    Encoding("windows-1251", "cp1251", "Cyrillic (Windows-1251)", is_single=True),
    Encoding("koi8-r", "koi8-r", "Cyrillic (KOI8-R)", is_single=True),
    Encoding("iso-8859-15", "iso8859-15", "Western (ISO 8859-15)", is_single=True),
    Encoding("ibm850", "cp850", "Western (DOS, 850)", is_single=True),
    Encoding("big5", "big5", "Chinese (Big5)"),
    Encoding("euc-jp", "euc_jp", "Japanese (EUC)"),
    Encoding("euc-kr", "cp949", "Korean (EUC-KR)"),
)
_BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}
NAMES = tuple(_BY_NAME)


def encoding_named(name: str) -> Encoding:
    """Raises Refused."""
    found = _BY_NAME.get(name)
    if found is None:
        raise Refused(f"{name[:40]!r} is no encoding that is known here", hint=f"one of {', '.join(NAMES)}")
    return found


# Which one it is -----------------------------------------------------------------------------------------------------

_UNDEFINED_1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_WESTERN_RUN_MAX = 3
"""More accented letters than that hardly ever follow each other in Western languages."""
_WESTERN_SHARE_MAX = 0.3
_COMMON_SHARE_MIN = 0.7
"""So many of the characters are common ones where the guess is right; where it is wrong hardly any is."""
_ZEROS_MIN = 0.4
"""In UTF-16 at least so many high bytes of what machines write are zero."""
_ZEROS_STRAY_MAX = 0.02


def guess(sample: bytes) -> Encoding:
    """The encoding of a file that begins with ``sample``: what its mark says, or UTF-8; else the likeliest of
    Windows-1252, GB18030 and Shift-JIS. UTF-8 where nothing is likely: then its bad bytes are seen."""
    if sample.startswith(b"\xff\xfe") and not sample.startswith(b"\xff\xfe\0\0"):  # that is UTF-32
        return UTF_16_LE
    if sample.startswith(b"\xfe\xff"):
        return UTF_16_BE
    if b"\0" in sample:
        return _unmarked(sample)
    if sample.isascii() or sample.startswith(codecs.BOM_UTF8) or _is_utf8(sample):
        return UTF_8
    return _likeliest(sample)


def has_bad_bytes(data: bytes) -> bool:
    """Whether something in it is no UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _unmarked(sample: bytes) -> Encoding:
    """UTF-16 without a mark: of one half of the bytes many are zero, of the other none."""
    pairs = len(sample) // 2
    even, odd = sample[0 : 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if pairs and min(even, odd) <= _ZEROS_STRAY_MAX * pairs:
        if odd >= _ZEROS_MIN * pairs:
            return UTF_16_LE
        if even >= _ZEROS_MIN * pairs:
            return UTF_16_BE
    return UTF_8


def _is_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8, perhaps cut off at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=ENCODING_SAMPLES_KEPT)  # of a file that is read page by page the same sample comes again and again
def _likeliest(sample: bytes) -> Encoding:
    return UTF_8 if _is_mostly_utf8(sample) else _legacy(sample)


def _is_mostly_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 with some bad bytes, perhaps cut off at the end."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(sample)
    bad = sum("\udc80" <= c <= "\udcff" for c in text)
    return bad == 0 or sum(c > "\x7f" for c in text) - bad >= bad


def _legacy(sample: bytes) -> Encoding:
    if any(byte < 32 and byte not in b"\t\n\r\x0b\x0c\x1b" for byte in frozenset(sample)):
        return UTF_8  # no text at all
    shares = ((_common_gb(sample), GB18030), (_common_sjis(sample), SHIFT_JIS))
    share, best = max(shares, key=lambda each: each[0])
    if share >= _COMMON_SHARE_MIN:
        return best
    return CP1252 if _is_western(sample) else UTF_8


def _is_western(sample: bytes) -> bool:
    high = [byte for byte in sample if byte >= 0x80]
    if _UNDEFINED_1252 & frozenset(high) or len(high) > _WESTERN_SHARE_MAX * len(sample):
        return False
    run = longest = 0
    for byte in sample:
        run = run + 1 if byte >= 0x80 else 0
        longest = max(longest, run)
    return longest <= _WESTERN_RUN_MAX


def _common_gb(sample: bytes) -> float:
    """How many of the characters outside ASCII are common Chinese ones or punctuation; 0 where it is no GB18030."""
    text = _decoded(sample, GB18030)
    if text is None:
        return 0.0
    common = other = 0
    for c in text:
        if c > "\x7f":
            lead, trail = (*c.encode("gb18030"), 0)[:2]
            is_common = trail >= 0xA1 and (0xB0 <= lead <= 0xD7 or lead in (0xA1, 0xA3))
            common, other = common + is_common, other + (not is_common)
    return common / max(1, common + other)


def _common_sjis(sample: bytes) -> float:
    """The same of Japanese; letters of half width count as uncommon: in other encodings they are everywhere."""
    text = _decoded(sample, SHIFT_JIS)
    if text is None:
        return 0.0
    outside = [c for c in text if c > "\x7f"]
    kana = sum("\u3000" <= c <= "\u30ff" for c in outside)
    kanji = sum("\u4e00" <= c <= "\u9fff" and c.encode("cp932")[0] <= 0x97 for c in outside)
    return (kana + kanji) / max(1, len(outside)) if kana else 0.0


def _decoded(sample: bytes, encoding: Encoding) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding.codec)("strict").decode(sample)
    except UnicodeDecodeError:
        return None
