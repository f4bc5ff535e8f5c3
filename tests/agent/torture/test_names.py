"""Rows 23 to 27: names that are only bytes, links that go round in circles or point elsewhere."""

from __future__ import annotations

import os
import unicodedata

import pytest

from logferry.names import unescape
from tests.agent.conftest import lines
from tests.agent.torture.yard import Yard

ROWS = {
    23: [b"line\nbreak.log", b"car\rriage.log", b"\n", b"tab\t.log", b"bell\a\x1b[31m.log", b"next\xc2\x85line"],
    24: [b"not-utf8-\xff\xfe.log", b"\x80", b"latin-\xe9.log", b"half-\xe2\x82.log", b"\xff" * 200, b"\xed\xa0\x80"],
    25: [
        b"with  spaces.log",
        b" leading and trailing ",
        b"'single' \"double\" `back`",
        b"[x]*?{a,b}",
        b"back\\slash\\",
        b"%41",
        b"%4",
        b"100%",
        b"%25%0A",
        b"-rf",
        b"--",
        b"~",
        b"trailing dot.",
        b"CON",
        b"nul.log",
        b'a<b>c:d"e|f',
        b"y" * 250,
        b"z" * 255,
        "ü".encode() * 127,
        "right\u202eto\u202cleft".encode(),
        b"app.log.~gen-looks-like-one~",
        b".~lf-looks-like-one",
    ],
}


def _shipped(yard: Yard, names: list[bytes]) -> None:
    """Each name for a file and for a folder; some of both grow while the agent runs, one is renamed."""
    paths = [path for name in names for path in (b"files/" + name, b"folders/" + name + b"/" + name)]
    for number, path in enumerate(paths[::2]):
        yard.write(path, b"%d\n" % number * number)
    with yard.live():
        yard.wait()
        for number, path in enumerate(paths):
            yard.write(path, b"%d more\n" % number)
        yard.wait()
        yard.rename(paths[0], paths[0] + b".1" if len(paths[0]) < 200 else paths[0][:-2] + b".1")
        yard.write(paths[0], b"anew\n")
        yard.wait()
    yard.finish()
    for name in yard.node.current():
        assert not any(unicodedata.category(c) == "Cc" for c in name), "nothing that a terminal would obey"
        if ".~long-" not in name:
            assert unescape(name) in {path for life in yard.ledger.lives for path in life.paths}


def test_row_23_control_characters_in_names_are_stored_and_shown_escaped(yard: Yard) -> None:
    """FTP cannot carry a line feed in a name."""
    _shipped(yard, ROWS[23])


def test_row_24_names_that_are_not_utf_8_are_stored_without_loss(yard: Yard) -> None:
    """One that would be too long when it is escaped is cut and marked; its raw name stays in the registry."""
    _shipped(yard, ROWS[24])


def test_row_25_blanks_quotes_patterns_percents_dashes_and_long_names_are_stored(yard: Yard) -> None:
    """Also names that other systems forbid, and those that look like ours."""
    _shipped(yard, ROWS[25])


@pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])
def test_row_26_a_loop_of_links_is_passed_over(yard: Yard, live: bool) -> None:
    """To the folder itself, above it, across, and a link to itself; every file is there once."""
    yard.write("a/b/app.log", lines(0, 50))
    yard.write("a/other.log", lines(100, 50))
    for link, target in (("a/b/loop", ".."), ("a/b/top", str(yard.node.logs)), ("a/self", "self"), ("x", "a/b/loop")):
        os.symlink(target, yard.node.path(link))
    if live:
        with yard.live():
            yard.wait()
            os.symlink("../b", yard.node.path("a/b/later"))
            yard.write("a/b/app.log", lines(50, 50))
            yard.wait()
    else:
        yard.node.once()
    assert sorted(yard.node.current()) == ["a/b/app.log", "a/other.log"]
    _finish_with_findings(yard)


def _finish_with_findings(yard: Yard) -> None:
    """As ``Yard.finish``; that something cannot be looked at is said each time."""
    for _ in range(2):
        summary = yard.node.once()
        assert summary.left == 0
    assert summary.sent_slices == 0
    assert yard.arrived()
    assert yard.account().wrong == []


@pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])
def test_row_27_a_link_that_gets_another_target_old_drained_new_from_0(yard: Yard, live: bool) -> None:
    """The link is what the pattern matches. What is written to the old target after that belongs to the old content
    as long as the agent has it open."""
    yard.node.include = '["*.log"]'
    yard.node.write("data-1", lines(0, 300))
    yard.node.write("data-2", lines(5000, 900))
    os.symlink("data-1", yard.node.path("current.log"))
    yard.ledger.written(b"current.log", lines(0, 300))
    first = yard.ledger.current()[b"current.log"]

    def switch() -> None:
        os.symlink("data-2", yard.node.path("beside"))
        os.rename(yard.node.path("beside"), yard.node.path("current.log"))
        yard.ledger.removed(b"current.log")
        yard.ledger.written(b"current.log", lines(5000, 900))

    if live:
        with yard.live():
            yard.wait()
            yard.node.write("data-1", lines(300, 20))
            yard.ledger.added(first, lines(300, 20))
            switch()
            yard.wait()
            yard.node.write("data-1", lines(320, 5))
            yard.ledger.added(first, lines(320, 5))
            yard.wait()
            yard.node.write("data-2", lines(6000, 10))
            yard.ledger.written(b"current.log", lines(6000, 10))
            yard.wait()
    else:
        yard.once()
        switch()
        yard.once()
    yard.finish()
