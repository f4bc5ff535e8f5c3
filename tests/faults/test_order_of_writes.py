"""What a power cut leaves is decided by the order of system calls: it is read from a trace of the real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.traced import Call, traced
from tests.ftp.kit import until

CALLS = "trace=pwrite64,write,fsync,fdatasync,rename,renameat,renameat2,linkat,mkdirat,sendto,ftruncate"
CONTENT = b"content " * 1000


def _position(calls: list[Call], start: int, true: Callable[[Call], bool], what: str) -> int:
    """Where the first such call stands from ``start`` on."""
    for index in range(start, len(calls)):
        if true(calls[index]) and calls[index].result >= 0:
            return index
    raise AssertionError(f"no {what} from call {start} on: {calls[start : start + 40]}")


def _reply(code: str) -> Callable[[Call], bool]:
    return lambda call: call.name == "sendto" and f'"{code} ' in call.arguments


def _sync(path: str) -> Callable[[Call], bool]:
    return lambda call: call.name in ("fsync", "fdatasync") and call.arguments.endswith(f"<{path}>")


def _in_order(calls: list[Call], *steps: tuple[str, Callable[[Call], bool]]) -> None:
    at = 0
    for what, true in steps:
        at = _position(calls, at, true, what) + 1


@pytest.mark.slow
def test_each_confirmation_comes_after_the_syncs_it_promises(tmp_path: Path) -> None:
    """Upload, append, rename and new folder: write < sync < name < sync of the folder < reply, in the trace."""
    with traced(tmp_path, "-e", CALLS) as at, at.client() as client:
        assert client.command("MKD d").startswith("257")
        assert client.upload("STOR d/new", CONTENT).startswith("226")
        assert client.upload("APPE d/new", b"appended").startswith("226")
        client.command("REST 8")
        assert client.upload("STOR d/new", b"middle").startswith("226")
        assert client.command("RNFR d/new").startswith("350")
        assert client.command("RNTO moved").startswith("250")
        # strace writes a call down when it is over; the reply may be here before.
        until(lambda: any(_reply("250")(call) for call in at.calls()), "the trace does not end")
        root, calls = str(at.root), at.calls()

    def renamed(name: str) -> Callable[[Call], bool]:
        return lambda call: (
            call.name.startswith("rename")
            and f'"{name}"' in call.arguments.split(",")[-1 if call.name != "renameat2" else -2]
        )

    def wrote(part: str) -> Callable[[Call], bool]:
        return lambda call: call.name == "pwrite64" and part in call.arguments

    partial = next(call for call in calls if wrote(".~up-")(call)).arguments.partition("<")[2].partition(">")[0]
    _in_order(
        calls,
        ("mkdir", lambda call: call.name == "mkdirat"),
        ("sync of the folder above", _sync(root)),
        ("257", _reply("257")),
        ("write into the partial", wrote(".~up-")),
        ("sync of the partial", _sync(partial)),
        ("rename to its name", renamed("new")),
        ("sync of its folder", _sync(f"{root}/d")),
        ("226", _reply("226")),
        ("write of the append", wrote('"appended"')),
        ("sync of the file", _sync(f"{root}/d/new")),
        ("226", _reply("226")),
        ("write in the middle", wrote('"middle"')),
        ("sync of the file", _sync(f"{root}/d/new")),
        ("226", _reply("226")),
        ("rename", renamed("moved")),
        ("sync of the new folder", _sync(root)),
        ("sync of the old folder", _sync(f"{root}/d")),
        ("250", _reply("250")),
    )
    assert sum(_reply("226")(call) for call in calls) == 3
    # Nothing is written between the last sync and the confirmation.
    for index, call in enumerate(calls):
        if _reply("226")(call):
            before = [one.name for one in calls[:index] if one.name in ("pwrite64", "fsync", "fdatasync", "ftruncate")]
            assert before[-1] in ("fsync", "fdatasync")
