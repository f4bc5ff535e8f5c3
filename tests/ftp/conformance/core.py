"""One command in one state, on the protocol core alone."""

from __future__ import annotations

from logferry.ftp.protocol.actions import Transfer
from logferry.ftp.protocol.replies import Reply
from tests.ftp.conformance.states import STATES
from tests.ftp.protocol.shell import Shell, codes


def reply_of(command: str, state: str, *, single: bool) -> str:
    """The code of the last reply to ``command`` in ``state``, ``-`` when there is none. ``single``: byte by byte."""
    shell = Shell(
        "required" if state == "clear" else "explicit", permissions="" if state == "bare" else "elradfmwMT", active=True
    )
    if state in ("busy", "quit"):
        return _in_line(shell, command, state, single=single)
    for line in STATES[state]:
        shell.feed(f"{line}\r\n".encode(), single=single)
    replies = codes(shell.feed(f"{command}\r\n".encode(), single=single)).split()
    return replies[-1] if replies else "-"


def _in_line(shell: Shell, command: str, state: str, *, single: bool) -> str:
    """``command`` comes while the one before it is not answered yet."""
    *before, last = STATES[state]
    for line in before:
        shell.feed(f"{line}\r\n".encode(), single=single)
    protocol = shell.protocol
    for byte in f"{last}\r\n".encode() if single else [None]:
        protocol.receive(f"{last}\r\n".encode() if byte is None else bytes([byte]))
    action = protocol.step()
    protocol.take_output()
    data = f"{command}\r\n".encode()
    for piece in [data[i : i + 1] for i in range(len(data))] if single else [data]:
        protocol.receive(piece)
    if state == "quit":
        assert protocol.ended
        assert not protocol.has_command, "nothing is done after QUIT"
        return "-"
    assert isinstance(action, Transfer)
    if protocol.wants_status():
        # The shell answers it at once, from what it knows of the transfer.
        protocol.preliminary(Reply(213, ("so far",)))
        return codes(protocol.take_output().decode())
    assert protocol.take_output() == b"", "the transfer's reply comes first"
    aborted = protocol.abort_requested
    assert aborted == (command == "ABOR")
    protocol.answer(Reply(426 if aborted else 226, ("end of transfer",)))
    first, *replies = codes(protocol.take_output().decode() + shell.feed(b"")).split()
    assert first == ("426" if aborted else "226")
    return replies[-1] if replies else "-"
