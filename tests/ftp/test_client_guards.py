"""What was said for an upload ends with it: commands sent ahead of one that fails touch nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from logferry.errors import BadName, NotPermitted, Refused
from logferry.ftp import FtpClient, StoreItem, TlsIdentity, UploadRequest
from logferry.ftp.client_session import TlsMode
from logferry.limits import FTP_SMALL_DIGEST_BYTES_MAX
from tests.ftp.faulty import Faults, FaultyServer
from tests.ftp.kit import Serving, serving

OLD_NS = 1_500_000_000_000_000_000
NEW_NS = 1_700_000_000_000_000_000


def client_of(house: Serving) -> FtpClient:
    """A client of ours."""
    return FtpClient("127.0.0.1", house.port, user="ann", password="secret", tls="off")


def item(path: str, *, rest: int = 0, digest: bool = False) -> StoreItem:
    """A small upload that sets the time."""
    data = f"new content of {path}".encode()
    return StoreItem(path, data, 0, len(data), rest=rest, modified_ns=NEW_NS, want_digest=digest)


def refuse_kept(request: UploadRequest) -> None:
    """An upload hook: ``kept`` stays as it is."""
    if request.path.endswith("kept"):
        raise NotPermitted("not that one")


@pytest.mark.parametrize("rest", [0, 3])
def test_the_time_sent_ahead_of_a_refused_upload_leaves_the_old_file_alone(tmp_path: Path, rest: int) -> None:
    """The old file keeps content and time, the files around it get theirs, and nobody reconnects."""
    with serving(tmp_path, before_upload=refuse_kept) as house, client_of(house) as client:
        kept = house.home / "kept"
        kept.write_bytes(b"old content")
        os.utime(kept, ns=(OLD_NS, OLD_NS))
        session = client.session()
        paths = [f"/{number}" for number in range(5)] + ["/kept"] + [f"/{number}" for number in range(5, 20)]
        results = list(client.store_many([item(path, rest=rest if path == "/kept" else 0) for path in paths]))
        failed = [result.item.path for result in results if result.error is not None]
        assert failed == ["/kept"]
        assert kept.read_bytes() == b"old content"
        assert kept.stat().st_mtime_ns == OLD_NS
        assert [result.modified_set for result in results] == [path != "/kept" for path in paths]
        assert {(house.home / path[1:]).stat().st_mtime_ns for path in paths if path != "/kept"} == {NEW_NS}
        assert client.session() is session


def test_a_time_that_is_set_on_purpose_after_a_failed_upload_needs_two_tries(tmp_path: Path) -> None:
    """The first is taken for one sent ahead; a later one, or one of another file, is not."""
    with serving(tmp_path, before_upload=refuse_kept) as house, house.client() as client:
        for name in ("kept", "other"):
            (house.home / name).write_bytes(b"x")
        assert client.command("EPSV").startswith("229")
        assert client.command("STOR kept").startswith("550")
        assert client.command("SIZE kept").startswith("213")
        assert client.command("MFMT 20200102030405 other").startswith("213")
        assert client.command("MFMT 20200102030405 kept").startswith("550")
        assert client.command("MFMT 20200102030405 kept").startswith("213")
        assert client.command("STOR kept").startswith("425")
        assert client.command("NOOP").startswith("200")
        assert client.command("MFMT 20200102030405 kept").startswith("213")


def test_a_restart_position_ends_with_the_upload_it_was_for(tmp_path: Path) -> None:
    """Also when the name can be none, or no data connection was there: the next upload begins at its beginning."""
    with serving(tmp_path) as house, house.client() as client:
        (house.home / "x").write_bytes(b"0123456789")
        for refused in ("STOR x", f"STOR {'y' * 300}"):
            assert client.command("REST 5").startswith("350")
            assert client.command(refused)[0] in "45"
        assert (house.home / "x").read_bytes() == b"0123456789"
        with client_of(house) as ftp:
            session = ftp.session()
            results = list(ftp.store_many([item("/" + "y" * 300, rest=5), item("/x")]))
            assert isinstance(results[0].error, BadName)
            assert results[1].error is None
            assert (house.home / "x").read_bytes() == b"new content of /x"
            assert ftp.session() is session


def test_a_server_that_promises_nothing_gets_the_time_behind_the_reply_only() -> None:
    """Commands of later files wait for it; a refused upload is followed by no MFMT at all."""
    faults = Faults(features=("EPSV", "MFMT", "SIZE", "X-LOGFERRY atomic pipelining"), once={"STOR": b"550 no\r\n"})
    with FaultyServer(faults) as server, server.client() as client:
        results = list(client.store_many([item("/a"), item("/b"), StoreItem("/c", b"c", 0, 1), item("/d")]))
        assert [type(result.error) for result in results] == [Refused, *[type(None)] * 3]
        assert [result.modified_set for result in results] == [False, True, False, True]
        times = [command.rpartition(" ")[2] for command in server.commands if command.startswith("MFMT")]
        assert times == ["/b", "/d"]
        order = [command for command in server.commands if command.split(" ")[0] in ("STOR", "MFMT")]
        assert [line.split(" ")[0] for line in order] == ["STOR", "STOR", "MFMT", "STOR", "STOR", "MFMT"]
        assert server.sessions == 1


DIGESTING = ("EPSV", "HASH SHA-256*", "SIZE", "X-LOGFERRY atomic pipelining guards")


@pytest.mark.parametrize("features", [DIGESTING, DIGESTING[:-1]], ids=["ahead", "one by one"])
def test_other_bytes_than_were_sent_are_found_by_their_digest(features: tuple[str, ...]) -> None:
    """True, False and, where the reply is about something else, None."""
    with FaultyServer(Faults(features=features)) as server, server.client() as client:
        (good,) = client.store_many([item("/a", digest=True)])
        server.faults.digest = b"213 SHA-256 0-16 " + b"0" * 64 + b" /a\r\n"
        (bad,) = client.store_many([item("/a", digest=True)])
        server.faults.digest = b"213 SHA-256 0-99 " + b"0" * 64 + b" /a\r\n"
        (other,) = client.store_many([item("/a", digest=True)])
        server.faults.digest = b"451 busy\r\n"
        (busy,) = client.store_many([item("/a", digest=True)])
        assert [result.error for result in (good, bad, other, busy)] == [None] * 4
        assert [result.agrees for result in (good, bad, other, busy)] == [True, False, None, None]
        (unasked,) = client.store_many([item("/a")])
        assert unasked.agrees is None


def test_the_digest_of_a_small_upload_comes_with_its_reply() -> None:
    """No HASH is asked for; what the reply says decides, and one that says nothing proves nothing."""
    faults = Faults(features=(*DIGESTING[:-1], "X-LOGFERRY atomic pipelining guards digests"))
    with FaultyServer(faults) as server, server.client() as client:
        (silent,) = client.store_many([item("/a", digest=True)])
        right = hashlib.sha256(b"new content of /a").hexdigest().encode()
        faults.stored = b"226 SHA-256 0-16 " + right + b" stored\r\n"
        (good,) = client.store_many([item("/a", digest=True)])
        faults.stored = b"226 SHA-256 0-16 " + right[::-1] + b" stored\r\n"
        (bad,) = client.store_many([item("/a", digest=True)])
        assert [result.agrees for result in (silent, good, bad)] == [None, True, False]
        assert "HASH" not in server.verbs()
        assert server.commands.count("OPTS STOR SHA-256") == 1
        data = bytes(FTP_SMALL_DIGEST_BYTES_MAX + 1)
        (large,) = client.store_many([StoreItem("/b", data, 0, len(data), want_digest=True)])
        assert large.agrees
        assert server.verbs().count("HASH") == 1


@pytest.mark.parametrize("tls", ["off", "required"])
def test_small_and_large_uploads_of_any_pace_are_compared(tmp_path: Path, tls: TlsMode) -> None:
    """Encrypted or not, at full speed or slowed down, appended or new, empty or large."""
    with serving(tmp_path, tls=tls) as house:
        for rate in (0, 3_000_000):
            house.users.change("ann", upload_rate=rate)
            pins = (TlsIdentity.ensure(str(tmp_path / "identity")).pin,) if tls != "off" else ()
            with FtpClient("127.0.0.1", house.port, user="ann", password="secret", tls=tls, pins=pins) as client:
                sizes = [1, 5000, FTP_SMALL_DIGEST_BYTES_MAX, FTP_SMALL_DIGEST_BYTES_MAX + 1, 700_000]
                items = [StoreItem(f"/{n}", b"x" * n, 0, n, want_digest=True) for n in sizes]
                items += [StoreItem("/5000", b"more", 0, 4, rest=5000, want_digest=True), StoreItem("/e", b"", 0, 0)]
                results = list(client.store_many(items))
                assert [result.error for result in results] == [None] * 7
                assert [result.agrees for result in results] == [True] * 6 + [None]


def test_a_part_is_compared_by_its_range_on_a_server_of_ours(tmp_path: Path) -> None:
    """The appended bytes only; a refused upload among them changes nothing."""
    with serving(tmp_path, before_upload=refuse_kept) as house, client_of(house) as client:
        (house.home / "grown").write_bytes(b"x" * 1000)
        items = [item("/grown", rest=1000, digest=True), item("/kept", digest=True), item("/fresh", digest=True)]
        results = list(client.store_many(items))
        assert [result.agrees for result in results] == [True, None, True]
        data = b"z" * 50
        (changed,) = client.store_many([StoreItem("/grown", data, 0, 50, rest=10, want_digest=True)])
        assert changed.agrees
        assert results[1].error is not None


@pytest.mark.parametrize(
    ("tls", "form", "told"), [("off", "tar", True), ("off", "tar.gz", None), ("required", "tar", None)]
)
def test_a_plain_bundle_without_tls_is_compared_as_a_whole(
    tmp_path: Path, tls: TlsMode, form: str, told: bool | None
) -> None:
    """The others find changes by themselves."""
    with serving(tmp_path, tls=tls) as house:
        pins = (TlsIdentity.ensure(str(tmp_path / "identity")).pin,) if tls != "off" else ()
        with FtpClient("127.0.0.1", house.port, user="ann", password="secret", tls=tls, pins=pins) as client:
            items = [StoreItem(f"/{n}", b"content %d" % n * 1000, 0, 1000 * len(b"content %d" % n)) for n in range(50)]
            result = client.store_bundle(items, form=form, verify=True)
            assert (result.error, result.files, result.agrees) == (None, 50, told)
            assert all(client.agrees(item) for item in items)
            assert client.store_bundle(items, form=form).agrees is None
