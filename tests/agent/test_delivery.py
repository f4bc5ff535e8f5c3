"""Files grow, are renamed, truncated, replaced and deleted; what arrives is what was written."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from logferry.ftp import Unpacked
from logferry.names import escape_path
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import ArchiveShelf, LocalShelf


def test_new_files_arrive_whole_and_a_second_run_sends_nothing(node: Node) -> None:
    """Files of all sizes, folders included; an unchanged tree costs no transfer."""
    node.write("app.log", b"one\n" * 1000)
    node.write("deep/er/b.log", b"")
    node.write("big.bin", os.urandom(17 * 1024 * 1024 + 5))
    summary = node.once()
    assert summary.complete, summary
    assert node.current() == {p: node.read(p) for p in ("app.log", "deep/er/b.log", "big.bin")}
    again = node.once()
    assert again.complete
    assert again.sent_slices == 0


def test_many_new_files_travel_as_bundles_where_the_server_unpacks_them(node: Node) -> None:
    """Odd names, empty files, deep folders; one of them is there already with other content, which is kept."""
    unpacked: list[Unpacked] = []
    if isinstance(node.server, LocalShelf):
        node.server.server.on(Unpacked, unpacked.append)
    node.write("deep/0/7.log", b"an earlier life")
    assert node.once().complete
    shutil.rmtree(node.config().state_dir)
    os.unlink(node.path("deep/0/7.log"))
    names = [b"deep/%d/%d.log" % (n % 5, n) for n in range(300)] + [
        b"odd/not-utf8-\xff",
        b"odd/a\nb",
        b"odd/%41 ",
        b"-x",
    ]
    for number, name in enumerate(names):
        node.write(name, b"%s\n" % name * (number % 50))
    summary = node.once()
    assert summary.complete, summary
    current = node.current()
    assert {escape_path(name): node.read(name) for name in names}.items() <= current.items()
    left = {name: data for name, data in current.items() if name not in {escape_path(n) for n in names}}
    assert [*left.values(), *node.generations("deep/0/7.log")].count(b"an earlier life") <= 1
    if isinstance(node.server, LocalShelf):
        assert sum(one.files for one in unpacked) >= 290
    again = node.once()
    assert (again.complete, again.sent_slices) == (True, 0)


def test_growth_is_appended(node: Node) -> None:
    """Only the new bytes travel."""
    node.write("app.log", b"a" * 5000)
    assert node.once().complete
    node.write("app.log", b"b" * 3000)
    summary = node.once()
    assert summary.complete
    assert summary.sent_bytes == 3000
    assert node.current() == {"app.log": b"a" * 5000 + b"b" * 3000}


@pytest.mark.parametrize("small", [0, 40], ids=["some lines", "tiny"])
def test_a_rename_while_the_agent_was_away_is_followed(node: Node, small: int) -> None:
    """The archived file gets the new name, its unsent tail arrives there, the new file begins from 0."""
    first = lines(0, 1) if small else lines(0, 500)
    node.write("app.log", first)
    assert node.once().complete
    node.write("app.log", lines(500, 20))
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(1000, 30))
    summary = node.once()
    assert summary.complete, summary
    assert summary.renames == 1
    assert node.current() == {"app.log": lines(1000, 30), "app.log.1": first + lines(500, 20)}


def test_a_rename_to_a_name_outside_the_patterns_is_followed(node: Node) -> None:
    """The rotated file is searched in its folder by inode and content, and its tail is not lost."""
    node.include = '["app.log"]'
    node.write("app.log", lines(0, 500))
    assert node.once().complete
    node.write("app.log", lines(500, 100))
    os.rename(node.path("app.log"), node.path("old-20261123"))
    node.write("app.log", lines(2000, 10))
    assert node.once().complete
    assert node.current() == {"app.log": lines(2000, 10), "old-20261123": lines(0, 600)}
    node.write("old-20261123", b"one more line\n")
    assert node.once().complete
    assert node.current()["old-20261123"] == lines(0, 600) + b"one more line\n"


def test_a_chain_of_renames_moves_every_archived_file_once(node: Node) -> None:
    """.1 becomes .2, the log becomes .1; nothing is sent again and nothing is overwritten."""
    node.write("app.log", lines(0, 300))
    assert node.once().complete
    for turn in range(1, 4):
        for number in range(turn - 1, 0, -1):
            os.rename(node.path(f"app.log.{number}"), node.path(f"app.log.{number + 1}"))
        os.rename(node.path("app.log"), node.path("app.log.1"))
        node.write("app.log", lines(turn * 1000, 300))
        summary = node.once()
        assert summary.complete
        assert summary.sent_bytes == len(lines(turn * 1000, 300))
    assert node.current() == {
        "app.log": lines(3000, 300),
        "app.log.1": lines(2000, 300),
        "app.log.2": lines(1000, 300),
        "app.log.3": lines(0, 300),
    }


def test_two_files_that_exchange_their_names_exchange_them_in_the_archive(node: Node) -> None:
    """A ring of renames is opened through a third name."""
    node.write("a.log", lines(0, 100))
    node.write("b.log", lines(500, 200))
    assert node.once().complete
    os.rename(node.path("a.log"), node.path("x"))
    os.rename(node.path("b.log"), node.path("a.log"))
    os.rename(node.path("x"), node.path("b.log"))
    assert node.once().complete
    assert node.current() == {"a.log": lines(500, 200), "b.log": lines(0, 100)}


def test_the_oldest_of_a_chain_is_kept_when_the_node_deletes_it(node: Node) -> None:
    """A rename onto a name whose file is gone moves the archived copy aside first."""
    node.write("app.log", lines(0, 100))
    node.write("app.log.1", lines(100, 100))
    assert node.once().complete
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(200, 10))
    assert node.once().complete
    assert node.current() == {"app.log": lines(200, 10), "app.log.1": lines(0, 100)}
    assert node.generations("app.log.1") == [lines(100, 100)]


@pytest.mark.parametrize("refill", [0, 10, 400, 3000], ids=lambda n: f"{n} lines after")
def test_truncation_while_away_begins_a_new_generation(node: Node, refill: int) -> None:
    """Whether the file is shorter, as long or longer than before: the old content stays, the new one begins from 0."""
    node.write("app.log", lines(0, 400))
    assert node.once().complete
    os.truncate(node.path("app.log"), 0)
    node.write("app.log", lines(7000, refill))
    assert node.once().complete
    assert node.current() == {"app.log": lines(7000, refill)}
    assert node.generations("app.log") == [lines(0, 400)]


def test_copytruncate_while_away_keeps_the_old_generation_and_the_copy(node: Node) -> None:
    """The copy is a file of its own."""
    node.write("app.log", lines(0, 400))
    assert node.once().complete
    node.write("app.log.1", node.read("app.log"))
    os.truncate(node.path("app.log"), 0)
    node.write("app.log", lines(5000, 30))
    assert node.once().complete
    assert node.current() == {"app.log": lines(5000, 30), "app.log.1": lines(0, 400)}
    assert node.generations("app.log") == [lines(0, 400)]


def test_a_replacement_of_the_same_size_and_time_is_seen(node: Node) -> None:
    """Same size, same modification time, other content: inode, ctime and content tell."""
    node.write("app.log", lines(0, 400))
    assert node.once().complete
    before = os.stat(node.path("app.log"))
    fresh = lines(9000, 400)[: before.st_size].ljust(before.st_size, b"#")
    node.write("new", fresh)
    os.utime(node.path("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(node.path("new"), node.path("app.log"))
    assert node.once().complete
    assert node.current() == {"app.log": fresh}
    assert node.generations("app.log") == [lines(0, 400)]


def test_a_new_file_with_the_same_header_is_not_taken_for_the_old_one(node: Node) -> None:
    """2 KiB of equal header, then other lines."""
    header = b"# format 7\n" * 200
    node.write("app.log", header + lines(0, 100))
    assert node.once().complete
    os.unlink(node.path("app.log"))
    node.write("app.log", header + lines(6000, 300))
    assert node.once().complete
    assert node.current() == {"app.log": header + lines(6000, 300)}
    assert node.generations("app.log") == [header + lines(0, 100)]


def test_a_deleted_file_stays_in_the_archive(node: Node) -> None:
    """And when a file with its name comes back, the old content is kept beside the new."""
    node.write("app.log", lines(0, 50))
    assert node.once().complete
    os.unlink(node.path("app.log"))
    assert node.once().complete
    assert node.current() == {"app.log": lines(0, 50)}
    node.write("app.log", lines(100, 50))
    assert node.once().complete
    assert node.current() == {"app.log": lines(100, 50)}
    assert node.generations("app.log") == [lines(0, 50)]


def test_a_touched_file_with_frozen_or_older_time_is_sent_when_it_grew(node: Node) -> None:
    """Size decides; the modification time may stand still or go back."""
    node.write("app.log", lines(0, 50))
    assert node.once().complete
    before = os.stat(node.path("app.log"))
    node.write("app.log", lines(50, 50))
    os.utime(node.path("app.log"), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert node.once().complete
    assert node.current() == {"app.log": lines(0, 100)}
    node.write("app.log", lines(100, 50))
    os.utime(node.path("app.log"), ns=(0, 1_000_000_000))
    assert node.once().complete
    assert node.current() == {"app.log": lines(0, 150)}


def test_odd_names_arrive_reversibly(node: Node) -> None:
    """Newlines, invalid UTF-8, percent signs, blanks, 255 bytes."""
    names = [
        b"line\nbreak.log",
        b"not-utf8-\xff\xfe.log",
        b"%41 percent.log",
        b" leading and trailing ",
        b"-dash",
        b"'quoted' \"name\" $HOME;[x]*?\\",
        b"y" * 255,
        "ü".encode() * 120,
        b"\xff" * 200,
    ]
    for number, name in enumerate(names):
        node.write(name, b"%d\n" % number)
    summary = node.once()
    assert summary.complete, summary
    arrived = node.current()
    assert sorted(arrived.values()) == [b"%d\n" % number for number in range(len(names))]
    assert {"line%0Abreak.log", "not-utf8-%FF%FE.log", "%2541 percent.log", " leading and trailing "} <= arrived.keys()


def test_a_hundred_megabyte_line_arrives(node: Node) -> None:
    """Bytes, not lines."""
    node.write("long.log", random.Random(1).randbytes(1024 * 1024).replace(b"\n", b" ") * 100)
    assert node.once().complete
    assert node.current()["long.log"] == node.read("long.log")


watching = pytest.mark.parametrize("watcher", [False, True], ids=["polling", "inotify"])


@watching
def test_everything_is_followed_live(node: Node, watcher: bool) -> None:
    """Growth, rename with later writes by an old handle, truncation and deletion, while the agent runs."""
    node.write("app.log", lines(0, 100))
    with RunningAgent(node, watcher=watcher):
        eventually(lambda: node.current() == {"app.log": lines(0, 100)}, node.current)
        with open(node.path("app.log"), "ab") as old:
            os.rename(node.path("app.log"), node.path("app.log.1"))
            node.write("app.log", lines(500, 50))
            expected = {"app.log": lines(500, 50), "app.log.1": lines(0, 100)}
            eventually(lambda: node.current() == expected, node.current)
            old.write(lines(100, 7))
        expected["app.log.1"] += lines(100, 7)
        eventually(lambda: node.current() == expected, node.current)
        os.truncate(node.path("app.log"), 0)
        node.write("app.log", lines(800, 5))
        eventually(lambda: node.current().get("app.log") == lines(800, 5), node.current)
        os.unlink(node.path("app.log"))
        node.write("other.log", lines(0, 3))
        eventually(lambda: "other.log" in node.current(), node.current)
    assert node.current() == {"app.log": lines(800, 5), "app.log.1": lines(0, 107), "other.log": lines(0, 3)}
    assert node.generations("app.log") == [lines(500, 50)]


@watching
def test_bytes_written_to_a_deleted_file_through_an_old_handle_arrive(node: Node, watcher: bool) -> None:
    """The agent holds files that grew lately open, so the last lines before and after a deletion are not lost."""
    node.write("app.log", lines(0, 100))
    with RunningAgent(node, watcher=watcher), open(node.path("app.log"), "ab") as old:
        eventually(lambda: node.current() == {"app.log": lines(0, 100)}, node.current)
        old.write(lines(100, 10))
        old.flush()
        os.unlink(node.path("app.log"))
        eventually(lambda: node.current() == {"app.log": lines(0, 110)}, node.current)
        old.write(lines(110, 10))
        old.flush()
        eventually(lambda: node.current() == {"app.log": lines(0, 120)}, node.current)


@watching
def test_a_file_that_is_refilled_and_deleted_at_once_is_kept_as_a_generation(node: Node, watcher: bool) -> None:
    """Only the agent's open handle has those bytes by the time anybody looks at them."""
    node.write("app.log", lines(0, 20))
    with RunningAgent(node, watcher=watcher):
        eventually(lambda: node.current() == {"app.log": lines(0, 20)}, node.current)
        with open(node.path("app.log"), "r+b") as writer:
            writer.truncate(0)
            writer.write(lines(500, 40))
            writer.flush()
            os.unlink(node.path("app.log"))
        eventually(lambda: lines(500, 40) in everything(node), node.current)
    assert sorted(everything(node)) == sorted([lines(0, 20), lines(500, 40)])


