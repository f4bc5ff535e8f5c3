"""``kill -9`` of the server at random moments: everything it confirmed is there, nothing half has a name."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ftp.kit import WAIT_S, RawClient, until
from tests.ftp.peers import logferry
from tests.security.amounts import amount, dice

KILLS = amount("kills", 6, 300)
CLIENTS = 3
LIFE_S = (0.02, 0.3)
"""How long a server lives once the clients work."""


class _Broken(Exception):
    """The server did not answer as it does while it lives."""


class _Lost(Exception):
    """Something confirmed is not there."""


def _size(client: RawClient, name: str) -> int:
    reply = client.command(f"SIZE {name}")
    if reply[:3] not in ("213", "550"):
        raise _Broken(reply)
    return int(reply.split()[1]) if reply.startswith("213") else 0


class _Writer:
    """A client that stores, continues, appends and renames, and remembers what was confirmed."""

    def __init__(self, number: int, seed: float) -> None:
        self._number = number
        self._dice = random.Random(seed)
        self._serial = 0
        self.files: dict[str, bytes] = {}
        """What must be there, by name."""
        self.doubtful: dict[str, bytes] = {}
        """What may be there: whole or not at all."""
        self.log = b""
        """What the log must begin with; ``tail`` is what was sent behind it and not confirmed."""
        self.tail = b""
        self.confirmed = 0

    def run(self, port: int, ready: threading.Barrier) -> None:
        """Log in, wait for the others, work until the connection breaks (the raw client asserts what it expects)."""
        with RawClient(port) as client:
            client.login()
            ready.wait()
            with contextlib.suppress(OSError, AssertionError, _Broken):
                self._work(client)

    def _work(self, client: RawClient) -> None:
        while True:
            self._dice.choice((self._store, self._store, self._continue, self._append, self._rename))(client)

    def _name(self) -> str:
        self._serial += 1
        return f"w{self._number}-{self._serial}"

    def _content(self) -> bytes:
        return self._dice.randbytes(64) * self._dice.choice((1, 20, 3000))

    def _store(self, client: RawClient) -> None:
        name, content = self._name(), self._content()
        self.doubtful[name] = content
        self._take(client.upload(f"STOR {name}", content), name)

    def _take(self, reply: str, name: str) -> None:
        if not reply.startswith("226"):
            raise _Broken(reply)
        self.files[name] = self.doubtful.pop(name)
        self.confirmed += 1

    def _continue(self, client: RawClient) -> None:
        """The first half is cut, the second comes by REST."""
        name, content = self._name(), self._content()
        half = len(content) // 2
        self.doubtful[name] = content
        connection = client.data(f"STOR {name}")
        connection.sendall(content[:half])
        client.send("ABOR")
        client.reply()
        client.reply()
        connection.close()
        offset = _size(client, name)
        client.command(f"REST {offset}")
        self._take(client.upload(f"STOR {name}", content[offset:]), name)

    def _append(self, client: RawClient) -> None:
        """To the log, from where the server says it ends: so a piece is there once, however often it was sent."""
        name = f"log{self._number}"
        offset = _size(client, name)
        if offset < len(self.log):
            raise _Lost(f"{len(self.log)} bytes of {name} were confirmed, SIZE says {offset}")
        piece = (self.log + self.tail)[offset:] or self._content()
        self.tail = (self.log + self.tail)[len(self.log) : offset] + piece
        client.command(f"REST {offset}")
        if not client.upload(f"STOR {name}", piece).startswith("226"):
            raise _Broken(name)
        self.log, self.tail = self.log + self.tail, b""
        self.confirmed += 1

    def _rename(self, client: RawClient) -> None:
        if not self.files:
            return
        name = self._dice.choice(sorted(self.files))
        target = self._name()
        content = self.files.pop(name)
        self.doubtful |= {name: content, target: content}
        client.command(f"RNFR {name}")
        if not client.command(f"RNTO {target}").startswith("250"):
            raise _Broken(name)
        del self.doubtful[name]
        self.files[target] = self.doubtful.pop(target)
        self.confirmed += 1

    def check(self, root: Path) -> None:
        """Everything against the disk; what was in doubt is settled afterwards."""
        for name, content in self.files.items():
            assert (root / name).read_bytes() == content, f"confirmed, and not there: {name}"
        for name, content in self.doubtful.items():
            if (root / name).exists():
                assert (root / name).read_bytes() == content, f"half a file has its name: {name}"
                self.files[name] = content
        self.doubtful.clear()
        log = root / f"log{self._number}"
        found = log.read_bytes() if log.exists() else b""
        assert found.startswith(self.log), "confirmed bytes are gone from the log"
        assert (self.log + self.tail).startswith(found), "the log holds what nobody sent"


@pytest.mark.slow
# The raw client's data connections die with its assertions, in the middle of whatever it did.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_server_has_lost_nothing_it_confirmed(tmp_path: Path) -> None:
    """STOR, REST + STOR, append and rename by several clients; kill -9; look; start again; many times."""
    source = dice("kills")
    writers = [_Writer(number, source.random()) for number in range(CLIENTS)]
    for _ in range(KILLS):
        with logferry(tmp_path) as server:
            ready = threading.Barrier(CLIENTS + 1, timeout=5 * WAIT_S)
            with ThreadPoolExecutor(CLIENTS) as threads:
                runs = [threads.submit(writer.run, server.port, ready) for writer in writers]
                ready.wait()
                time.sleep(source.uniform(*LIFE_S))
                server.kill()
            for run in runs:
                run.result()
        for writer in writers:
            writer.check(server.root)
    confirmed = sum(writer.confirmed for writer in writers)
    assert confirmed > 0
    left = [path for path in server.root.iterdir() if path.name.startswith(".~up-")]
    assert len(left) <= KILLS * CLIENTS, "more is left over than was under way"
    print(f"{KILLS} kills, {confirmed} confirmations, 0 lost, 0 half; {len(left)} hidden partials left over")


def test_what_a_killed_server_left_is_used_up_by_the_next_upload(tmp_path: Path) -> None:
    """The partial of a name is continued or replaced, and then gone: what is left over does not grow with retries."""
    content = os.urandom(200_000)
    for _ in range(2):
        with logferry(tmp_path) as server, RawClient(server.port) as client:
            client.login()
            connection = client.data("STOR a")
            connection.sendall(content[:100_000])
            until(lambda: bool(_partials(server.root)), "nothing has come")
            server.kill()
            connection.close()
        assert len(_partials(server.root)) == 1
        assert not (server.root / "a").exists()
    with logferry(tmp_path) as server, RawClient(server.port) as client:
        client.login()
        assert client.upload("STOR a", content).startswith("226")
        assert (server.root / "a").read_bytes() == content
        assert _partials(server.root) == []


def _partials(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name.startswith(".~up-")]
