"""The commit of a segment: what changed at the last moment is left out, all else counts."""

from __future__ import annotations

import pytest

from logferry.archive.committing import CommitSegment
from logferry.archive.seal import Sealed
from tests.archive.conftest import AGENT, Shelf
from tests.archive.test_seal import files_below, seal


@pytest.mark.parametrize("others", [0, 2])
def test_a_file_that_grows_at_the_last_moment_is_left_out(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """On another host, which knows nothing of our locks; only the catalog tells."""
    shelf.put("grown.log", b"line\n")
    for number in range(others):
        shelf.put(f"{number}.log", b"stays\n")
    stage = CommitSegment.stage

    def slow(commit: CommitSegment, sync: object) -> None:
        stage(commit, sync)  # type: ignore[arg-type]
        with (shelf.folder / "live" / AGENT / "grown.log").open("ab") as file:
            file.write(b"more\n")
        with shelf.catalog._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE generations SET size = size + 5 WHERE size = 5")

    monkeypatch.setattr(CommitSegment, "stage", slow)
    done = sum(shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1), Sealed())
    assert (done.segments, done.generations) == (bool(others), others)
    assert "grown.log changed meanwhile" in done.problems[0]
    assert len(files_below(shelf, "store")) == bool(others)
    monkeypatch.undo()
    assert seal(shelf).generations == 1
    contents = {f"{number}.log": [b"stays\n"] for number in range(others)} | {"grown.log": [b"line\nmore\n"]}
    assert shelf.everything() == contents
