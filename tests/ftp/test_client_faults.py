"""FtpClient with a server that misbehaves: every fault ends in bounded time, with a clear error and no byte twice."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.errors import (
    BadName,
    Busy,
    Conflict,
    Damaged,
    Full,
    Later,
    NotFound,
    NotSignedIn,
    Refused,
    TimedOut,
    Unreachable,
)
from logferry.ftp import Aborted, FtpClient, SendSource, StoreItem
from tests.ftp.faulty import Faults, FaultyServer
from tests.ports import free_port

PROMPT_S_MAX = 10.0  # usually milliseconds; far below the time-out of 60 s that would end these calls otherwise
BIG = random.Random(42).randbytes(8_000_000)


def patient(server: FaultyServer) -> FtpClient:
    """A client whose waits between attempts take no time."""
    return server.client(clock=ManualClock(), dice=random.Random(42))


# Connecting ----------------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_unreachable() -> None:
    """With host, port and a hint."""
    port = free_port()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}.*refused"):
        FtpClient("127.0.0.1", port, user="ann", password="x", tls="off").connect()


def test_an_unknown_host_is_unreachable() -> None:
    """Names that do not resolve (RFC 6761: .invalid never does)."""
    client = FtpClient("nobody.invalid", user="ann", password="x", tls="off", timeout_s=10)
    with pytest.raises((Unreachable, TimedOut), match=r"nobody\.invalid"):
        client.connect()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(greeting=b"421 too many\r\n"), Busy),
        (Faults(greeting=b"SSH-2.0-x\r\n"), Unreachable),
        (Faults(replies={"PASS": b"530 Login incorrect.\r\n"}), NotSignedIn),
        (Faults(replies={"USER": b"530 no such user\r\n"}), NotSignedIn),
        (Faults(replies={"PASS": b"hang up"}), Unreachable),
        (Faults(replies={"TYPE": b"504 no\r\n"}), Refused),
    ],
    ids=["421", "ssh", "password", "user", "hang up", "type"],
)
def test_a_failed_sign_in_says_why(faults: Faults, error: type[Exception]) -> None:
    """And leaves nothing connected."""
    with FaultyServer(faults) as server:
        client = server.client()
        with pytest.raises(error):
            client.connect()
        assert not client.connected


def test_the_password_is_in_no_error_and_no_repr() -> None:
    """Errors end up in logs."""
    with FaultyServer(Faults(replies={"PASS": b"530 no\r\n"})) as server:
        client = server.client(password="hunter2-hunter2")
        with pytest.raises(NotSignedIn) as caught:
            client.connect()
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(vars(client))


def test_a_server_that_says_nothing_times_out() -> None:
    """After the time-out, not for ever."""
    with FaultyServer(Faults(greeting=b"")) as server, pytest.raises(TimedOut):
        server.client(timeout_s=0.2).connect()


def test_a_greeting_of_several_lines_and_a_120_are_understood() -> None:
    """Odd but allowed."""
    greeting = b"120 soon\r\n220-hello\r\n 221 not the end\n\r\n220 ready\n"
    with FaultyServer(Faults(greeting=greeting)) as server, server.client() as client:
        client.noop()


def test_a_server_without_feat_is_used_without() -> None:
    """500 is an answer."""
    with FaultyServer(Faults(replies={"FEAT": b"500 what?\r\n"})) as server, server.client() as client:
        client.store("/a", SendSource.of(b"x"))
        assert client.size("/a") == 1


def test_tls_required_refuses_a_server_without() -> None:
    """Before the password is sent."""
    with FaultyServer(Faults(replies={"AUTH": b"502 no\r\n"})) as server:
        with pytest.raises(Refused, match="does not offer TLS"):
            server.client(tls="required").connect()
        assert server.verbs() == ["AUTH"]


def test_tls_explicit_uses_plain_where_there_is_none_unless_a_pin_is_given() -> None:
    """Whoever gives a pin expects that certificate, not none."""
    with FaultyServer(Faults(replies={"AUTH": b"502 no\r\n"})) as server:
        with server.client(tls="explicit") as client:
            assert not client.encrypted
        with pytest.raises(Refused, match="does not offer TLS"):
            server.client(tls="explicit", pins=("sha256/" + "0" * 64,)).connect()


def test_text_injected_behind_auth_tls_ends_the_connection() -> None:
    """A reply in the clear is not believed after the handshake."""
    with FaultyServer(Faults(replies={"AUTH": b"234 go\r\n230 welcome\r\n"})) as server, pytest.raises(Unreachable):
        server.client(tls="required").connect()


def test_size_is_found_in_a_listing_where_there_is_no_size() -> None:
    """MLST or LIST know it too; a server with nothing of the kind says so."""
    faults = Faults(features=("MLST type*;size*;",), replies={"SIZE": b"502 no\r\n"})
    faults.replies["MLST"] = b"250-Listing\r\n type=file;size=77; /a\r\n250 End\r\n"
    with FaultyServer(faults) as server, server.client() as client:
        assert client.size("/a") == 77
        faults.replies["MLST"] = b"550 no such file\r\n"
        assert client.size("/a") is None
        faults.replies["MLST"] = b"250 nothing\r\n"
        with pytest.raises(Refused, match="no facts"):
            client.size("/a")


def test_a_size_that_is_no_number_is_refused() -> None:
    """Nothing is made of it."""
    faults = Faults(replies={"SIZE": b"213 many\r\n"})
    with FaultyServer(faults) as server, server.client() as client, pytest.raises(Refused, match="no size"):
        client.size("/a")


def test_a_server_that_cannot_set_times_is_asked_once() -> None:
    """Every further file would be asked in vain."""
    with FaultyServer() as server, server.client() as client:
        assert not client.set_modified("/a", 10**18)
        assert not client.set_modified("/b", 10**18)
        assert server.verbs().count("MDTM") == 1


# Data connections ----------------------------------------------------------------------------------------------------


def test_pasv_is_used_where_epsv_is_unknown_and_its_address_is_ignored() -> None:
    """Data goes to where the commands go, whatever the server writes."""
    with FaultyServer(Faults(replies={"EPSV": b"500 what?\r\n"}, foreign_pasv=True)) as server:
        with server.client() as client:
            client.store("/a", SendSource.of(b"one"))
            client.store("/b", SendSource.of(b"two"))
        assert server.files == {"/a": b"one", "/b": b"two"}
        assert server.verbs().count("EPSV") == 1


def test_a_closed_data_port_is_unreachable() -> None:
    """With a hint at the firewall."""
    faults = Faults(replies={"EPSV": f"229 ok (|||{free_port()}|)\r\n".encode()})
    with FaultyServer(faults) as server, pytest.raises(Unreachable, match="passive"):
        server.client().store("/a", SendSource.of(b"x"))


@pytest.mark.parametrize(
    ("verdict", "error"), [("reset", Later), ("full", Full), ("early", Unreachable), ("lost", Unreachable)]
)
def test_an_upload_that_fails_in_the_middle_is_an_error(verdict: str, error: type[Exception]) -> None:
    """Even when the server leaves the data connection open and says so on the other one only."""
    with FaultyServer(Faults(verdicts=[verdict])) as server:
        client = server.client()
        with pytest.raises(error):
            client.store("/a", SendSource.of(BIG))
        client.store("/b", SendSource.of(b"next"))
        assert server.files["/b"] == b"next"
        client.close()


def test_a_server_that_stops_reading_times_out() -> None:
    """No byte moved for as long as the time-out."""
    with FaultyServer(Faults(verdicts=["stuck"])) as server:
        client = server.client(timeout_s=0.5)
        with pytest.raises(TimedOut):
            client.store("/a", SendSource.of(BIG))
        assert not client.connected


def test_after_an_error_behind_rest_the_next_transfer_has_a_new_connection() -> None:
    """The position might still be pending there."""
    with FaultyServer(Faults(once={"STOR": b"553 no\r\n"})) as server, server.client() as client:
        with pytest.raises(BadName):
            client.store("/a", SendSource.of(b"x"), rest=5)
        client.store("/b", SendSource.of(b"whole"))
        assert server.files == {"/b": b"whole"}
        assert server.sessions == 2


def test_a_refused_rest_sends_nothing() -> None:
    """Bytes for the middle must not land at the beginning."""
    with FaultyServer(Faults(replies={"REST": b"501 no\r\n"})) as server, server.client() as client:
        with pytest.raises(Refused):
            client.store("/a", SendSource.of(b"x"), rest=5)
        assert "STOR" not in server.verbs()


def test_an_error_without_rest_keeps_the_connection() -> None:
    """No need to sign in again."""
    with FaultyServer(Faults(once={"STOR": b"553 no\r\n"})) as server, server.client() as client:
        with pytest.raises(BadName):
            client.store("/a", SendSource.of(b"x"))
        client.store("/b", SendSource.of(b"whole"))
        assert server.sessions == 1


def test_a_source_that_shrank_is_a_conflict_and_never_complete(tmp_path: Path) -> None:
    """The server sees a reset, not an end; the client says what happened."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1000)
    with FaultyServer() as server, server.client() as client, path.open("rb") as file:
        with pytest.raises(Conflict, match="ended after 1000 bytes"):
            client.store("/a", SendSource(file.fileno(), 0, 5000))
        assert server.files.get("/a") is None
        client.store("/b", SendSource(file.fileno(), 0, 1000))
        assert len(server.files["/b"]) == 1000