def everything(node: Node) -> list[bytes]:
    """All contents that the server holds, under whatever name."""
    if isinstance(node.server, ArchiveShelf):
        catalog = node.server.catalog
        return [node.server._read(g.id) for f in catalog.files.each() for g in catalog.files.generations(f.id)]
    return [*node.current().values(), *node.generations("app.log")]


@watching
def test_a_file_moved_out_of_the_sources_is_drained_before_its_name_is_used_again(node: Node, watcher: bool) -> None:
    """Last bytes through the open handle, then the old generation moves aside."""
    node.write("app.log", lines(0, 100))
    with RunningAgent(node, watcher=watcher), open(node.path("app.log"), "ab") as old:
        eventually(lambda: node.current() == {"app.log": lines(0, 100)}, node.current)
        old.write(lines(100, 10))
        old.flush()
        os.rename(node.path("app.log"), os.fsencode(node.base / "elsewhere"))
        node.write("app.log", lines(900, 5))
        eventually(lambda: node.current() == {"app.log": lines(900, 5)}, node.current)
        eventually(lambda: node.generations("app.log") == [lines(0, 110)], node.current)
        old.write(lines(110, 10))
        old.flush()
        eventually(lambda: _old(node) == lines(0, 120), node.current)


def _old(node: Node) -> bytes:
    """The kept generation with what came late: in one piece, or in a file of its own where generations are closed."""
    late = [data for name, data in node.current().items() if name.startswith("app.log.~late-")]
    return b"".join([*node.generations("app.log"), *late])


