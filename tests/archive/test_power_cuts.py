"""The power of a server's disk is cut while it takes files in, seals, compacts and expires."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from logferry.archive.locks import BOOT_LOCK
from logferry.server.enrolment import Joined
from tests.archive.cutting_power import Ext4, ext4
from tests.archive.delivering import AGENT, Deliverer, cared_for, looked_at
from tests.archive.hurried import Hurry
from tests.security.amounts import amount, seed
from tests.server.helpers import eventually
from tests.server.site import Site

CUTS = amount("power_cuts", 4, 200)
CUTS_OF_A_DISK = 40
"""Then a new one begins, so that the last cut hits as much work as the first."""
CLIENTS = 3
LIFE_S = (0.0, 0.6)
"""How long a server lives once the clients work."""


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_a_power_cut_loses_nothing_acknowledged_and_doubles_nothing() -> None:
    """ext4 in an image, shut down without its journal while the real parts of a server work; mounted again; compared.

    The parts are stopped before the cut: else a call that syncs may return without having synced, as none can when
    the power goes.
    """
    drawn = seed("power cuts")
    dice = random.Random(drawn)
    cuts = acknowledged = files = segments = 0
    while cuts < CUTS:
        with ext4() as disk:
            site = Site.make(disk.at / "data")
            joined = site.join(AGENT)
            site.catalog.close()
            clients = [Deliverer(number, random.Random(dice.random())) for number in range(CLIENTS)]
            with Hurry(site.config) as server:
                for _ in range(min(CUTS_OF_A_DISK, CUTS - cuts)):
                    _cut(disk, server, clients, joined, dice)
                    found, _ = looked_at(site.config)
                    for client in clients:
                        client.compare(found, expired=False)
                    cuts += 1
                server.start("ftp")
                for client in clients:
                    client.start(server.address(), joined, finish=True)
                for client in clients:
                    client.join()
            segments += cared_for(site.config)
            found, _ = looked_at(site.config)
            for client in clients:
                client.compare(found, expired=True)
            acknowledged += sum(client.done for client in clients)
            files += len(found)
    print(
        f"{cuts} power cuts: {acknowledged} acknowledgements, {files} files in the end, {segments} segments; "
        "0 lost, 0 twice, 0 objects left over"
    )


def _cut(disk: Ext4, server: Hurry, clients: Sequence[Deliverer], joined: Joined, dice: random.Random) -> None:
    """One life of the server."""
    before = sum(client.done for client in clients)
    server.start("care")
    server.start("ftp")
    for client in clients:
        client.start(server.address(), joined)
    eventually(lambda: sum(client.done for client in clients) > before, within_s=120)
    if dice.random() < 0.8:
        done = server.progress()
        eventually(lambda: server.progress() > done, within_s=120)
    time.sleep(dice.uniform(*LIFE_S))  # the moment of the cut is what is random here
    server.stop_dead()
    disk.cut()
    server.kill("ftp")
    server.kill("care")
    for client in clients:
        client.join()
    disk.mount_again()
    (disk.at / "data" / BOOT_LOCK).unlink(missing_ok=True)  # the machine starts anew, too
