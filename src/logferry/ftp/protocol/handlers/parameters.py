"""How data travels: TYPE, MODE, STRU, ports, restart positions and ranges (RFC 959 4.1.2, RFC 2428, RFC 3659 5)."""

from __future__ import annotations

from logferry.ftp.protocol.actions import Action, Listen
from logferry.ftp.protocol.active_reader import Target, eprt_target, port_target
from logferry.ftp.protocol.handlers.replying import NUMBER, reply
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State
from logferry.limits import FTP_ACTIVE_PORT_MIN

_EPSV_ALL = Reply(503, ("EPSV ALL is in force: only EPSV.",))


def type_(_state: State, argument: str) -> Reply:
    """TYPE (RFC 959 4.1.2, 3.1.1): A and I are both accepted, and files travel byte for byte under either."""
    wanted = argument.upper().split()
    if wanted in (["I"], ["L", "8"], ["L8"]):
        return reply(200, "Type is binary.")
    if wanted in (["A"], ["A", "N"]):
        return reply(200, "Type is ASCII; files are sent unchanged all the same.")
    return reply(504, "TYPE I or TYPE A.")


def mode(_state: State, argument: str) -> Reply:
    """MODE (RFC 959 4.1.2, 3.4): stream only; why not Z is decision 0006."""
    return reply(200, "Mode is stream.") if argument.strip().upper() == "S" else reply(504, "Only MODE S.")


def structure(_state: State, argument: str) -> Reply:
    """STRU (RFC 959 4.1.2, 3.1.2): file only."""
    return reply(200, "Structure is file.") if argument.strip().upper() == "F" else reply(504, "Only STRU F.")


def pasv(state: State, _argument: str) -> Reply | Action:
    """PASV (RFC 959 4.1.2): address and port for one data connection; not after EPSV ALL (RFC 2428 4)."""
    if state.epsv_all:
        return _EPSV_ALL
    if state.ipv6:
        return reply(522, "PASV cannot tell an IPv6 address; use EPSV (2).")
    state.target = None
    return Listen(extended=False)


def epsv(state: State, argument: str) -> Reply | Action:
    """EPSV (RFC 2428 3): a port for one data connection, IPv4 or IPv6."""
    wanted = argument.strip().upper()
    family = "2" if state.ipv6 else "1"
    if wanted == "ALL":
        state.epsv_all = True
        return reply(200, "Only EPSV from now on.")
    if wanted and wanted not in ("1", "2"):
        return reply(501, "EPSV, EPSV 1, EPSV 2 or EPSV ALL.")
    if wanted and wanted != family:
        return reply(522, f"Network protocol not supported, use ({family})")
    state.target = None
    return Listen(extended=True)


def port(state: State, argument: str) -> Reply:
    """PORT (RFC 959 4.1.2): where the server shall connect to; only to the client itself (RFC 2577 3)."""
    refused = _no_active(state)
    return refused or _aim(state, port_target(argument))


def eprt(state: State, argument: str) -> Reply:
    """EPRT (RFC 2428 2): like PORT, for IPv6 too; 522 names the family that works."""
    refused = _no_active(state)
    if refused:
        return refused
    family, target = eprt_target(argument)
    if family != ("2" if state.ipv6 else "1"):
        return reply(522, f"Network protocol not supported, use ({2 if state.ipv6 else 1})")
    return _aim(state, target)


def _no_active(state: State) -> Reply | None:
    if not state.terms.active:
        return reply(502, "Active mode is not offered; use EPSV or PASV.")
    return _EPSV_ALL if state.epsv_all else None


def _aim(state: State, target: Target) -> Reply:
    """Take ``target`` for the next transfer, unless somebody else would be hit.

    RFC 2577 3: only the peer of the control connection, which a client behind NAT cannot name, and no port of a
    system service.
    """
    state.target = None
    if target.host != state.peer:
        return reply(504, "Only to the address you come from (no FTP bounce); behind NAT use EPSV.")
    if target.port < FTP_ACTIVE_PORT_MIN:
        return reply(504, f"Only to ports from {FTP_ACTIVE_PORT_MIN} on.")
    # From here on the last word counts: a passive port that is open will not be used any more.
    state.listens = False
    state.target = target
    return reply(200, "Will connect there.")


def rest(state: State, argument: str) -> Reply:
    """REST (RFC 3659 5): holds for the next transfer command. It ends a RANG."""
    offset = argument.strip()  # which takes away more than ``int`` would bear
    if not NUMBER.fullmatch(offset):
        return reply(501, "REST needs a byte offset.")
    state.rest = int(offset)
    state.range = None
    return reply(350, f"Next transfer starts at {state.rest}.")


def rang(state: State, argument: str) -> Reply:
    """RANG start end (draft-bryan-ftp-range 3): the bytes, both included, of the next RETR or HASH.

    ``RANG 1 0`` forgets a range. Any other start beyond its end is 501. It ends a REST.
    """
    words = argument.split()
    if len(words) != 2 or not all(NUMBER.fullmatch(word) for word in words):
        return reply(501, "Usage: RANG <first byte> <last byte>")
    first, last = int(words[0]), int(words[1])
    if (first, last) == (1, 0):
        state.range = None
        return reply(350, "Whole files from here on.")
    if first > last:
        return reply(501, "The range ends before it starts (RANG 1 0 forgets it).")
    state.rest = 0
    state.range = (first, last)
    return reply(350, f"Next RETR or HASH: bytes {first} to {last}.")
