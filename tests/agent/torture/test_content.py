"""Rows 16, 19 to 22 and 29 to 32: what is in the files, and how short they live."""

from __future__ import annotations

import filecmp
import gzip
import os
import random
import threading
import time
from pathlib import Path

import pytest

from logferry.names import is_temporary
from tests.agent.conftest import eventually, lines
from tests.agent.torture.servers import serving
from tests.agent.torture.yard import WAIT_S, Yard, YardNode
from tests.security.amounts import HEAVY

GIB = 1024**3


def test_row_16_of_files_that_live_0_3_s_each_is_saved_whole_or_not_at_all(yard: Yard) -> None:
    """Twenty files of 200 lines, written in five goes. What the agent opened before it was deleted is whole; what no
    handle was open of when it went cannot be had. How much was saved is printed."""
    with yard.live():
        for number in range(20):
            with yard.program(f"short-{number}.log") as program:
                for go in range(5):
                    program.write(lines(number * 1000 + go * 40, 40))
                    time.sleep(0.06 if HEAVY else 0.03)
                yard.delete(f"short-{number}.log")
        eventually(lambda: bool(_saved(yard)), timeout_s=WAIT_S)
    yard.finish(whole=False)
    made, total = yard.account(), sum(life.size for life in yard.ledger.lives)
    print(f"saved {total - made.lost} of {total} bytes, {len(_saved(yard))} of {len(yard.ledger.lives)} files")
    assert {have for _, have in made.short} <= {0}


def _saved(yard: Yard) -> list[str]:
    return [name for name in yard.node.current() if not is_temporary(name.rpartition("/")[2])]


def test_row_16_impossible_by_polling_files_deleted_between_two_looks_are_gone(yard: Yard) -> None:
    """One look each hour: of twenty files that came and went in between nothing is saved, and nothing is invented."""
    yard.node.scan_interval = "1h"
    yard.write("stays.log", lines(0, 10))
    with yard.live(watcher=False):
        eventually(lambda: len(yard.node.current()) == 1, timeout_s=WAIT_S)
        for number in range(20):
            yard.write(f"short-{number}.log", lines(number * 1000, 200))
            yard.delete(f"short-{number}.log")
    yard.finish(whole=False)
    made = yard.account()
    print(f"saved {sum(life.size for life in yard.ledger.lives) - made.lost - len(lines(0, 10))} bytes of twenty files")
    assert [have for _, have in made.short] == [0] * 20


@pytest.mark.parametrize("live", [False, True], ids=["once", "live"])
def test_row_19_a_line_that_is_half_written_at_the_stop_is_completed_once(yard: Yard, live: bool) -> None:
    """Both halves are in the archive, in one piece."""
    half, rest = b"2026-11-23 08:14:00 the first half", b" and the second\n"
    yard.write("app.log", lines(0, 100) + half)
    for data in (b"", rest):
        yard.write("app.log", data)
        if live:
            with yard.live():
                yard.wait()
        else:
            yard.once()
        assert yard.arrived()
    yard.finish()


def test_row_20_a_last_line_without_newline_is_delivered(yard: Yard, watcher: bool) -> None:
    """While the agent runs, not only when it stops."""
    with yard.live(watcher=watcher):
        yard.write("app.log", b"no newline at all")
        yard.wait()
        yard.write("app.log", b" - still none")
        yard.wait()
    yard.finish()


def test_row_21_a_compressed_sibling_is_archived_as_its_own_file_byte_for_byte(yard: Yard) -> None:
    """As logrotate does it with delaycompress: rename, then gzip and unlink; the log it was made of stays, too."""
    with yard.live():
        yard.write("app.log", lines(0, 300))
        yard.wait()
        yard.rotate("app.log")
        yard.write("app.log", lines(5000, 20))
        yard.wait()
        yard.write("app.log.1.gz", gzip.compress(lines(0, 300), mtime=0))
        yard.delete("app.log.1")
        yard.wait()
    yard.finish()
    assert gzip.decompress(yard.node.current()["app.log.1.gz"]) == lines(0, 300)


