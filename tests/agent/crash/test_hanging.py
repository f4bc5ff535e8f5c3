"""Uploads that hang in a server which does not know that the network is gone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import eventually
from tests.agent.crash.keepers import Agents, ForeignTarget
from tests.agent.crash.mortal import Order
from tests.agent.crash.network import Cut, Network
from tests.agent.crash.works import WORKS, Place


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
