"""``check`` finds what is wrong, names damage, and repairs what is harmless."""

from __future__ import annotations

import os
import time

import pytest

from logferry.errors import Damaged, NotFound
from logferry.limits import PARTIAL_S_MAX
from tests.archive.conftest import AGENT, Shelf


def _kinds(shelf: Shelf, *, repair: bool = False, digests: bool = False) -> list[str]:
    return sorted(finding.kind for finding in shelf.archive.check(repair=repair, digests=digests))


def test_a_sound_archive_has_no_findings(shelf: Shelf) -> None:
    """Neither quick nor full."""
    shelf.put("a.log", b"one")
    shelf.put("a.log", b"two")
    assert _kinds(shelf, digests=True) == []


def test_missing_and_short_files_are_damage(shelf: Shelf) -> None:
    """They are named, and reading them says the same."""
    gone, cut = shelf.put("gone.log", b"12345"), shelf.put("cut.log", b"12345")
    live = shelf.folder / "live" / AGENT
    (live / "gone.log").unlink()
    os.truncate(live / "cut.log", 2)
    found = {finding.kind: finding for finding in shelf.archive.check()}
    assert sorted(found) == ["missing", "short"]
    assert all(finding.is_damage for finding in found.values())
    assert found["missing"].place == f"live/{AGENT}/gone.log"
    for done in (gone, cut):
        assert done.generation_id is not None
        with pytest.raises(Damaged):
            shelf.bytes_of(done.generation_id)
    with pytest.raises(Damaged):
        shelf.put("cut.log", b"67", offset=5)


def test_altered_bytes_are_found_by_their_digest(shelf: Shelf) -> None:
    """Only the full check reads them."""
    shelf.put("a.log", b"12345")
    (shelf.folder / "live" / AGENT / "a.log").write_bytes(b"12X45")
    assert _kinds(shelf) == []
    assert _kinds(shelf, digests=True) == ["altered"]


def test_unconfirmed_bytes_are_cut_off(shelf: Shelf) -> None:
    """They are never served; repair removes them, and so does the next upload."""
    done = shelf.put("a.log", b"12345")
    live = shelf.folder / "live" / AGENT / "a.log"
    live.write_bytes(b"12345678")
    assert done.generation_id is not None
    assert shelf.bytes_of(done.generation_id) == b"12345"
    assert shelf.size("a.log") == 5
    assert _kinds(shelf) == ["tail"]
    assert live.read_bytes() == b"12345678"
    assert _kinds(shelf, repair=True) == ["tail"]
    assert live.read_bytes() == b"12345"
    live.write_bytes(b"12345XXXXXX")
    shelf.put("a.log", b"67", offset=5)
    assert live.read_bytes() == b"1234567"


def test_a_file_without_entry_is_adopted(shelf: Shelf) -> None:
    """By repair, with its bytes and time; folders and all."""
    place = shelf.folder / "live" / AGENT / "put/here/by hand.log"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"bytes")
    assert _kinds(shelf) == ["unknown"]
    assert shelf.everything() == {}
    assert _kinds(shelf, repair=True) == ["unknown"]
    assert shelf.everything() == {"put/here/by hand.log": [b"bytes"]}
    assert _kinds(shelf) == []


@pytest.mark.parametrize(
    ("sent", "held"), [(b"bytes", [b"bytes"]), (b"bytes and", [b"bytes and"]), (b"x", [b"bytes", b"x"])]
)
def test_a_file_without_entry_is_adopted_when_its_path_is_met(shelf: Shelf, sent: bytes, held: list[bytes]) -> None:
    """An upload sent again after a crash is not stored twice, and nothing is overwritten."""
    place = shelf.folder / "live" / AGENT / "a.log"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"bytes")
    shelf.put("a.log", sent)
    assert shelf.history("a.log") == held


@pytest.mark.parametrize("ask", ["size", "stat"])
def test_a_file_without_entry_is_adopted_when_somebody_asks_for_it(shelf: Shelf, ask: str) -> None:
    """Were it not seen, what a crash kept from being confirmed would be sent again under another name."""
    place = shelf.folder / "live" / AGENT / "a.log"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"bytes")
    if ask == "size":
        assert shelf.archive.size(AGENT, "a.log") == 5
    else:
        assert shelf.archive.stat(AGENT, "a.log").size == 5
    assert shelf.everything() == {"a.log": [b"bytes"]}


