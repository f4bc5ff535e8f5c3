"""Uploads that hang in a server which does not know that the network is gone."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.runner import Agent
from tests.agent.conftest import eventually
from tests.agent.crash.keepers import Agents, ForeignTarget
from tests.agent.crash.machine import Fate, Puppet
from tests.agent.crash.mortal import SLICE_BYTES, Order, watched
from tests.agent.crash.network import Cut, Network
from tests.agent.crash.works import LOG, WORKS, Place
from tests.ports import free_port


class _Impatient:
    """Dice that make the agent try again soon: the pauses themselves are tested elsewhere."""

    def uniform(self, a: float, b: float) -> float:
        return min(b, a + 0.1)


@pytest.fixture
def hanging(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignTarget]:
    """vsftpd as it comes: it keeps a file locked for five minutes while an upload to it stalls."""
    monkeypatch.setattr("tests.agent.crash.keepers.STALLED_S", 300)
    folder = Path(tempfile.mkdtemp(dir=memory))
    folder.chmod(0o755)
    target = ForeignTarget(folder)
    yield target
    target.close()


@pytest.mark.parametrize("work", ["new small file", "new big file"])
@pytest.mark.parametrize("moment", ["data", "end"])
def test_a_new_file_does_not_wait_for_an_upload_that_hangs(
    hanging: ForeignTarget, tmp_path: Path, work: str, moment: str
) -> None:
    """It goes under another name; what the hanging upload may still write goes nowhere, and nothing of it is left."""
    network, agents = Network(hanging.address), Agents(tmp_path / "agents.log")
    try:
        place = Place(tmp_path / "place", "place", hanging, address=network.address, state=tmp_path / "state")
        WORKS[work].do(place)
        network.arm(Cut(moment, "stall", count=1))
        told = agents.run(Order(str(place.config), timeout_s=2.0))
        assert network.cuts == 1
        assert told.complete, told.problems
        left = list((hanging.base / "root" / "in" / place.folder).glob(".~*"))
        assert left == []
        network.forget()  # the hanging upload ends, and whoever waited for it has its turn
        eventually(lambda: not hanging.sessions, "every session of the server is over")
        assert place.wrong() == []
    finally:
        agents.close()
        network.close()


def test_what_lost_connections_left_is_removed_by_the_next_agent_too(hanging: ForeignTarget, tmp_path: Path) -> None:
    """Two uploads arrive under temporary names, nobody hears of it, the agent is stopped: the next one removes both."""
    network, fate = Network(hanging.address), Fate(Order(""))
    with watched(fate, read_whole_bytes=SLICE_BYTES):
        place = Place(tmp_path / "place", "place", hanging, address=network.address, state=tmp_path / "state")
        place.append(3_000)
        puppet = Puppet(place, fate)
        try:
            for _ in range(3):
                network.arm(Cut("reply", "end"))
                puppet.turns_until(lambda: network.cuts, "the reply is lost")
        finally:
            puppet.stop()
        left = list((hanging.base / "root" / "in" / place.folder).glob(".~*"))
        assert len(left) == 3
        place.append(1_000, b"other.log")
        puppet = Puppet(place, fate)
        try:
            puppet.until_quiet()
            left = list((hanging.base / "root" / "in" / place.folder).glob(".~*"))
            assert left == []
            assert place.wrong() == []
            assert not puppet.agent._parts.leftovers
        finally:
            puppet.stop()
            network.close()


@pytest.mark.parametrize("dies", [False, True], ids=["the agent has it open", "the agent dies"])
def test_what_lost_connections_left_of_a_file_that_was_replaced_goes_when_its_bytes_are_there(
    hanging: ForeignTarget, tmp_path: Path, *, dies: bool
) -> None:
    """And no sooner: where nobody has the file any more, it is all that there is of it."""
    network, fate = Network(hanging.address), Fate(Order(""))
    with watched(fate, read_whole_bytes=SLICE_BYTES):
        place = Place(tmp_path / "place", "place", hanging, address=network.address, state=tmp_path / "state")
        place.append(3_000)
        puppet = Puppet(place, fate)
        try:
            network.arm(Cut("reply", "end"))
            puppet.turns_until(lambda: network.cuts, "the reply is lost")
            if dies:
                puppet.stop()
            fresh = place.base / "fresh"
            fresh.write_bytes(data := place.lines(1_000))
            fresh.rename(os.fsdecode(place.tree.absolute(LOG)))
            place.ledger.removed(LOG)
            place.ledger.written(LOG, data)
            if dies:
                puppet = Puppet(place, fate)
            puppet.until_quiet()
        finally:
            puppet.stop()
            network.close()
    assert place.wrong() == []
    left = [path.read_bytes() for path in (hanging.base / "root" / "in" / place.folder).glob(".~*")]
    assert [len(data) for data in left] == ([3_000] if dies else [])


def test_a_server_that_was_away_for_long_is_asked_to_remove_nothing(hanging: ForeignTarget, tmp_path: Path) -> None:
    """Nothing hangs there of a file that never was on its way, however often the server was tried."""
    network = Network(("127.0.0.1", free_port()))  # nobody listens there
    place = Place(tmp_path / "place", "place", hanging, address=network.address, state=tmp_path / "state")
    WORKS["new small file"].do(place)
    network.arm(Cut("command", "end", "DELE"))
    agent = Agent(load_config(place.config, {}), dice=_Impatient(), config_path=str(place.config))
    running = threading.Thread(target=agent.run)
    running.start()
    try:
        eventually(
            lambda: (status := agent.status()) is not None and status.link_failures >= 5,
            "it tried the server again and again",
        )
        network.target = hanging.address
        eventually(lambda: bool(place.current()), "the file arrived")
        eventually(lambda: place.wrong() == [], "all of it")
    finally:
        agent.stop()
        running.join(30)
        network.close()
    assert network.cuts == 0
