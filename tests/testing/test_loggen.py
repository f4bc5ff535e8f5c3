"""The generator: the same bytes for the same seed, and lines of the shape their kind has."""

from __future__ import annotations

import json

import pytest

from logferry.testing import KINDS, LineSource


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_seed_gives_the_same_bytes(kind: str) -> None:
    """A failing run can be repeated from its seed; another seed gives other bytes."""

    def draw(seed: int) -> bytes:
        source = LineSource(kind, seed=seed)
        return b"".join(source.record() for _ in range(200))

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_records_end_at_line_ends_and_pieces_lose_nothing(kind: str) -> None:
    """Pieces may cut records in two, but put together they are whole records."""
    source = LineSource(kind, seed=1)
    assert source.record().endswith(b"\n")
    pieces = [source.piece() for _ in range(300)]
    assert any(not piece.endswith(b"\n") for piece in pieces), "no write ended within a line"
    assert (b"".join(pieces) + source.rest()).endswith(b"\n")
    assert source.rest() == b""


def test_each_kind_has_its_own_shape() -> None:
    """JSON parses, CRLF ends in CRLF, stack traces have several lines."""
    lines = {kind: LineSource(kind, seed=3).record() for kind in KINDS}
    assert json.loads(lines["json"])["level"] in ("debug", "info", "warn", "error")
    assert lines["crlf"].endswith(b"\r\n")
    java = LineSource("java", seed=3)
    assert any(record.count(b"\n") > 3 for record in (java.record() for _ in range(200)))
