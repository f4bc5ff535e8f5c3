"""Scanning: the same lines as the plain oracle finds, whatever the blocks, the bytes and the query."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logferry.search.query import Everything, Node, Text, parse
from logferry.search.query.nodes import Literal
from logferry.search.scan import BytesSource, Marker, Match, Scanner, blocks, giant
from logferry.search.scan.patterns import matcher
from tests.search import oracle
from tests.search.strategies import logs, nodes


def _never() -> None:
    """Nothing stops the scan."""


def scan(node: Node, data: bytes, *, step: int, newest_first: bool = False, exact_case: bool = False) -> list[Match]:
    """All matches of a file cut into blocks of ``step`` bytes, with ``newlines`` counted from its start."""
    scanner, source = Scanner(node, exact_case=exact_case), BytesSource(data)
    starts = list(range(0, len(data), step))
    return [
        Match(match.start, match.end, match.newlines + data.count(b"\n", 0, start))
        for start in (reversed(starts) if newest_first else starts)
        for match in scanner.scan(source, start, start + step, newest_first=newest_first, check=_never)
    ]


@settings(max_examples=800)
@given(node=nodes, data=logs, step=st.integers(1, 80), exact_case=st.booleans())
@example(node=Text(Literal("a")), data=b"a\n\na", step=1, exact_case=True)
@example(node=Everything(), data=b"\n\n\nx", step=2, exact_case=True)
def test_a_scan_finds_the_lines_the_oracle_finds_in_order_and_numbers_them(
    node: Node, data: bytes, step: int, exact_case: bool
) -> None:
    """Start, end and number of every matching line are right for any block size."""
    wanted = [
        (line.byte, line.byte + len(line.data), line.number)
        for line in oracle.found_in(node, data, exact_case=exact_case)
    ]
    found = scan(node, data, step=step, exact_case=exact_case)
    assert [(m.start, m.end, m.newlines + 1) for m in found] == wanted


@settings(max_examples=150)
@given(node=nodes, data=logs, step=st.integers(1, 80))
def test_newest_first_is_oldest_first_reversed(node: Node, data: bytes, step: int) -> None:
    """The order changes, the matches do not."""
    assert scan(node, data, step=step, newest_first=True) == scan(node, data, step=step)[::-1]


@settings(max_examples=300)
@given(node=nodes, data=logs, window=st.integers(40, 60), step=st.integers(1, 30))
def test_lines_too_long_to_hold_are_found_window_by_window(node: Node, data: bytes, window: int, step: int) -> None:
    """With tiny bounds every line is a giant: literals are exact; what lies within the overlap is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SCAN_LINE_BYTES_MAX", 0)
        patch.setattr(blocks, "LINE_INDEX_STEP_BYTES", 7)
        patch.setattr(giant, "SCAN_BLOCK_BYTES", window * 8)
        patch.setattr(giant, "SCAN_OVERLAP_BYTES", window * 4)
        found = scan(node, data, step=step)
    wanted = [(line.byte, line.byte + len(line.data), line.number) for line in oracle.found_in(node, data)]
    assert [(m.start, m.end, m.newlines + 1) for m in found] == wanted


def test_a_literal_across_every_seam_of_windows_is_found() -> None:
    """The overlap is longer than the needle, so no seam hides it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SCAN_LINE_BYTES_MAX", 0)
        patch.setattr(giant, "SCAN_BLOCK_BYTES", 64)
        patch.setattr(giant, "SCAN_OVERLAP_BYTES", 16)
        for shift in range(200):
            data = b"x" * shift + b"needle" + b"y" * 300
            assert len(scan(parse("NEEDLE").root, data, step=10)) == 1, shift


def test_a_scan_can_be_stopped_between_steps() -> None:
    """What ``check`` raises comes out, even while nothing matches."""

    class Stop(Exception):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Stop

    data = b"a b\n" * 100_000
    with pytest.raises(Stop):
        list(
            Scanner(parse("a -b").root, exact_case=True).scan(
                BytesSource(data), 0, len(data), newest_first=False, check=check
            )
        )


@pytest.mark.parametrize(
    ("query", "line", "spans"),
    [
        ("error", b"an Error, an error", [(3, 8), (13, 18)]),
        ("a b", b"xaxb", [(1, 2), (3, 4)]),
        ("ab bc", b"abc", [(0, 3)]),
        ("-b a", b"a", [(0, 1)]),
        ("/[0-9]+/", b"a12b345", [(1, 3), (4, 7)]),
        ("/x*/", b"axx", [(1, 3)]),
        ("*", b"abc", []),
        ("@user:ali level:error time:<now -@x:b", b"ERROR user=Alice b", [(11, 14)]),
        ("caf\u00e9", "un CAFÉ".encode(), [(3, 8)]),
    ],
)
def test_a_marker_shows_every_occurrence_once(query: str, line: bytes, spans: list[tuple[int, int]]) -> None:
    """Spans are in order, joined where they touch, and never empty."""
    assert Marker(parse(query).root, exact_case=False).spans(line) == spans


def test_what_marks_lines_is_made_ready_for_the_first_of_them() -> None:
    """A query of hundreds of terms that matches nowhere would make all others wait for it; so would one of giants."""
    node = parse(" OR ".join(f"rarely{number}" for number in range(100))).root
    before = matcher.cache_info().misses
    marker, line = Marker(node, exact_case=False), giant.GiantLine(node, exact_case=False)
    assert matcher.cache_info().misses == before
    assert marker.spans(b"rarely7 and Rarely99") == [(0, 7), (12, 20)]
    found = line.find(BytesSource(b"said Rarely42 \n"), 0, lambda: None)
    assert (found.matches, found.first_seen) == (True, 5)


def test_a_kelvin_sign_is_no_k() -> None:
    """ASCII letters match their two forms and nothing else, rare or frequent."""
    node = parse("k").root
    assert not scan(node, "\u212a\n".encode(), step=100)
    dense = b"K\n" * 5000 + "\u212a\n".encode()
    assert len(scan(node, dense, step=len(dense))) == 5000