def test_exactly_the_bytes_asked_for_are_sent_while_the_file_grows(tmp_path: Path) -> None:
    """From offset to offset + length, whatever comes behind it meanwhile."""
    path = tmp_path / "log"
    path.write_bytes(BIG)
    with FaultyServer() as server, server.client() as client, path.open("ab") as writer, path.open("rb") as file:

        def grow(_: int) -> None:
            writer.write(b"more")
            writer.flush()

        client.store("/a", SendSource(file.fileno(), 1000, len(BIG) - 1000), progress=grow)
        assert path.stat().st_size > len(BIG)
        assert server.files["/a"] == BIG[1000:]


def test_a_stream_can_be_sent(tmp_path: Path) -> None:
    """Anything with ``read``."""
    with FaultyServer() as server, server.client() as client:
        with (tmp_path / "x").open("wb+") as file:
            file.write(b"0123456789")
            file.seek(2)
            client.store("/a", SendSource(file, 0, 5))
        assert server.files["/a"] == b"23456"


def test_a_descriptor_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder for instance; the connection stays in step."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with FaultyServer() as server, server.client() as client:
            with pytest.raises(Refused, match="cannot read"):
                client.store("/a", SendSource(descriptor, 0, 5))
            client.store("/b", SendSource.of(b"next"))
            assert server.files == {"/b": b"next"}
    finally:
        os.close(descriptor)


