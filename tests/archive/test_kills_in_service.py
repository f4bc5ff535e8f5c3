"""``kill -9`` of a server that seals, compacts and expires under ingest: nothing is lost, doubled or left over."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from tests.archive.delivering import AGENT, Deliverer, cared_for, looked_at
from tests.archive.hurried import Hurry
from tests.security.amounts import amount, seed
from tests.server.helpers import eventually
from tests.server.site import Site

KILLS = amount("kills_in_service", 10, 500)
KILLS_OF_A_SERVER = 50
"""Then a new one begins, so that the last kill hits as much work as the first."""
CLIENTS = 3
LIFE_S = (0.0, 0.5)
"""How long a server lives once the clients work."""
COMPARED_AFTER = 10
"""Kills between two looks at every byte."""


def _work(server: Hurry, clients: list[Deliverer], dice: random.Random) -> None:
    """Until something is acknowledged and, usually, care has done something; then a moment more."""
    done = sum(client.done for client in clients)
    eventually(lambda: sum(client.done for client in clients) > done, within_s=120)
    if dice.random() < 0.8:
        before = server.progress()
        eventually(lambda: server.progress() > before, within_s=120)
    time.sleep(dice.uniform(*LIFE_S))  # the moment of the shot is what is random here


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_killed_again_and_again_nothing_is_lost_doubled_or_left_over(tmp_path: Path) -> None:
    """SIGKILL of the FTP part, the care part or both at random moments.

    Clients store, continue, append and rename; what they sent is sealed, compacted and, in part, expires within a
    second. In the end a last turn of care leaves no object and no file that nothing refers to.
    """
    drawn = seed("kills in service")
    dice = random.Random(drawn)
    kills = acknowledged = files = size = segments = 0
    while kills < KILLS:
        some = min(KILLS_OF_A_SERVER, KILLS - kills)
        site = Site.make(tmp_path / str(kills))
        clients = [Deliverer(number, random.Random(dice.random())) for number in range(CLIENTS)]
        _kill_again_and_again(site, clients, dice, some)
        segments += cared_for(site.config)
        found, _ = looked_at(site.config)
        for client in clients:
            client.compare(found, expired=True)
        kills += some
        acknowledged += sum(client.done for client in clients)
        files += len(found)
        size += sum(len(data) for held in found.values() for data in held)
        shutil.rmtree(tmp_path / str(kills - some))
        print(
            f"{kills} kills: {acknowledged} acknowledgements, {files} files of {size:,} bytes compared; "
            f"0 lost, 0 twice; {segments} segments, 0 objects left over",
            flush=True,
        )


def _kill_again_and_again(site: Site, clients: list[Deliverer], dice: random.Random, kills: int) -> None:
    joined = site.join(AGENT)
    site.catalog.close()
    with Hurry(site.config) as server:
        server.start("care")
        takes_in = False
        for kill in range(kills):
            if not takes_in:
                server.start("ftp")
                for client in clients:
                    client.start(server.address(), joined)
                takes_in = True
            _work(server, clients, dice)
            victims = dice.choice((("ftp",), ("care",), ("care",), ("ftp", "care")))
            compare = kill % COMPARED_AFTER == COMPARED_AFTER - 1 or kill == kills - 1
            for victim in ("ftp", "care") if compare else victims:
                server.kill(victim)
            if compare or "ftp" in victims:
                takes_in = False
                for client in clients:
                    client.join()
            if compare:
                found, _ = looked_at(site.config)
                for client in clients:
                    client.compare(found, expired=False)
            if compare or "care" in victims:
                server.start("care")
        server.start("ftp")
        for client in clients:
            client.start(server.address(), joined, finish=True)
        for client in clients:
            client.join()