@pytest.mark.parametrize("size", [3_000_000, 40_000_000 if HEAVY else 17_000_000])
def test_row_22_one_line_of_many_megabytes_is_delivered(yard: Yard, size: int) -> None:
    """Bytes, not lines; the second one is longer than a slice."""
    yard.write("app.log", b"begin ")
    yard.write("app.log", random.Random(size).randbytes(size).replace(b"\n", b" "))
    with yard.live():
        yard.wait()
        yard.write("app.log", b" end\n")
        yard.wait()
    yard.finish()


@pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])
def test_row_29_growth_whose_time_the_writer_freezes_is_sent(yard: Yard, live: bool) -> None:
    """The modification time stays what it was, however much is written."""
    frozen = 1_700_000_000 * 10**9
    for turn in range(4):
        yard.write("app.log", lines(turn * 100, 30))
        yard.dated("app.log", frozen)
        if live:
            with yard.live():
                yard.wait()
        else:
            yard.once()
            assert yard.arrived()
    yard.finish()


def test_row_30_an_empty_file_exists_in_the_archive(yard: Yard, watcher: bool) -> None:
    """Made while the agent runs, and filled later."""
    with yard.live(watcher=watcher):
        yard.write("empty.log", b"")
        yard.write("sub/empty too.log", b"")
        yard.wait()
        assert yard.node.current() == {"empty.log": b"", "sub/empty too.log": b""}
        yard.write("empty.log", b"not any more\n")
        yard.wait()
    yard.finish()


def test_row_31_a_file_grows_past_4_gib(tmp_path: Path) -> None:
    """The server has the first 5 GiB, of which the agent's registry knows nothing; nothing of them is sent again."""
    (tmp_path / "server").mkdir()
    with serving("folder", tmp_path / "server") as server:
        node = YardNode(tmp_path / "node", server)
        here, there = node.logs / "big.bin", tmp_path / "server/home/logs/big.bin"
        there.parent.mkdir()
        for path in (here, there):
            _sparse(path, 5 * GIB)
        node.write("big.bin", lines(0, 1000))
        summary = node.once()
        assert (summary.complete, summary.sent_bytes) == (True, len(lines(0, 1000)))
        node.write("big.bin", lines(1000, 10))
        summary = node.once()
        assert (summary.complete, summary.sent_bytes) == (True, len(lines(1000, 10)))
        assert there.stat().st_size == 5 * GIB + len(lines(0, 1010))
        assert _tail(there, 200_000) == _tail(here, 200_000)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"begin\n")
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"end\n")


def _tail(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-count, os.SEEK_END)
        return file.read()


def test_row_31_a_sparse_file_arrives_with_its_right_size_and_bytes(tmp_path: Path) -> None:
    """Holes are zeros: 5 GiB in a heavy run, else as much as makes several slices."""
    size = 5 * GIB + 123 if HEAVY else 50_000_123
    (tmp_path / "server").mkdir()
    with serving("archive", tmp_path / "server") as server:
        node = YardNode(tmp_path / "node", server)
        _sparse(node.logs / "sparse.bin", size)
        before = time.monotonic()
        summary = node.once()
        print(f"{size} bytes in {time.monotonic() - before:.1f} s")
        assert (summary.complete, summary.sent_bytes) == (True, size)
        there = tmp_path / "server/data/live/web-01/logs/sparse.bin"
        assert filecmp.cmp(node.logs / "sparse.bin", there, shallow=False)
        assert node.once().sent_slices == 0


def test_row_32_of_a_file_that_grows_while_it_is_sent_every_byte_is_sent_once(yard: Yard, watcher: bool) -> None:
    """A slice ends at the size that the file had when it was opened; the rest comes in the next round."""
    yard.node.upload_rate = "40 MB"
    yard.write("app.log", random.Random(32).randbytes(12_000_000))
    written = threading.Event()

    def grow(program_write: object) -> None:
        assert callable(program_write)
        for turn in range(200):
            program_write(lines(turn * 100, 100))
            time.sleep(0.002)
        written.set()

    with yard.program("app.log") as program, yard.live(watcher=watcher):
        writer = threading.Thread(target=grow, args=(program.write,))
        writer.start()
        written.wait(WAIT_S)
        writer.join()
        yard.wait()
    assert yard.status().sent_bytes == yard.ledger.lives[0].size
    yard.finish()
