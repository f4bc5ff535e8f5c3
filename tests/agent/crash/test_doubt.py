"""The server has a beginning, nobody heard that it has, and before anybody can ask, the file is gone from its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.crash.machine import ArchivePlaceTarget, Fate, Puppet
from tests.agent.crash.mortal import SLICE_BYTES, Order, watched
from tests.agent.crash.network import Cut, Network
from tests.agent.crash.works import LOG, Place
from tests.agent.shelves import PASSWORD, ArchiveShelf
from tests.ports import free_port


@pytest.fixture
def target(tmp_path: Path) -> Iterator[ArchivePlaceTarget]:
    """An archive."""
    (tmp_path / "archive").mkdir()
    shelf = ArchiveShelf(tmp_path / "archive")
    yield ArchivePlaceTarget(shelf, PASSWORD)
    shelf.close()


def _replaced(place: Place) -> None:
    """Another file is renamed over the log."""
    fresh, data = os.fsencode(place.base / "fresh"), place.lines(1_000)
    Path(os.fsdecode(fresh)).write_bytes(data)
    os.rename(fresh, place.tree.absolute(LOG))
    place.ledger.removed(LOG)
    place.ledger.written(LOG, data)


def _replaced_twice(place: Place) -> None:
    """The second file is gone, too, before anybody could look at it."""
    _replaced(place)
    _replaced(place)


def _deleted(place: Place) -> None:
    """Nothing has the name any more."""
    os.unlink(place.tree.absolute(LOG))
    place.ledger.removed(LOG)


def _renamed_over(place: Place) -> None:
    """A file that the agent knows takes the name."""
    os.rename(place.tree.absolute(b"other.log"), place.tree.absolute(LOG))
    place.ledger.removed(LOG)
    place.ledger.renamed(b"other.log", LOG)


def _another(place: Place) -> None:
    """Another file is there and known."""
    place.append(700, b"other.log")


def _a_generation_before(place: Place) -> None:
    """The name has had another file already."""
    place.append(900)


@pytest.mark.parametrize(
    ("before", "loss"),
    [
        *((before, loss) for before in (None, _another, _a_generation_before) for loss in (_replaced, _replaced_twice)),
        (None, _deleted),
        (_another, _renamed_over),
    ],
)
@pytest.mark.parametrize(
    ("cut", "grown"),
    [
        (Cut("reply", "end"), 0),
        (Cut("reply", "end"), 2_043),
        (Cut("command", "end"), 2_043),
        (Cut("data", "end", count=1), 2_043),
    ],
    ids=["arrived", "arrived, grown", "never began", "in part"],
)
def test_a_beginning_that_nobody_heard_of_is_not_sent_again_when_only_an_open_handle_is_left(
    target: ArchivePlaceTarget,
    tmp_path: Path,
    before: Callable[[Place], None] | None,
    loss: Callable[[Place], None],
    grown: int,
    cut: Cut,
) -> None:
    """What is there is gone on with, and filed as the generation it is; what is not there is sent."""
    network, fate = Network(target.address), Fate(Order(""))
    with watched(fate, read_whole_bytes=SLICE_BYTES):
        place = Place(tmp_path / "place", "place", target, address=network.address, state=tmp_path / "state")
        puppet = Puppet(place, fate)
        try:
            if before is not None:
                before(place)
                puppet.until_quiet()
                if before is _a_generation_before:
                    _replaced(place)
            place.append(2_376)
            network.arm(cut)
            puppet.turns_until(lambda: network.cuts, "the network breaks")
            network.target = ("127.0.0.1", free_port())  # nobody listens there
            place.append(grown)
            loss(place)
            for _ in range(5):
                puppet.turns(2)
                puppet.agent._sleep()
            network.target = target.address
            puppet.until_quiet()
            assert place.wrong() == []
        finally:
            puppet.stop()
            network.close()


def test_an_agent_that_dies_in_doubt_keeps_no_name_from_others_afterwards(
    target: ArchivePlaceTarget, tmp_path: Path
) -> None:
    """Its open handle is gone with it: what is there of the file stays a generation, the next file takes the name."""
    network, fate = Network(target.address), Fate(Order(""))
    with watched(fate, read_whole_bytes=SLICE_BYTES):
        place = Place(tmp_path / "place", "place", target, address=network.address, state=tmp_path / "state")
        puppet = Puppet(place, fate)
        try:
            place.append(2_376)
            network.arm(Cut("reply", "end"))
            puppet.turns_until(lambda: network.cuts, "the network breaks")
            network.target = ("127.0.0.1", free_port())
            _replaced(place)
            for _ in range(5):
                puppet.turns(2)
                puppet.agent._sleep()
        finally:
            puppet.stop()
        network.target = target.address
        puppet = Puppet(place, fate)
        try:
            puppet.until_quiet()
            assert place.wrong() == []
            assert not puppet.agent._roster._claims
        finally:
            puppet.stop()
            network.close()
