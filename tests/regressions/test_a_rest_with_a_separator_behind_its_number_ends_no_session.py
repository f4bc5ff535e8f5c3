"""``str.strip`` takes away control characters that ``int`` does not bear: REST 5 and one of them was a defect."""

from __future__ import annotations

import pytest

from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.protocol.state import Terms


@pytest.mark.parametrize("behind", ["\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0", "\u2003", "\t", " "])
@pytest.mark.parametrize(
    "command",
    ["REST 5", "ALLO 5", "RANG 0 5", "PORT 127,0,0,1,8,1", "EPRT |1|127.0.0.1|2049|", "OPTS HASH CRC32", "EPSV 1"],
)
def test_a_number_with_any_white_space_behind_it_is_answered(command: str, behind: str) -> None:
    """Accepted or refused, but answered."""
    protocol = ServerProtocol(Terms(tls="off", active=True))
    protocol.receive(b"USER ann\r\nPASS secret\r\n")
    protocol.step()
    protocol.step()
    protocol.password_accepted(Permissions.all(), tls_required=False, atomic=True)
    protocol.take_output()
    protocol.receive(f"{command}{behind}\r\n".encode())
    if protocol.step() is None:  # else there is something to do for it
        assert protocol.take_output()[:1] in (b"2", b"3", b"5")
