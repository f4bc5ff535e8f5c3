"""The older system's settings files: one ``KEY:value`` a line. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from logferry.errors import BadConfig

_KEY = re.compile(r"[A-Z][A-Z0-9_]*")
_PASSED_OVER = ("#", "\r", "\n", "\t")


@dataclass(frozen=True, slots=True)
class SeedSettings:
    """The keys of a file with their values; ``strange`` are the lines (numbered from 1) that are no setting."""

    values: Mapping[str, str]
    strange: tuple[int, ...] = ()

    def need(self, key: str, where: str) -> str:
        """The value of ``key``. Raises BadConfig when it is missing or empty."""
        value = self.values.get(key, "")
        if not value:
            raise BadConfig(f"{where}: {key} is missing", hint=f"write {key}:… into it, then import again")
        return value

    def number(self, key: str, where: str, default: int | None = None) -> int:
        """The value of ``key`` as a whole number, not negative. Raises BadConfig."""
        if default is not None and not self.values.get(key, ""):
            return default
        text = self.need(key, where)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise BadConfig(f"{where}: {key} = {text!r} is not a whole number", hint=f"write {key}:10, for example")
        return int(text)


def settings_of(raw: bytes) -> SeedSettings:
    """Read a settings file. A later line for a key wins, as it did.

    Lines that begin with ``#`` or a tab, and empty ones, are passed over. The rest is split at the first colon; only
    what stands before it in capital letters is a key, because comments that were wrapped have colons too.
    """
    values: dict[str, str] = {}
    strange = []
    for number, line in enumerate(text_of(raw).split("\n"), 1):
        if not line or line.startswith(_PASSED_OVER):
            continue
        key, colon, value = line.partition(":")
        if colon and _KEY.fullmatch(key.strip()):
            values[key.strip()] = value.strip()
        elif line.strip():
            strange.append(number)
    return SeedSettings(values, tuple(strange))


def text_of(raw: bytes) -> str:
    """UTF-8 with or without a mark at its beginning, else the Western code page that old editors wrote."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