# Connection lost and found -------------------------------------------------------------------------------------------


def test_a_connection_closed_while_idle_is_made_again() -> None:
    """The call that finds out fails, the next one connects."""
    with FaultyServer(Faults(once={"NOOP": b"421 idle too long\r\n"})) as server:
        client = server.client()
        client.connect()
        with pytest.raises(Busy):
            client.noop()
        client.noop()
        assert server.sessions == 2
        client.close()


def test_421_ends_the_connection() -> None:
    """As a reply to any command."""
    with FaultyServer(Faults(once={"SIZE": b"421 going down\r\n"})) as server:
        client = server.client()
        with pytest.raises(Busy, match="going down"):
            client.size("/a")
        assert not client.connected
        assert client.size("/a") is None
        client.close()
        assert server.sessions == 2


def test_abort_ends_a_blocked_call() -> None:
    """From another thread, while the server neither reads nor answers; long before the time-out of a minute."""
    with FaultyServer(Faults(verdicts=["stuck"])) as server:
        client = server.client(timeout_s=60.0)
        failed: list[BaseException] = []
        sending = threading.Event()

        def work() -> None:
            try:
                client.store("/a", SendSource.of(BIG * 4), progress=lambda _: sending.set())
            except Aborted as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while "STOR /a" not in server.commands:
            time.sleep(0.01)
        client.abort()
        thread.join(PROMPT_S_MAX)
        assert not thread.is_alive()
        assert failed
        with pytest.raises(Aborted):
            client.noop()


@pytest.mark.parametrize("greeting", [b"", b"220 ready\r\n"])
def test_abort_ends_connecting_and_waiting(greeting: bytes) -> None:
    """Before the greeting, and between two attempts."""
    with FaultyServer(Faults(greeting=greeting, replies={"STOR": b"450 busy\r\n"})) as server:
        client = server.client(timeout_s=60.0)
        ended = threading.Event()

        def work() -> None:
            with pytest.raises(Aborted):
                client.upload(__file__, "/a", attempts=1000)
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        while server.sessions == 0 or (greeting and "STOR" not in " ".join(server.commands)):
            time.sleep(0.01)
        client.abort()
        assert ended.wait(PROMPT_S_MAX)
        thread.join()
        client.close()