def test_what_is_below_a_file_is_not_there(shelf: Shelf) -> None:
    """A question about it has that for an answer."""
    shelf.put("a.log", b"12345")
    assert shelf.archive.size(AGENT, "a.log/b.log") is None
    with pytest.raises(NotFound):
        shelf.archive.stat(AGENT, "a.log/b.log")


def test_left_over_names_are_removed(shelf: Shelf) -> None:
    """A second name of a file in the archive goes; no byte does."""
    shelf.put("a.log", b"12345")
    live, kept = shelf.folder / "live" / AGENT, shelf.folder / "generations" / AGENT
    kept.mkdir(parents=True, exist_ok=True)
    os.link(live / "a.log", live / "b.log")
    os.link(live / "a.log", kept / "a.log.~1~")
    assert _kinds(shelf) == ["second-name", "second-name"]
    assert _kinds(shelf, repair=True) == ["second-name", "second-name"]
    assert shelf.live() == {"a.log": b"12345"}
    assert _kinds(shelf) == []


def test_a_name_that_shares_its_file_with_the_outside_is_adopted(shelf: Shelf) -> None:
    """An administrator may have linked it into the tree: it is the archive's only name for it."""
    outside = shelf.folder / "elsewhere.log"
    outside.write_bytes(b"bytes")
    place = shelf.folder / "live" / AGENT
    place.mkdir(parents=True, exist_ok=True)
    os.link(outside, place / "a.log")
    assert _kinds(shelf, repair=True) == ["second-name"]
    assert shelf.everything() == {"a.log": [b"bytes"]}


def test_what_is_not_ours_is_named_and_left_alone(shelf: Shelf) -> None:
    """Links, names that are none, unknown files among the older generations."""
    shelf.put("a.log", b"x")
    live, kept = shelf.folder / "live" / AGENT, shelf.folder / "generations" / AGENT
    (live / "link").symlink_to("/etc/passwd")
    (live / "bad\nname").write_text("x")
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "what").write_text("x")
    assert _kinds(shelf, repair=True) == ["foreign", "foreign", "foreign"]
    assert (kept / "what").exists()


def test_partials_nobody_continues_are_removed_in_the_end(shelf: Shelf) -> None:
    """Not before two weeks have passed, however old the file is on its node. Care does it, and a repair."""
    for path in ("a.log", "b.log"):
        incoming = shelf.archive.begin(AGENT, path)
        incoming.write(b"half")
        incoming.abandon()
        shelf.archive.set_modified(AGENT, path, 10**18)
    shelf.clock.advance(time.time() - shelf.clock.now_ns() / 1e9)
    assert _kinds(shelf, repair=True) == []
    shelf.archive.sealer().sweep(3600.0)
    assert shelf.size("a.log") == shelf.size("b.log") == 4
    under_way = shelf.archive.begin(AGENT, "b.log", offset=4)
    shelf.clock.advance(PARTIAL_S_MAX + 60)
    shelf.archive.sealer().sweep(3600.0)
    assert shelf.size("a.log") is None
    assert shelf.size("b.log") == 4, "somebody writes to it"
    assert _kinds(shelf, repair=True) == []
    under_way.abandon()
    assert _kinds(shelf, repair=True) == ["partial"]
    assert shelf.size("b.log") is None


def test_digests_are_computed_once_per_length(shelf: Shelf) -> None:
    """Asked for, remembered, and no longer believed once the generation has grown."""
    done = shelf.put("a.log", b"one")
    shelf.put("a.log", b"two", offset=3)
    file = shelf.catalog.files.at(AGENT, "a.log")
    assert file is not None
    assert file.sha256 is None
    assert done.generation_id is not None
    digest = shelf.archive.digest(done.generation_id)
    file = shelf.catalog.files.at(AGENT, "a.log")
    assert file is not None
    assert file.sha256 == digest
    shelf.put("a.log", b"three", offset=6)
    assert shelf.archive.digest(done.generation_id) != digest