@pytest.mark.parametrize("more", [0, 20], ids=["the same", "grown"])
def test_a_file_replaced_by_a_copy_of_itself_goes_on_where_it_was(node: Node, more: int) -> None:
    """rsync and editors write another file and rename it over the old one: another inode, the content continues."""
    node.write("app.log", lines(0, 200))
    assert node.once().complete
    node.write("copy", lines(0, 200 + more))
    os.rename(node.path("copy"), node.path("app.log"))
    with RunningAgent(node):
        eventually(lambda: node.current() == {"app.log": lines(0, 200 + more)}, node.current)
        node.write("app.log", lines(200 + more, 5))
        eventually(lambda: node.current() == {"app.log": lines(0, 205 + more)}, node.current)
    assert node.once().sent_slices == 0


@watching
def test_an_empty_log_that_is_filled_and_renamed_at_once_is_there_once(node: Node, watcher: bool) -> None:
    """Its old name holds nothing to compare it by; the handle that the agent has of it still leads to its bytes."""
    node.write("app.log", b"")
    with RunningAgent(node, watcher=watcher):
        eventually(lambda: node.current() == {"app.log": b""}, node.current)
        with open(node.path("app.log"), "ab") as old:
            os.rename(node.path("app.log"), node.path("app.log.1"))
            old.write(lines(0, 50))
        eventually(lambda: node.current().get("app.log.1") == lines(0, 50), node.current)
        node.write("other.log", b"x")
        eventually(lambda: "other.log" in node.current(), node.current)
    filled = {name: data for name, data in node.current().items() if data}
    assert filled == {"app.log.1": lines(0, 50), "other.log": b"x"}
    assert [data for name in ("app.log", "app.log.1") for data in node.generations(name) if data] == []
