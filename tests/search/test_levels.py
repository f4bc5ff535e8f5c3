"""Levels of lines: the kernel tells what the rules say, line by line, whatever the bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.search.query.values import LEVELS
from logferry.search.scan.filetimes import line_bounds
from logferry.search.scan.levels import NO_LEVEL, levels_of
from tests.search.oracle_levels import level_of
from tests.security.amounts import amount

LINES = [
    ("2026-11-26 07:15:00,123 - INFO  [main:QuorumPeer@913] - peer", "info"),
    ("081109 203615 148 INFO dfs.DataNode$PacketResponder: ok", "info"),
    ("2016-09-28 04:30:30, Info                  CBS    Loaded", "info"),
    ("[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok", "notice"),
    ("2026/11/26 07:15:00 [crit] 7#7: *1 connect() failed", "critical"),
    ("Nov 26 07:15:00 host sshd[7]: error: Received disconnect", "error"),
    ("03-17 16:13:38.811  1702  2395 D WindowManager: printFreezing", "debug"),
    ("D/ActivityManager(  585): starting", "debug"),
    ("I/O error on sda", None),
    ("E1126 07:15:00.123456   7 x.go:9] no", "error"),
    ("[W 261126 07:15:00 web:123] 404", "warn"),
    ("[W] x", "warn"),
    ("2026-11-26T07:15:00.123+0000 I NETWORK  [initandlisten] waiting", "info"),
    ("WARNING:root:msg", "warn"),
    ("fail: Microsoft.Hosting[0]", "error"),
    ("[07:15:00 FTL] bye", "critical"),
    ("\x1b[32minfo\x1b[39m: listening", "info"),
    ("\x1b[31mERROR\x1b[0m boom", "error"),
    ("2026-11-26T07:15:00Z\twarn\tcache/x.go:9\tslow", "warn"),
    ("panic: runtime error", "critical"),
    ("combo kernel: Call Trace:", None),
    ("Stack trace:", None),
    ("[26-Nov-2026 07:15:00 UTC] PHP Warning:  x", "warn"),
    ("2026-11-26T07:15:00Z error: x", "error"),
    ("foo.c:12:5: error: expected ;", "error"),
    ("connection error: x", None),
    ("trace: x", "trace"),
    ("GET /error HTTP/1.1", None),
    ("see /var/log/error.log", None),
    ("java.lang.Error: x", None),
    ("error-handler: x", None),
    ("status=error", None),
    ("lvl=eror level=crit", "critical"),
    ('severity: "4"', "warn"),
    ('{"msg":"ERROR","level":"debug"}', "debug"),
    ('{"a":{"level":"error"},"level":20}', "debug"),
    ('{"log":{"level":"error"}}', "error"),
    ('{"log.level":"WARN"}', "warn"),
    ('{"level":"gold","severity":"E"}', "error"),
    ('{"level":30.0}', None),
    ('{"s":"\\"level\\":\\"error","lvl":3}', "error"),
    ('<30>{"level":70}', "info"),
    ("<13>x", "notice"),
    ("<191>x", "debug"),
    ("<192>x", None),
    ("<13>app: ERROR x", "error"),
    ("\ufeff<11>x", "error"),
    ("x" * 251 + " ERROR", None),
    ("x" * 250 + " ERR x", "error"),
    ("", None),
]


def levels(data: bytes) -> list[int]:
    """Of every line."""
    return levels_of(data, *line_bounds(data, 0, len(data))).tolist() if data else []


@pytest.mark.parametrize(("line", "name"), LINES)
def test_the_level_of_a_line_is_where_programs_write_it(line: str, name: str | None) -> None:
    """Real forms, and what only looks like one; the oracle says the same."""
    wanted = NO_LEVEL if name is None else LEVELS.index(name)
    assert (levels(line.encode() + b"\n") or [NO_LEVEL])[0] == wanted
    assert level_of(line.encode()) == (None if name is None else wanted)


PIECES = [
    "error", "ERROR", "Warn", "INFO", "note", "FAIL", "failure", "informational", "e", "E", "V", "T", "Z",
    "level", "LVL", "log.level", "@l", "severity_text", "log", ":", "=", '"', "'", " ", "  ", "\t",
    "[", "]", "(", ")", "<", ">", "{", "}", "|", ",", ".", "/", "-", "_", "@", "\\", "\r", "7", "30",
    "2026-11-26 07:15:00", "E1126 07:15:00.1", "[W 2", "<13>", "<191>", "\x1b[31m", "\x1b[", "m", "é", "\x00", "x",
    "D/Tag( 7):", '"level":', '{"level":"', '{"log":{"', '\\"', "\ufeff", "words of a message",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=amount("level_lines", 600, 100_000))
@given(st.lists(st.one_of(texts, texts.map(lambda text: "{" + text), st.text(max_size=30)), max_size=4))
def test_the_kernel_says_what_the_rules_say(lines: list[str]) -> None:
    """For lines made of everything that means something."""
    rows = [line.replace("\n", "").encode("utf-8", "surrogatepass") for line in lines]
    data = b"\n".join(rows)
    wanted = [level_of(row) for row in rows]
    starts = np.cumsum([0, *(len(row) + 1 for row in rows)])[:-1]
    ends = starts + [len(row) for row in rows]
    assert [None if n == NO_LEVEL else n for n in levels_of(data, starts, ends).tolist()] == wanted


@settings(max_examples=200)
@given(texts, st.integers(150, 4200))
def test_what_stands_behind_the_reach_tells_nothing(text: str, padding: int) -> None:
    """Also where the reach ends in the middle of something."""
    for line in (b"x" * padding + text.encode(), b'{"a":"' + b"x" * padding + b'",' + text.encode()):
        assert levels(line) == [NO_LEVEL if (told := level_of(line)) is None else told]


def test_lines_outside_their_data_are_refused() -> None:
    """The kernel checks nothing."""
    for starts, ends in (([0], [9]), ([-1], [2]), ([2], [1]), ([0, 1], [1])):
        with pytest.raises(ValueError, match="outside"):
            levels_of(b"abc", starts, ends)
