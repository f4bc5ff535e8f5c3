"""Uploads with commands sent ahead, to a server that misbehaves: the right bytes under the right name, or none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.errors import BadName, Full, Later, Refused, Unreachable
from logferry.ftp import StoreItem, StoreResult
from logferry.ftp.sending import Shrank
from logferry.limits import FTP_FILES_AHEAD_MAX
from tests.ftp.faulty import Faults, FaultyServer

BIG = random.Random(42).randbytes(4_000_000)


def pipelining(**faults: object) -> Faults:
    """Faults of a server that announces pipelining (and MFMT, which it answers with 200)."""
    return Faults(features=("EPSV", "MFMT", "SIZE", "X-LOGFERRY atomic pipelining"), **faults)  # type: ignore[arg-type]


def items(count: int, *, rest: int = 0, size: int = 10) -> list[StoreItem]:
    """Items whose content names them."""
    return [StoreItem(f"/{n}", (b"%d " % n) * size, 0, len(b"%d " % n) * size, rest=rest) for n in range(count)]


def errors(results: list[StoreResult]) -> list[type | None]:
    """The kinds of their errors."""
    return [type(result.error) if result.error else None for result in results]


def assert_only_right_bytes(server: FaultyServer, wanted: list[StoreItem]) -> None:
    """Whatever is stored is stored under its own name."""
    for item in wanted:
        assert isinstance(item.content, bytes)
        assert server.files.get(item.path, item.content) == item.content


def test_commands_go_ahead_of_their_files() -> None:
    """The commands of several files come before the first is answered, and in a fixed order."""
    with FaultyServer(pipelining()) as server, server.client() as client:
        wanted = items(20)
        results = list(client.store_many(wanted))
        assert errors(results) == [None] * 20
        assert [result.size for result in results] == [item.length for item in wanted]
        assert len(server.files) == 20
        assert_only_right_bytes(server, wanted)
        assert server.verbs()[-60:] == ["EPSV", "STOR", "SIZE"] * 20


def test_a_refused_file_takes_its_own_error_only() -> None:
    """The data connection of a refused STOR carries nothing over to the next."""
    with FaultyServer(pipelining(once={"STOR": b"553 no\r\n"})) as server, server.client() as client:
        wanted = items(20, size=100_000)
        results = list(client.store_many(wanted))
        assert errors(results) == [BadName, *[None] * 19]
        assert_only_right_bytes(server, wanted)


def test_a_refused_rest_sends_no_bytes_and_the_others_go_again() -> None:
    """On a new connection: their commands died with the old one."""
    with FaultyServer(pipelining(once={"REST": b"501 no\r\n"})) as server, server.client() as client:
        wanted = [*items(1, rest=5), *items(6)[1:]]
        results = list(client.store_many(wanted))
        assert errors(results) == [Refused, *[None] * 5]
        assert "/0" not in server.files
        assert server.sessions == 2
        assert_only_right_bytes(server, wanted)


def test_a_refused_epsv_takes_its_own_error_only() -> None:
    """STOR is then refused too; the next file has its own port."""
    faults = pipelining(once={"EPSV": b"425 no port\r\n", "STOR": b"425 no data connection\r\n"})
    with FaultyServer(faults) as server, server.client() as client:
        results = list(client.store_many(items(5)))
        assert errors(results) == [Later, None, None, None, None]


@pytest.mark.parametrize(("verdict", "kind"), [("reset", Later), ("full", Full)])
def test_a_file_that_fails_in_the_middle_takes_its_own_error_only(verdict: str, kind: type) -> None:
    """4yz for one of them; the others are whole."""
    with FaultyServer(pipelining(verdicts=["ok", verdict])) as server, server.client() as client:
        wanted = items(6, size=200_000)
        results = list(client.store_many(wanted))
        assert errors(results) == [None, kind, None, None, None, None]
        del server.files["/1"]
        assert_only_right_bytes(server, wanted)


def test_a_lost_connection_fails_the_rest_untried() -> None:
    """One result per item, each with the error."""
    with FaultyServer(pipelining(verdicts=["ok", "lost"])) as server, server.client() as client:
        wanted = items(30, size=200_000)
        results = list(client.store_many(wanted))
        assert errors(results) == [None, *[Unreachable] * 29]
        assert [result.item for result in results] == wanted
        assert server.sessions == 1


def test_a_file_confirmed_before_it_can_be_there_is_not_believed() -> None:
    """When all bytes still fit into the buffers of the network, its SIZE tells; otherwise the client notices itself."""
    with FaultyServer(pipelining(verdicts=["early", "early"])) as server, server.client() as client:
        small, large = client.store_many([*items(1), StoreItem("/large", BIG * 4, 0, len(BIG) * 4)])
        assert small.size is None
        assert isinstance(large.error, Unreachable)


def test_a_source_that_shrank_is_reset_and_the_others_arrive(tmp_path: Path) -> None:
    """No short file is taken for a whole one."""
    path = tmp_path / "x"
    path.write_bytes(b"short")
    with FaultyServer(pipelining()) as server, server.client() as client, path.open("rb") as file:
        wanted = [*items(2), StoreItem("/x", file.fileno(), 0, 5000), *items(5)[2:]]
        results = list(client.store_many(wanted))
        assert errors(results) == [None, None, Shrank, None, None, None]
        assert "/x" not in server.files


def test_items_are_read_only_a_few_ahead() -> None:
    """Descriptors opened on the way stay few."""
    taken = 0

    def lazily() -> object:
        nonlocal taken
        for item in items(100):
            taken += 1
            yield item

    with FaultyServer(pipelining()) as server, server.client() as client:
        for number, _ in enumerate(client.store_many(lazily())):  # type: ignore[arg-type]
            assert taken <= number + 1 + FTP_FILES_AHEAD_MAX


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["ok", "ok", "reset", "full", "lost", "early"]), max_size=12),
    st.lists(st.sampled_from([0, 1, 3, 70_000]), min_size=1, max_size=12),
)
def test_whatever_fails_what_is_called_stored_is_stored(verdicts: list[str], sizes: list[int]) -> None:
    """For any sequence of faults: an item without an error is there, byte by byte, and no name has another's bytes."""
    wanted = [StoreItem(f"/{n}", bytes([65 + n]) * size, 0, size) for n, size in enumerate(sizes)]
    with FaultyServer(pipelining(verdicts=list(verdicts))) as server, server.client() as client:
        results = list(client.store_many(wanted))
        assert [result.item for result in results] == wanted
        for result in results:
            content = result.item.content
            assert isinstance(content, bytes)
            if result.error is None and verdicts[: len(wanted)].count("early") == 0:
                assert server.files[result.item.path] == content
            assert content.startswith(server.files.get(result.item.path, b""))
