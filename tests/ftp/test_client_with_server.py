"""FtpClient and FtpServer in one program: what both agree on, as events on one side and results on the other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.errors import Busy, Unreachable
from logferry.ftp import (
    Aborted,
    Event,
    FtpClient,
    FtpServer,
    Incomplete,
    MemoryUsers,
    Received,
    SendSource,
    StoreItem,
    TlsIdentity,
    TokenBucket,
    User,
    hash_password,
)

BIG = random.Random(42).randbytes(10_000_000)


@cache
def password_hash() -> str:
    """Hashing takes its time on purpose; once is enough."""
    return hash_password("secret")


@dataclass
class House:
    """A running server, what happened to it, and how to get in."""

    server: FtpServer
    root: Path
    pin: str
    users: MemoryUsers
    events: list[Event] = field(default_factory=list)

    def client(self, *, clock: ManualClock | None = None, rate: TokenBucket | None = None) -> FtpClient:
        """A client for it."""
        host, port = self.server.address
        pins = (self.pin,) if self.pin else ()
        more = {"clock": clock} if clock else {}
        tls = "required" if self.pin else "off"
        return FtpClient(host, port, user="ann", password="secret", tls=tls, pins=pins, timeout_s=10, rate=rate, **more)  # type: ignore[arg-type]

    def of(self, kind: type[Event]) -> list[Event]:
        """Events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Event]) -> Event:
        """The first event of a kind, waited for."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if found := self.of(kind):
                return found[0]
            time.sleep(0.01)
        raise AssertionError(f"no {kind.__name__} among {self.events}")


@pytest.fixture(params=["127.0.0.1", "127.0.0.1-tls", "::1", "::1-tls"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Plain and encrypted, IPv4 and IPv6."""
    host, _, tls = request.param.partition("-")
    (tmp_path / "root").mkdir()
    users = MemoryUsers()
    users.add(User("ann", home=str(tmp_path / "root"), password_hash=password_hash()))
    identity = TlsIdentity.ensure(str(tmp_path / "tls")) if tls else None
    events: list[Event] = []
    server = FtpServer(
        (host, 0), users=users, tls="required" if tls else "off", identity=identity, on_event=events.append
    )
    with server:
        yield House(server, tmp_path / "root", identity.pin if identity else "", users, events)


def test_atomic_uploads_and_pipelining_are_announced_and_seen(house: House) -> None:
    """What store_many and upload build on."""
    with house.client() as client:
        assert client.features.atomic
        assert client.features.pipelining


def test_many_files_need_few_pieces_and_arrive_in_order(house: House) -> None:
    """Every one is received whole, in the order of the items."""
    with house.client() as client:
        items = [StoreItem(f"/{n:03}", BIG, n, 1000 + n) for n in range(100)]
        results = list(client.store_many(items))
    assert [result.size for result in results] == [1000 + n for n in range(100)]
    assert [event.path for event in house.of(Received)] == [item.path for item in items]  # type: ignore[attr-defined]
    assert all((house.root / f"{n:03}").read_bytes() == BIG[n : 1000 + 2 * n] for n in range(100))


def test_nanoseconds_of_a_file_survive(house: House) -> None:
    """MFMT with a fraction, as this server understands it."""
    with house.client() as client:
        client.store("/a", SendSource.of(b"x"))
        assert client.set_modified("/a", 1_600_000_000_123_456_789)
        (result,) = client.store_many([StoreItem("/b", b"y", 0, 1, modified_ns=1_600_000_000_123_456_789)])
        assert result.modified_set
    assert (house.root / "a").stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert (house.root / "b").stat().st_mtime_ns == 1_600_000_000_123_456_789


def test_an_aborted_upload_is_incomplete_and_never_visible(house: House) -> None:
    """The server sees the cut as a cut, encrypted or not."""
    client = house.client()
    with pytest.raises(Aborted):
        client.store("/a", SendSource.of(BIG), progress=lambda done: client.abort() if done > 1_000_000 else None)
    client.close()
    house.wait_for(Incomplete)
    assert house.of(Received) == []
    with house.client() as other:
        assert [entry.name for entry in other.entries("/") if entry.name == "a"] == []


def test_a_source_that_shrank_is_incomplete_there(house: House, tmp_path: Path) -> None:
    """In a pipeline too, and the files behind it arrive."""
    path = tmp_path / "log"
    path.write_bytes(BIG[:5000])
    with house.client() as client, path.open("rb") as file:
        items = [StoreItem("/a", file.fileno(), 0, 9000), StoreItem("/b", file.fileno(), 0, 5000)]
        results = list(client.store_many(items))
    assert [result.error is None for result in results] == [False, True]
    assert [event.path for event in house.of(Received)] == ["/b"]  # type: ignore[attr-defined]
    assert not (house.root / "a").exists()


def test_a_rate_is_kept(house: House) -> None:
    """1 MB at 100 KB a second takes ten seconds of the clock; the bytes are the same."""
    clock = ManualClock()
    begin = clock.monotonic_s()
    with house.client(clock=clock, rate=TokenBucket(100_000, clock=clock)) as client:
        client.store("/a", SendSource.of(BIG[:1_000_000]))
        assert 9.0 <= clock.monotonic_s() - begin <= 11.0
        client.retrieve("/a", lambda block: None)
        assert 19.0 <= clock.monotonic_s() - begin <= 21.0
    assert (house.root / "a").read_bytes() == BIG[:1_000_000]


def test_several_clients_share_one_server(house: House) -> None:
    """Four at once, each with its own files."""

    def work(number: int) -> None:
        with house.client() as client:
            client.ensure_folder(f"/{number}")
            items = [StoreItem(f"/{number}/{n}", BIG, n, 50_000) for n in range(50)]
            assert all(result.error is None for result in client.store_many(items))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(house.of(Received)) == 200


def test_a_stopped_server_ends_the_client_clearly(house: House) -> None:
    """The next call says so; nothing hangs."""
    client = house.client()
    client.connect()
    house.server.stop()
    with pytest.raises((Busy, Unreachable)):
        client.noop()  # hears the goodbye, or that it was hung up on
    with pytest.raises(Unreachable, match="refused"):
        client.noop()
    client.close()


def test_an_old_tls_session_is_renewed_before_it_is_refused(house: House) -> None:
    """Tickets last two hours on most servers: after one, a new control connection."""
    clock = ManualClock()
    with house.client(clock=clock) as client:
        client.store("/a", SendSource.of(b"x"))
        first = client.session()
        clock.advance(4000)
        client.store("/b", SendSource.of(b"x"))
        assert (client.session() is first) is not client.encrypted
