"""grep, find, count and histogram against a running server: output, exit codes, terminals, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import AGENT, LINES, Shipped

pytestmark = pytest.mark.slow  # a running server, real processes

REFUSED = (121, 301)
"""Lines of app.log that hold "connection refused"."""


def rows(shipped: Shipped, *numbers: int, hits: tuple[int, ...] = REFUSED) -> list[str]:
    """Lines of app.log as grep prints them: hits with colons, others with dashes."""
    signs = {n: ":" if n in hits else "-" for n in numbers}
    return [f"{shipped.place('app.log')}{signs[n]}{n}{signs[n]}{LINES[n - 1]}" for n in numbers]


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [(("-B2",), 2, 0), (("-A3",), 0, 3), (("-A1", "-B2"), 2, 1), (("-C2", "-A0"), 2, 0), (("-C1",), 1, 1)],
)
def test_context_is_before_behind_or_both(shipped: Shipped, options: tuple[str, ...], before: int, after: int) -> None:
    """As many lines as asked for on each side; -C for what neither says."""
    done = shipped.site.logferry("grep", "--oldest", *options, '"connection refused"', shipped.place("app.log"))
    blocks = [rows(shipped, *range(n - before, n + after + 1)) for n in REFUSED]
    assert done.out.splitlines() == [*blocks[0], "--", *blocks[1]]


def test_contexts_that_touch_are_one_block(shipped: Shipped) -> None:
    """Each line once, as with grep."""
    done = shipped.site.logferry("grep", "-C3", "-s", "/request (20|22|24) /", shipped.place("app.log"))
    assert done.out.splitlines() == rows(shipped, *range(17, 28), hits=(20, 22, 24))


def test_json_has_no_more_context_than_asked_for(shipped: Shipped) -> None:
    """-B1 leaves nothing behind a hit."""
    done = shipped.site.logferry("grep", "--json", "-B1", '"connection refused"', shipped.place("app.log"))
    hits = [json.loads(line) for line in done.out.splitlines()][:-1]
    assert [(len(hit["before"]), len(hit["after"])) for hit in hits] == [(1, 0), (1, 0)]


def test_as_many_hits_as_asked_for(shipped: Shipped) -> None:
    """-m stops, and the account says so; -m 0 is every one."""
    done = shipped.site.logferry("grep", "-m", "3", "request", shipped.place("app.log"))
    assert (done.code, len(done.out.splitlines())) == (0, 3)
    assert "stopped at 3 hits" in done.err
    done = shipped.site.logferry("grep", "-m", "0", "", shipped.place("app.log"))
    assert len(done.out.splitlines()) == len(LINES)
    assert "stopped" not in done.err


def test_case_is_as_asked_for(shipped: Shipped) -> None:
    """-i is the default, -s is exact, both together are wrong use."""
    place = shipped.place("app.log")
    assert shipped.site.logferry("grep", "-i", "-c", '"connection refused"', place).out == "2\n"
    assert shipped.site.logferry("grep", "-s", "-c", '"connection refused"', place).code == 1
    assert shipped.site.logferry("grep", "-i", "-s", "x").code == 2
    assert shipped.site.logferry("grep", "-c", "-l", "x").code == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [('"connection refused"', 0), ("nosuchwordanywhere", 1), ("(x", 2), ("size:many", 2), ("x --since yesterdy", 2)],
)
def test_exit_codes_are_those_of_grep(shipped: Shipped, query: str, code: int) -> None:
    """0 found, 1 nothing found, above it trouble; the same for grep, -c, -l, count and histogram."""
    words = [query] if code < 2 and query.startswith('"') else query.split(" ")
    for command in (["grep"], ["grep", "-c"], ["grep", "-l"], ["count"], ["histogram"]):
        done = shipped.site.logferry(*command, *words)
        assert done.code == code, (command, done.err)
        assert "Traceback" not in done.err


def test_agent_and_path_narrow_what_is_searched(shipped: Shipped) -> None:
    """Globs over agents, parts of paths."""
    assert shipped.site.logferry("grep", "-c", "request", "--agent", "nosuch-*").code == 1
    assert shipped.site.logferry("grep", "-c", "request", "--agent", "web-*", "--path", "app.log").out == "498\n"
    assert shipped.site.logferry("grep", "-l", '"connection refused"', "--path", "*.log").out.splitlines() == [
        shipped.place("app.log")
    ]


def test_time_narrows_what_is_searched(shipped: Shipped) -> None:
    """Exactly, by the time that lines tell; also in words about now."""
    place = shipped.place("app.log")

    def found(*options: str) -> str:
        return shipped.site.logferry("grep", "-c", "", place, *options).out

    minutes = [int(line[14:16]) for line in LINES]
    assert found("--since", "2026-11-23T08:03") == f"{sum(m >= 3 for m in minutes)}\n"
    assert found("--until", "2026-11-23T08:03") == f"{sum(m <= 3 for m in minutes)}\n"
    assert found("--since", "2026-11-23T08:03:00Z", "--until", "2026-11-23T08:04:59Z") == "120\n"
    assert found("--until", "2026-11-22") == "0\n"
    assert shipped.site.logferry("grep", "-c", "", place, "--since", "2026-11-24", "--until", "2026-11-23").code == 2


def test_the_account_says_why_not_all_was_scanned(shipped: Shipped) -> None:
    """Files that the query rules out are not looked at."""
    done = shipped.site.logferry("grep", '"connection refused" path:app.log size:>1k')
    assert re.search(r"^2 hits in 1 file, scanned 26 KB of .+ \(file filter\), \d+\.\d s$", done.err, re.MULTILINE)
    done = shipped.site.logferry("grep", '"connection refused"')
    assert "filter" not in done.err


def test_count_tells_how_many_and_where(shipped: Shipped) -> None:
    """The number alone on standard output; by field as a table; as JSON."""
    done = shipped.site.logferry("count", '"connection refused"')
    assert (done.code, done.out) == (0, "2\n")
    assert re.search(r"^2 hits, scanned .+ of .+, \d+\.\d s$", done.err, re.MULTILINE)
    done = shipped.site.logferry("count", "request", shipped.place("app.log"), "--by", "agent", "--by", "file")
    assert done.out.splitlines() == ["hits  agent", f"{498:>4}  {AGENT}", "hits  file", f"{498:>4}  app.log"]
    told = json.loads(shipped.site.logferry("count", "--json", "request", "--by", "ext").out)
    assert (told["type"], told["facets"][0]["field"], told["exact"]) == ("tally", "ext", True)
    assert int(shipped.site.logferry("count").out) > len(LINES)


def test_a_histogram_is_drawn_as_wide_as_the_terminal(shipped: Shipped) -> None:
    """A bar a line, the longest to the edge; never wider."""
    for columns in (40, 80, 200):
        done = shipped.site.logferry(
            "histogram", "request", shipped.place("app.log"), "--by", "minute", COLUMNS=str(columns), PYTHONUTF8="1"
        )
        lines = done.out.splitlines()
        assert len(lines) == 9
        assert max(map(len, lines)) == columns
        assert lines[1].startswith("2026-11-23 08:01  60  ████")
        assert lines[2].startswith("2026-11-23 08:02  59  ████")
    assert "498 hits, a bar is a minute" in done.err


def test_a_histogram_counts_every_line(shipped: Shipped) -> None:
    """As JSON, and whatever the width of its buckets."""
    for by in ("auto", "second", "minute", "hour", "day"):
        told = json.loads(
            shipped.site.logferry("histogram", "--json", "--by", by, "request", shipped.place("app.log")).out
        )
        assert sum(bucket["count"] for bucket in told["histogram"]["buckets"]) == 498, by
    assert shipped.site.logferry("histogram", "nosuchwordanywhere").code == 1


def test_find_prints_columns_that_line_up(shipped: Shipped) -> None:
    """Places, then sizes, right-aligned; -l adds time and state."""
    done = shipped.site.logferry("find", "path:cut.log", "OR", "path:escapes.log")
    lines = done.out.splitlines()
    assert sorted(lines) == sorted(
        [f"{shipped.place('cut.log')}       6 B", f"{shipped.place('escapes.log')}   47 B"]
    ) or all(re.fullmatch(r"\S+ +\d+ B", line) for line in lines)
    assert len({len(line) for line in lines}) == 1
    (line,) = shipped.site.logferry("find", "-l", "cut.log").out.splitlines()
    assert re.fullmatch(r"\S+cut\.log   6 B   20\d\d-\d\d-\d\d \d\d:\d\d   \w+ \+1 older", line)


def test_find_ends_places_with_nul_for_xargs(shipped: Shipped) -> None:
    """Places alone, as the other commands take them."""
    done = shipped.site.logferry_bytes("find", "-0", "cut.log")
    assert done == shipped.place("cut.log").encode() + b"\0"
    odd = shipped.site.logferry_bytes("find", "-0", "odd").rstrip(b"\0").decode()
    assert shipped.site.logferry("cat", odd).out == "odd\n"
    assert shipped.site.logferry("find", "-0", "--json", "x").code == 2


# Terminals and pipes -------------------------------------------------------------------------------------------------


def command(shipped: Shipped, *arguments: str) -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "logferry.cli", *arguments]


def on_terminal(shipped: Shipped, *arguments: str, columns: int = 100) -> str:
    """What a command writes to a terminal, both streams."""
    ours, theirs = pty.openpty()
    environment = shipped.site.programs.environment() | {"TERM": "xterm", "COLUMNS": str(columns), "PYTHONUTF8": "1"}
    done = subprocess.Popen(
        command(shipped, *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=shipped.site.folder,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data
    os.close(ours)
    done.wait(30)
    return seen.decode()


def test_matches_are_painted_on_a_terminal_and_hostile_bytes_are_not_obeyed(shipped: Shipped) -> None:
    """Colours of ours only: what a log holds is drawn."""
    seen = on_terminal(shipped, "grep", "cleared")
    assert "\x1b[31m\x1b[1mcleared\x1b[0m" in seen
    assert "\u241b[2J" in seen
    assert "\x1b[2J" not in seen
    assert "\x07" not in seen
    seen = on_terminal(shipped, "histogram", "request", shipped.place("app.log"), "--by", "minute")
    assert "\x1b[36m█" in seen


def test_no_colours_where_nobody_wants_them(shipped: Shipped) -> None:
    """Into a pipe, or with NO_COLOR."""
    assert "\x1b" not in shipped.site.logferry("grep", "request", shipped.place("app.log")).out
    assert "\x1b" not in shipped.site.logferry("histogram", "request").out


@pytest.mark.parametrize("words", [("grep", "-m", "0", ""), ("grep", "-m", "0", "-C1", "e"), ("find", "log")])
def test_a_reader_that_leaves_ends_it_quietly(shipped: Shipped, words: tuple[str, ...]) -> None:
    """As ``| head -1`` does."""
    environment = shipped.site.programs.environment()
    with subprocess.Popen(
        command(shipped, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=shipped.site.folder,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        told = running.stderr.read().decode()
        assert running.wait(30) == 0, told
    assert "Traceback" not in told
    assert "Exception" not in told


def test_ctrl_c_ends_it_quietly(shipped: Shipped, tmp_path: Path) -> None:
    """Exit code 130, no traceback, whatever was printed stays."""
    environment = shipped.site.programs.environment()
    with subprocess.Popen(
        command(shipped, "grep", "-m", "0", "--json", "-C50", ""),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=shipped.site.folder,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()  # it goes on until the pipe is full, then waits
        running.send_signal(signal.SIGINT)
        drain = threading.Thread(target=running.stdout.read, daemon=True)
        told = running.stderr.read().decode()
        drain.start()
        assert running.wait(30) == 130, told
        drain.join(30)
    assert "Traceback" not in told


def test_a_place_that_is_none_is_refused(shipped: Shipped) -> None:
    """Nothing is searched that was not asked for."""
    for command in ("grep", "count", "histogram"):
        for place in ("/nowhere/at/all", f"{AGENT}:/a/../b"):
            done = shipped.site.logferry(command, "request", place)
            assert (done.code, done.out) == (2, ""), (command, place, done)
    done = shipped.site.logferry("grep", "request", shipped.place("app.log"), "--path", "other")
    assert done.code == 2
    assert "--path" in done.err


def test_a_terminal_that_knows_fewer_characters_gets_them_escaped(shipped: Shipped) -> None:
    """Nothing found is lost, and it is no failure."""
    done = subprocess.run(
        [sys.executable, "-m", "logferry.cli", "--help"],
        env={**shipped.site.programs.environment(), "PYTHONIOENCODING": "latin-1"},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert b"\\u2026" in done.stdout
