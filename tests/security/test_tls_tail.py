"""The last bytes of an upload over TLS: all there for good clients, never taken for whole from a cut connection."""

from __future__ import annotations

import ftplib
import io
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ftp.kit import WAIT_S, RawClient, Serving, reset, serving
from tests.ftp.programs.running import needs
from tests.ftp.programs.test_libraries import ReusingFtpTls
from tests.security.amounts import HEAVY, amount

SMALL, LARGE = 300_000, 5_000_000
UPLOADS = {"TLSv1.3": amount("uploads", 10, 50), "TLSv1.2": amount("uploads_12", 3, 50)}


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 0, (command, result.stdout, result.stderr)


def _curl(at: Serving, files: list[Path], version: str) -> None:
    newest = version.removeprefix("TLSv")
    for file in files:
        _run(
            *(needs("curl"), "-sS", "--ssl-reqd", "--insecure", "--user", "ann:secret", "--tls-max", newest),
            *("-T", str(file), f"ftp://127.0.0.1:{at.port}/"),
        )


def _lftp(at: Serving, files: list[Path], version: str) -> None:
    priority = "NORMAL" if version == "TLSv1.3" else "NORMAL:-VERS-TLS1.3"
    settings = (
        f"set ssl:verify-certificate no; set ftp:ssl-force yes; set net:max-retries 1; set ssl:priority {priority}"
    )
    puts = "; ".join(f"put {file}" for file in files)
    _run(needs("lftp"), "-e", f"{settings}; open -u ann,secret -p {at.port} 127.0.0.1; {puts}; bye")


def _rclone(at: Serving, files: list[Path], version: str) -> None:
    rclone = needs("rclone")
    password = subprocess.run([rclone, "obscure", "secret"], capture_output=True, text=True, check=True).stdout.strip()
    older = ",disable_tls13" if version == "TLSv1.2" else ""
    target = f":ftp,host=127.0.0.1,port={at.port},user=ann,pass={password},explicit_tls,no_check_certificate{older}:"
    options = ("--config", "", "--retries", "1", "--low-level-retries", "1", "--transfers", "2")
    _run(rclone, *options, "copy", str(files[0].parent), target)


def _ftplib(at: Serving, files: list[Path], version: str) -> None:
    client: ftplib.FTP_TLS = ReusingFtpTls(timeout=WAIT_S, context=_context(version))
    with client:
        client.connect("127.0.0.1", at.port)
        client.login("ann", "secret")
        client.prot_p()
        for file in files:
            with file.open("rb") as content:
                assert client.storbinary(f"STOR {file.name}", content).startswith("226")


