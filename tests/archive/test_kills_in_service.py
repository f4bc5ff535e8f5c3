"""``kill -9`` of a server that seals, compacts and expires under ingest: nothing is lost, doubled or left over."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.archive.delivering import AGENT, Deliverer, cared_for, looked_at
from tests.archive.hurried import Hurry
from tests.security.amounts import amount, seed
from tests.server.helpers import eventually
from tests.server.site import Site

KILLS = amount("kills_in_service", 20, 500)
CLIENTS = 3
LIFE_S = (0.0, 0.5)
"""How long a server lives once the clients work."""
COMPARED_AFTER = 10
"""Kills between two looks at every byte."""


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_killed_again_and_again_nothing_is_lost_doubled_or_left_over(tmp_path: Path) -> None:
    """SIGKILL of the FTP part, the care part or both at random moments.

    Clients store, continue, append and rename; what they sent is sealed, compacted and, in part, expires within a
    second. In the end a last turn of care leaves no object and no file that nothing refers to.
    """
    drawn = seed("kills in service")
    dice = random.Random(drawn)
    site = Site.make(tmp_path / "data")
    joined = site.join(AGENT)
    site.catalog.close()
    clients = [Deliverer(number, random.Random(dice.random())) for number in range(CLIENTS)]
    sealed = 0
    with Hurry(site.config) as server:
        server.start("care")
        ftp = False
        for kill in range(KILLS):
            if not ftp:
                server.start("ftp")
                for client in clients:
                    client.start(server.address(), joined)
                ftp = True
            before = sum(client.done for client in clients)
            eventually(lambda before=before: sum(client.done for client in clients) > before, within_s=60)  # type: ignore[misc]
            time.sleep(dice.uniform(*LIFE_S))  # the moment of the shot is what is random here
            victims = dice.choice((("ftp",), ("care",), ("care",), ("ftp", "care")))
            compare = kill % COMPARED_AFTER == COMPARED_AFTER - 1 or kill == KILLS - 1
            for victim in ("ftp", "care") if compare else victims:
                server.kill(victim)
            if compare or "ftp" in victims:
                ftp = False
                for client in clients:
                    client.join()
            if compare:
                found, segments = looked_at(site.config)
                sealed += segments
                for client in clients:
                    client.compare(found, expired=False)
            if compare or "care" in victims:
                server.start("care")
        server.start("ftp")
        for client in clients:
            client.start(server.address(), joined, finish=True)
        for client in clients:
            client.join()
    segments = cared_for(site.config)
    found, _ = looked_at(site.config)
    for client in clients:
        client.compare(found, expired=True)
    assert sealed > 0, "nothing was sealed"
    print(
        f"{KILLS} kills: {sum(client.done for client in clients)} acknowledgements, {len(found)} files, "
        f"{sum(len(data) for held in found.values() for data in held):,} bytes compared; 0 lost, 0 twice; "
        f"{segments} segments, 0 objects left over"
    )