def test_abort_ends_a_connect_that_nobody_answers() -> None:
    """A full backlog: the handshake of TCP itself hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        client = FtpClient("127.0.0.1", port, user="a", password="b", tls="off", timeout_s=60.0)
        ended = threading.Event()

        def work() -> None:
            with pytest.raises(Aborted):
                client.connect()
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.2)  # nothing can be seen from outside: the connection does not exist yet
        client.abort()
        assert ended.wait(PROMPT_S_MAX)
        thread.join()
        for filler in fillers:
            filler.close()


# Whole files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "attempts"),
    [(["reset"], 2), (["lost"], 2), (["reset", "reset", "early", "lost"], 5)],
    ids=["reset", "226 lost", "four in a row"],
)
def test_an_upload_goes_on_where_it_was_cut(tmp_path: Path, verdicts: list[str], attempts: int) -> None:
    """Until the file is there, byte by byte the same, and under its own name only."""
    path = tmp_path / "log"
    path.write_bytes(BIG)
    with FaultyServer(Faults(verdicts=list(verdicts))) as server, patient(server) as client:
        copied = client.upload(str(path), "/d/log")
        assert server.files == {"/d/log": BIG}
        assert copied.size == len(BIG)
        assert copied.attempts == attempts


def test_a_lost_226_sends_nothing_twice(tmp_path: Path) -> None:
    """SIZE shows that all is there: only the name is missing."""
    path = tmp_path / "log"
    path.write_bytes(BIG)
    with FaultyServer(Faults(verdicts=["lost"])) as server, patient(server) as client:
        client.upload(str(path), "/log")
        assert server.verbs().count("STOR") == 1
        assert server.files == {"/log": BIG}


def test_an_upload_gives_up_after_its_attempts(tmp_path: Path) -> None:
    """With the last error."""
    path = tmp_path / "log"
    path.write_bytes(b"x")
    with FaultyServer(Faults(replies={"STOR": b"450 busy\r\n"})) as server, patient(server) as client:
        with pytest.raises(Later, match="450 busy"):
            client.upload(str(path), "/log", attempts=3)
        assert server.verbs().count("STOR") == 3


def test_a_refused_upload_is_not_tried_again(tmp_path: Path) -> None:
    """It would be refused again."""
    path = tmp_path / "log"
    path.write_bytes(b"x")
    with FaultyServer(Faults(replies={"STOR": b"550 Permission denied\r\n"})) as server, patient(server) as client:
        with pytest.raises(Refused):
            client.upload(str(path), "/log")
        assert server.verbs().count("STOR") == 1


def test_another_version_of_the_file_is_not_mixed_with_the_first(tmp_path: Path) -> None:
    """A half upload of yesterday's content is not continued with today's."""
    path = tmp_path / "log"
    path.write_bytes(b"a" * 5000)
    with FaultyServer(Faults(verdicts=["reset"])) as server, patient(server) as client:
        with pytest.raises(Later):
            client.upload(str(path), "/log", attempts=1)
        path.write_bytes(b"b" * 6000)
        client.upload(str(path), "/log")
        assert server.files["/log"] == b"b" * 6000


def test_a_resumed_upload_sends_only_the_rest(tmp_path: Path) -> None:
    """Another client, later: the same version of the file goes on."""
    path = tmp_path / "log"
    path.write_bytes(BIG)
    with FaultyServer(Faults(verdicts=["reset"])) as server:
        with patient(server) as client, pytest.raises(Later):
            client.upload(str(path), "/log", attempts=1)
        with patient(server) as client:
            assert client.upload(str(path), "/log").resumed_at > 0
        assert server.files == {"/log": BIG}


def test_a_server_that_falls_ill_within_an_upload_refuses_nothing(tmp_path: Path) -> None:
    """It says 500, "unknown command", of one that it had begun: the upload goes on."""
    path = tmp_path / "log"
    path.write_bytes(BIG)
    with FaultyServer(Faults(verdicts=["oops", "oops"])) as server, patient(server) as client:
        assert client.upload(str(path), "/log").attempts == 3
        assert server.files == {"/log": BIG}


@pytest.mark.parametrize("verdicts", [["reset"], ["lost"], ["short"], ["short", "lost", "reset"]])
def test_a_download_goes_on_where_it_was_cut(tmp_path: Path, verdicts: list[str]) -> None:
    """Whatever cut it: 426, a hang-up, or an end that came too soon and was called complete."""
    local = tmp_path / "copy"
    with FaultyServer(Faults(verdicts=list(verdicts))) as server, patient(server) as client:
        server.files["/log"] = BIG
        copied = client.download("/log", str(local))
        assert local.read_bytes() == BIG
        assert copied.attempts == len(verdicts) + 1
        assert [entry.name for entry in tmp_path.iterdir()] == ["copy"]


def test_a_download_is_not_continued_with_another_file(tmp_path: Path) -> None:
    """What stands before the break is compared first."""
    local = tmp_path / "copy"
    with FaultyServer(Faults(verdicts=["reset"])) as server, patient(server) as client:
        server.files["/log"] = BIG
        with pytest.raises(Later):
            client.download("/log", str(local), attempts=1)
        server.files["/log"] = BIG[::-1]
        client.download("/log", str(local))
        assert local.read_bytes() == BIG[::-1]


def test_a_log_that_grows_while_it_is_downloaded_is_taken_as_it_comes(tmp_path: Path) -> None:
    """More than SIZE said before, no more than it says after."""
    with FaultyServer(Faults(once={"SIZE": b"213 5\r\n"})) as server, patient(server) as client:
        server.files["/log"] = b"0123456789"
        assert client.download("/log", str(tmp_path / "copy")).size == 10
        assert (tmp_path / "copy").read_bytes() == b"0123456789"


def test_an_upload_without_resuming_begins_anew(tmp_path: Path) -> None:
    """And one without a temporary name goes on with what is there."""
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    with FaultyServer() as server, patient(server) as client:
        server.files["/log"] = b"01234"
        assert client.upload(str(path), "/log", temporary=False).resumed_at == 5
        assert client.upload(str(path), "/log", temporary=False, resume=False).resumed_at == 0
        assert server.files == {"/log": b"0123456789"}
        path.write_bytes(b"short")
        assert client.upload(str(path), "/log", temporary=False).size == 5
        assert server.files == {"/log": b"short"}


def test_a_file_that_is_larger_there_afterwards_is_damaged(tmp_path: Path) -> None:
    """Somebody else writes to it: trying again would not help."""
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    faults = Faults(replies={"SIZE": b"213 11\r\n"})
    with FaultyServer(faults) as server, patient(server) as client, pytest.raises(Damaged, match="11 bytes"):
        client.upload(str(path), "/log")


def test_a_missing_file_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a partial nor an empty file, neither here nor there."""
    with FaultyServer() as server, patient(server) as client:
        with pytest.raises(NotFound):
            client.download("/no", str(tmp_path / "copy"))
        with pytest.raises(NotFound):
            client.upload(str(tmp_path / "no"), "/no")
        assert list(tmp_path.iterdir()) == []
        assert server.files == {}