def _context(version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_3 if version == "TLSv1.3" else ssl.TLSVersion.TLSv1_2
    return context


Uploader = Callable[[Serving, list[Path], str], None]


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("version", UPLOADS)
@pytest.mark.parametrize(
    ("upload", "size"),
    [(_curl, SMALL), (_lftp, SMALL), (_rclone, LARGE), (_ftplib, LARGE)],
    ids=["curl", "lftp", "rclone", "ftplib"],
)
def test_every_upload_of_every_client_is_whole(tmp_path: Path, upload: Uploader, size: int, version: str) -> None:
    """curl and lftp send 300 KB, rclone and ftplib 5 MB, again and again: each arrives to its last byte."""
    folder = tmp_path / "files"
    folder.mkdir()
    files = [folder / f"f{number}" for number in range(UPLOADS[version])]
    for file in files:
        file.write_bytes(os.urandom(1000) * (size // 1000))
    with serving(tmp_path, tls="required") as at:
        upload(at, files, version)
        whole = [(at.home / file.name).read_bytes() == file.read_bytes() for file in files]
        shutil.rmtree(at.home)
    assert whole == [True] * len(files)
    print(f"{upload.__name__} {version}: {sum(whole)} of {len(files)} uploads of {size:,} bytes whole")


# Cut connections -----------------------------------------------------------------------------------------------------

CONTENT = b"a few bytes that are all or nothing\n"
STEP = 1 if HEAVY else 23


def _cut_after(
    connection: socket.socket, stream: ssl.SSLObject, wire: tuple[ssl.MemoryBIO, ssl.MemoryBIO], limit: int
) -> int:
    """Handshake, content, close_notify: what a client puts on the wire, cut by a reset behind ``limit`` bytes."""
    sent = 0
    incoming, outgoing = wire

    def pump(step: Callable[[], object]) -> bool:
        """Do ``step`` and send what it makes; False when the limit is reached."""
        nonlocal sent
        while True:
            try:
                step()
                again = False
            except ssl.SSLWantReadError:
                again = True
            data = outgoing.read()[: limit - sent]
            connection.sendall(data)
            sent += len(data)
            if sent >= limit:
                return False
            if not again:
                return True
            incoming.write(connection.recv(65536))

    def say_end() -> None:
        try:
            stream.unwrap()
        except ssl.SSLWantReadError:
            return  # ours is out

    if pump(stream.do_handshake) and pump(lambda: stream.write(CONTENT)):
        pump(say_end)
    return sent


def _upload_cut(client: RawClient, name: str, limit: int) -> tuple[str, int]:
    """One upload over TLS that is reset behind ``limit`` bytes; the reply and how much was sent."""
    assert isinstance(client.socket, ssl.SSLSocket)
    connection = socket.create_connection(("127.0.0.1", client.port()), timeout=WAIT_S)
    assert client.command(f"STOR {name}").startswith("150")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = client.context.wrap_bio(incoming, outgoing, session=client.socket.session)
    sent = _cut_after(connection, stream, (incoming, outgoing), limit)
    if sent < limit:  # all was said: an honest end
        connection.close()
    else:
        reset(connection)
    return client.reply(), sent


@pytest.mark.slow
def test_a_reset_at_any_byte_of_an_upload_over_tls_is_never_226(tmp_path: Path) -> None:
    """From the first byte of the handshake to the last but one of the close_notify: refused, and nothing published."""
    with serving(tmp_path, tls="required") as at, at.client(tls=True) as client:
        reply, whole = _upload_cut(client, "whole", 100_000)
        assert reply.startswith("226"), reply
        points = [*range(1, whole - 60, STEP), *range(whole - 60, whole)]
        for limit in points:
            reply, _ = _upload_cut(client, f"cut{limit}", limit)
            assert reply[:3] in ("425", "426"), (limit, reply)
        assert [path.name for path in at.home.iterdir() if not path.name.startswith(".~up-")] == ["whole"]
        assert (at.home / "whole").read_bytes() == CONTENT
    print(f"{len(points)} cuts of an upload of {whole} bytes on the wire: 0 times 226")


def test_a_reset_at_any_byte_of_a_plain_upload_is_never_226(tmp_path: Path) -> None:
    """Also behind the last byte, when everything has come but the end."""
    with serving(tmp_path) as at, at.client() as client:
        for count in range(len(CONTENT) + 1):
            connection = client.data(f"STOR cut{count}")
            connection.sendall(CONTENT[:count])
            reset(connection)
            assert client.code() == "426", count
        assert not [path for path in at.home.iterdir() if not path.name.startswith(".~up-")]


def test_a_missing_close_notify_after_any_byte_is_never_226(tmp_path: Path) -> None:
    """A TCP end alone may be somebody in the middle; TLS 1.2 and 1.3."""
    for version in UPLOADS:
        with serving(tmp_path / version, tls="required") as at, at.client(login=False) as client:
            client.context = _context(version)
            client.secure()
            client.login()
            for count in range(0, len(CONTENT) + 1, 5):
                connection = client.data("STOR cut")
                connection.sendall(CONTENT[:count])
                connection.close()
                reply = client.reply()
                assert reply.startswith("426"), (version, count, reply)
            assert not (at.home / "cut").exists()


@pytest.mark.parametrize("version", UPLOADS)
def test_downloads_end_with_close_notify(tmp_path: Path, version: str) -> None:
    """So that a client can tell a whole file from a cut one: reading to the end raises nothing."""
    with serving(tmp_path, tls="required") as at, at.client(login=False) as client:
        client.context = _context(version)
        client.secure()
        client.login()
        (at.home / "a").write_bytes(CONTENT * 100)
        got = io.BytesIO()
        for _ in range(20):
            got.write(client.download("RETR a"))
        assert got.getvalue() == CONTENT * 2000
