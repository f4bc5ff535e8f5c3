"""Hostile names with every verb: nothing outside the home is read, listed, written, renamed, removed or touched."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

import pytest

from logferry.ftp import LocalFilesystem
from logferry.ftp.beneath import Opener, best_opener, walk_beneath
from logferry.ftp.protocol.commands import RULES
from tests.ftp.kit import WAIT_S, RawClient, finish, serving
from tests.security.amounts import amount

NAMES = amount("names", 120, 500)
SECRET = b"classified-73"
MARKER = "marker-of-outside"
"""A name that no request holds: whoever sees it has looked outside."""
DATA = ("APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU")
TRANSFERS_TO_US = ("LIST", "MLSD", "NLST", "RETR")
PREFIXES = {"MFMT": "20010101000000 ", "SITE": "CHMOD 777 ", "OPTS": "MLST ", "AUTH": "x", "PROT": "x"}
UNSAFE = ("QUIT", "USER", "PASS")
"""They end or change the session, and take no path."""


def _hostile(outside: Path) -> list[bytes]:
    """Names that lead out, or would if something were careless, the meanest first."""
    there = os.fsencode(outside)
    ups = [b"../" * count for count in (1, 2, 5, 60)]
    starts = [
        *ups,
        *(b"/" + up for up in ups),
        *(b"d/../" + up for up in ups),
        *(
            b"./.././",
            b"..//..//",
            b"d/./../../",
            b"....//",
            b".. /",
            b" ../",
            b"..\t/",
            b"..%2f",
            b"%2e%2e/",
            b"..\\",
            b"\\..\\",
        ),
        *(
            b"..\xc0\xaf",
            b"\xc0\xae\xc0\xae/",
            b"\xe0\x80\xae\xe0\x80\xae/",
            b"..\xef\xbc\x8f",
            b"\xef\xbc\x8e\xef\xbc\x8e/",
        ),
        *(
            b"..\xff/",
            b"\xff\xff../",
            b".\xff\xf1./",
            b".\xff\xfb\x01./",
            b"..\x00/",
            b"..\r/",
            b"..\x1b/",
            b"\xe2\x80\xae../",
        ),
        *(
            b"link/",
            b"up/",
            b"proc/",
            b"fd/",
            b"loop/",
            b"d/up/",
            b"file/",
            b"file/../../",
            b"link/../",
            b"missing/../../",
        ),
        *(
            b"/proc/self/root" + there[:1],
            b"/proc/self/cwd/",
            b"/proc/self/fd/3/",
            b"proc" + there + b"/",
            b"//" + there + b"/",
        ),
        *(
            b"C:\\",
            b"C:/",
            b"\\\\server\\share\\",
            b"//server/share/",
            b"file://" + there + b"/",
            b"~/",
            b"~root/",
            b"~ann/",
        ),
        *(b"|", b";", b"`id`/", b"$(id)/", b"-rf /", b"--", b"-la ", b"*/", b"?*/", b"[..]/", b"{..,..}/"),
    ]
    ends = [
        *(
            b"outside/secret",
            b"outside",
            b"",
            b"secret",
            b"outside/*",
            b".",
        ),
        *(
            b"..",
            b"secret.",
            b"secret ",
            b"secret/",
            b"secret\x00.txt",
            b"secret::$DATA",
            b"CON",
            b"nul.txt",
            b"COM1",
            b"a\\..\\b",
        ),
        *(
            b".~up-0123456789abcdef",
            b".~up-0123456789abcdef-01234567",
            b"x" * 256,
            b"y/" * 129,
            b"z" * 4000,
            b"\xed\xa0\x80",
        ),
    ]
    made = [there + b"/secret", there, b"/" + there + b"/secret", b"link", b"file", b"up", b"proc", b"fd", b"loop"]
    made += [start + end for end, start in itertools.product(ends, starts)]
    return list(dict.fromkeys(name for name in made if b"\n" not in name))[:NAMES]


def _snapshot(folder: Path) -> list[tuple[str, int, int, bytes]]:
    found = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found.append((str(path), status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b""))
    return found


def _plant(home: Path, outside: Path) -> None:
    """Links out of the home in every way; what a session before removed or moved is put back."""
    for name, target in {
        "link": str(outside),
        "file": str(outside / "secret"),
        "up": "..",
        "proc": "/proc/self/root",
        "fd": "/proc/self/fd",
        "loop": "loop",
    }.items():
        if not os.path.lexists(home / name):
            (home / name).symlink_to(target)
    (home / "d").mkdir(exist_ok=True)
    if not os.path.lexists(home / "d" / "up"):
        (home / "d" / "up").symlink_to("../..")
    (home / "mine").write_bytes(b"mine")


def _send(client: RawClient, line: bytes) -> str:
    client.socket.sendall(line + b"\r\n")
    return client.reply()


def _transfer(client: RawClient, verb: str, line: bytes) -> bytes:
    """A transfer with all that comes of it: reply, or data and replies."""
    port = client.port()
    reply = _send(client, line)
    if not reply.startswith("150"):
        return reply.encode("utf-8", "surrogateescape")
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    seen = b""
    if verb in TRANSFERS_TO_US:
        while piece := connection.recv(65536):
            seen += piece
    else:
        connection.sendall(b"written")
    finish(connection)
    return seen + client.reply().encode("utf-8", "surrogateescape")


@pytest.mark.slow
@pytest.mark.parametrize("opener", [best_opener(), walk_beneath], ids=["kernel", "walk"])
def test_hostile_names_with_every_verb_stay_inside(tmp_path: Path, opener: Opener) -> None:
    """Every verb there is, each name as source and as target: the world outside is as before and was never shown."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (outside / MARKER).write_bytes(SECRET)
    names = _hostile(outside)
    assert len(names) == NAMES
    verbs = [verb for verb in RULES if verb not in UNSAFE and verb not in DATA]
    before = _snapshot(outside)
    around = sorted(os.listdir(tmp_path))
    done = accepted = 0
    with (
        serving(tmp_path, filesystem=lambda user: LocalFilesystem(user.home, opener=opener)) as at,
        at.client() as client,
    ):
        around = sorted(os.listdir(tmp_path))
        for name in names:
            _plant(at.home, outside)
            seen = b""
            for verb in verbs:
                line = f"{verb} {PREFIXES.get(verb, '')}".encode() + name
                reply = _send(client, line).encode("utf-8", "surrogateescape")
                seen += reply
                accepted += reply[:1] in b"23"
            for verb in DATA:
                answer = _transfer(client, verb, f"{verb} ".encode() + name)
                seen += answer
                assert verb != "RETR" or SECRET not in answer, (verb, name)
            for first, second in ((b"RNFR mine", b"RNTO " + name), (b"RNFR " + name, b"RNTO moved")):
                _send(client, first)
                _send(client, second)
            _send(client, b"CWD /")
            assert MARKER.encode() not in seen, name
            assert SECRET not in seen, name
            assert _snapshot(outside) == before, name
            assert sorted(os.listdir(tmp_path)) == around, name
            done += len(verbs) + len(DATA) + 2
        assert not any(
            path.is_file() and not path.is_symlink() and path.read_bytes() == SECRET for path in at.home.rglob("*")
        )
    print(f"{len(names)} names x {len(verbs) + len(DATA) + 2} verbs = {done} requests, {accepted} answered 2yz or 3yz")
