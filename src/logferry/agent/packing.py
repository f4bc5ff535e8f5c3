"""Whether bundles are compressed: only where the link is slower than the machine. Pure: measurements in, a form out.

Plain ``tar`` is the beginning, and stays on a fast link. When it goes slower than a link is worth having, the next
bundle goes compressed; that stays while it moves clearly more bytes of files per second than plain did, since a bundle
may also be slow for the server's sake, where compression helps nobody. Now and then the other form gets another try.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logferry.limits import (
    MIB,
    PACKED_AGAIN_BUNDLES,
    PACKED_GAIN_MIN,
    PACKED_SAMPLE_BYTES_MIN,
    SLOW_LINK_BYTES_S,
)

PLAIN = "tar"
_VERY_SLOW_BYTES_S = 4 * MIB


@dataclass(frozen=True, slots=True)
class Form:
    """How the next bundle goes: one of the server's formats, and a level for compression."""

    name: str
    level: int = 0


class Packing:
    """What one connection has learned about its link."""

    def __init__(self) -> None:
        self._plain_bytes_s = 0.0
        self._packed_bytes_s = 0.0
        self._packs = False
        self._since = 0
        """Bundles since the form was last changed."""

    def form(self, offered: Sequence[str], has_zstd: Callable[[], bool]) -> Form:
        """The form for the next bundle. ``offered`` is what the server unpacks.

        ``has_zstd`` tells whether there is zstd here; it is asked only on a slow link, since finding out loads it.
        """
        if self._packs or PLAIN not in offered:
            if "tar.zst" in offered and has_zstd():
                return Form("tar.zst", 3)
            if "tar.gz" in offered:
                return Form("tar.gz", 6 if self._plain_bytes_s < _VERY_SLOW_BYTES_S else 1)
        return Form(PLAIN)

    def note(self, form: str, count: int, seconds: float) -> None:
        """A bundle with ``count`` bytes of files went in ``form`` and was confirmed after ``seconds``."""
        if count < PACKED_SAMPLE_BYTES_MIN or seconds <= 0:
            return
        rate = count / seconds
        if form == PLAIN:
            self._plain_bytes_s = _smoothed(self._plain_bytes_s, rate)
        else:
            self._packed_bytes_s = _smoothed(self._packed_bytes_s, rate)
        self._since += 1
        self._decide()

    def _decide(self) -> None:
        if not self._packs:
            untried = self._packed_bytes_s == 0.0
            if self._plain_bytes_s < SLOW_LINK_BYTES_S and (untried or self._since >= PACKED_AGAIN_BUNDLES):
                self._change(packs=True)
        elif self._packed_bytes_s < self._plain_bytes_s * PACKED_GAIN_MIN:
            self._change(packs=False)
        elif self._since >= PACKED_AGAIN_BUNDLES:
            # One plain bundle tells anew how fast the link is; both forms begin afresh with it.
            self._plain_bytes_s = 0.0
            self._change(packs=False)
            self._packed_bytes_s = 0.0

    def _change(self, *, packs: bool) -> None:
        self._packs = packs
        self._since = 0
        if packs:
            self._packed_bytes_s = 0.0


def _smoothed(old: float, new: float) -> float:
    return new if old == 0.0 else 0.7 * old + 0.3 * new
