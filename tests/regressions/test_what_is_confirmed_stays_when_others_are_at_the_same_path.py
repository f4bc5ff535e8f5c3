"""Two writers at one path used to be able to destroy what one of them had been told is stored.

An upload that had looked at the path before another one published there renamed its file over the other's. And a
rename took the old live name away after its commit without looking whose it was by then.
"""

from __future__ import annotations

import contextlib
import random
import threading
from pathlib import Path

import pytest

from logferry.archive.catalog.filing import PathState
from logferry.archive.durable import Disk
from logferry.errors import Conflict, LogferryError
from logferry.names import aside_name, temporary_name
from tests.archive.conftest import AGENT, Shelf

_STAMP = "20261123T081400Z-{:08x}"


def test_an_upload_never_replaces_one_that_was_confirmed_after_it_had_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused; the sender looks again."""
    one, other = Shelf(tmp_path), Shelf(tmp_path)
    real = one.archive._current

    def overtaken(agent: str, path: str) -> PathState | None:
        state = real(agent, path)
        other.put(path, b"confirmed\n")
        return state

    with monkeypatch.context() as patched:
        patched.setattr(one.archive, "_current", overtaken)
        incoming = one.archive.begin(AGENT, "a.log")
    incoming.write(b"late\n")
    with pytest.raises(Conflict):
        incoming.commit()
    assert one.history("a.log") == [b"confirmed\n"]
    one.put("a.log", b"late\n")
    assert one.history("a.log") == [b"confirmed\n", b"late\n"]
    one.close()
    other.close()


@pytest.mark.parametrize("target", [aside_name("a.log", _STAMP.format(1)), "b.log"])
def test_a_rename_takes_no_name_away_that_is_another_files_by_now(tmp_path: Path, target: str) -> None:
    """Whatever is uploaded between its commit and its end."""
    other = Shelf(tmp_path)
    confirmed: list[bytes] = []

    def meanwhile(step: str) -> None:
        if step == "unlink" and armed:
            armed.clear()
            with contextlib.suppress(LogferryError):
                other.put("a.log", b"new\n")
                confirmed.append(b"new\n")

    armed: list[bool] = []
    one = Shelf(tmp_path, disk=Disk(meanwhile))
    one.put("a.log", b"old\n")
    armed.append(True)
    one.rename("a.log", target)
    assert not armed
    assert one.current("a.log") == (confirmed[0] if confirmed else None)
    one.put("a.log", b"new\n")
    assert one.current("a.log") == b"new\n"
    assert not list(one.archive.check())
    one.close()
    other.close()


def test_many_writers_at_few_paths_lose_nothing(tmp_path: Path) -> None:
    """Uploads, growth, publishing, rotation at once: every confirmed line is there exactly once."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    shelf = Shelf(tmp_path)
    confirmed: list[list[bytes]] = [[] for _ in range(4)]
    bugs: list[Exception] = []

    def work(number: int) -> None:
        dice = random.Random(seed + number)
        try:
            for turn in range(120):
                path, line = dice.choice(["a.log", "d/b.log"]), b"line %d of %d\n" % (turn, number)
                with contextlib.suppress(LogferryError):
                    if _turn(shelf, dice, path, line):
                        confirmed[number].append(line)
        except Exception as error:  # noqa: BLE001 - shown below, in the test's own thread
            bugs.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(confirmed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bugs
    stored = [line for history in shelf.everything().values() for data in history for line in data.splitlines(True)]
    assert not list(shelf.archive.check())
    for lines in confirmed:
        assert [line for line in lines if stored.count(line) != 1] == []
    shelf.close()


def _turn(shelf: Shelf, dice: random.Random, path: str, line: bytes) -> bool:
    """One random operation; whether ``line`` was confirmed by it."""
    before, slash, name = path.rpartition("/")
    what = dice.randrange(5)
    if what == 0:
        shelf.put(path, line)
    elif what == 1:
        shelf.put(path, line, append=True)
    elif what == 2:
        temporary = before + slash + temporary_name(f"{dice.random()}")
        shelf.put(temporary, line)
        shelf.rename(temporary, path)
    elif what == 3:
        shelf.rename(path, before + slash + aside_name(name, _STAMP.format(dice.randrange(1 << 32))))
    else:
        shelf.rename(path, f"{path}.1")
    return what < 3