# Many ----------------------------------------------------------------------------------------------------------------


def items(count: int) -> list[StoreItem]:
    """Small files."""
    return [StoreItem(f"/{n}", b"%d" % n, 0, len(b"%d" % n)) for n in range(count)]


def test_one_refused_file_does_not_stop_the_others() -> None:
    """It has its error, the others are stored."""
    with FaultyServer(Faults(once={"STOR": b"553 no\r\n"})) as server, server.client() as client:
        results = list(client.store_many(items(5)))
        assert [type(result.error) for result in results] == [BadName, *[type(None)] * 4]
        assert [result.size for result in results[1:]] == [1, 1, 1, 1]
        assert len(server.files) == 4


def test_a_lost_connection_gives_the_rest_its_error() -> None:
    """One result per item, and no further attempt."""
    with FaultyServer(Faults(verdicts=["ok", "lost"])) as server:
        results = list(server.client().store_many(items(5)))
        assert [result.error is None for result in results] == [True, False, False, False, False]
        assert all(isinstance(result.error, Unreachable) for result in results[1:])
        assert server.sessions == 1


def test_a_server_that_is_away_gives_every_item_the_error() -> None:
    """No exception: the caller reads results."""
    client = FtpClient("127.0.0.1", free_port(), user="a", password="b", tls="off")
    assert [type(result.error) for result in client.store_many(items(3))] == [Unreachable] * 3
