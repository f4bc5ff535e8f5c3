"""What needs a data connection (RFC 959 4.1.3, RFC 3659 7), and what ends it."""

from __future__ import annotations

import re

from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import Action, Transfer
from logferry.ftp.protocol.handlers.replying import Handler, reply
from logferry.ftp.protocol.list_options import NO_OPTIONS, ListOptions, read_options
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State

_UPLOADS = ("APPE", "STOR", "STOU")
_ALLO = re.compile(r"([0-9]{1,19})(?: +R +[0-9]{1,19})?", re.IGNORECASE)


def store(state: State, argument: str) -> Reply | Action:
    """STOR (RFC 959 4.1.3): upload a file, from the offset of a REST on (RFC 3659 5)."""
    path = paths.resolve(state.folder, argument)
    return _upload(state, "STOR", path, _take_offset(state))


def store_unique(state: State, argument: str) -> Reply | Action:
    """STOU (RFC 959 4.1.3): the server finds a free name; 150 and 226 tell it (RFC 1123 4.1.2.9)."""
    path = paths.resolve(state.folder, argument or "upload")
    _take_offset(state)
    return _upload(state, "STOU", path, 0)


def append(state: State, argument: str) -> Reply | Action:
    """APPE (RFC 959 4.1.3): upload behind what is there; 450 while another session appends to the same file."""
    path = paths.resolve(state.folder, argument)
    if _take_offset(state):
        return reply(501, "REST does not go with APPE.")
    return _upload(state, "APPE", path, 0)


def retrieve(state: State, argument: str) -> Reply | Action:
    """RETR (RFC 959 4.1.3): download a file.

    From the offset of a REST on (RFC 3659 5), or the range of a RANG (draft-bryan-ftp-range).
    """
    path = paths.resolve(state.folder, argument)
    span, state.range = state.range, None
    offset, stop = (span[0], span[1] + 1) if span is not None else (_take_offset(state), None)
    state.rest = 0
    if path == "/":
        return reply(550, "/ is a folder.")
    return _transfer(state, "RETR", path, offset=offset, stop=stop)


def _take_offset(state: State) -> int:
    offset, state.rest = state.rest, 0
    return offset


def _upload(state: State, verb: str, path: str, offset: int) -> Reply | Action:
    span, state.range = state.range, None
    if span is not None:
        # Better no upload than one at a place that was not meant.
        return reply(501, f"RANG does not go with {verb}; use REST.")
    if path == "/":
        return reply(550, "/ is a folder.")
    return _transfer(state, verb, path, offset=offset)


def list_(verb: str, about: str) -> Handler:
    """The handler of LIST, NLST or MLSD."""

    def handler(state: State, argument: str) -> Reply | Action:
        state.rest = 0
        options = NO_OPTIONS
        if verb != "MLSD":
            options, argument = read_options(argument)
        return _transfer(state, verb, paths.resolve(state.folder, argument), prefix=argument, options=options)

    handler.__doc__ = about
    return handler


def _transfer(
    state: State,
    verb: str,
    path: str,
    *,
    offset: int = 0,
    prefix: str = "",
    options: ListOptions = NO_OPTIONS,
    stop: int | None = None,
) -> Reply | Action:
    if state.tls_required and not state.private_data:
        return reply(521, "Data connections must be protected here: PBSZ 0 and PROT P first.")
    if not state.listens and state.target is None:
        return reply(425, "No data connection: send EPSV or PASV first.")
    announced = None
    if state.allocated is not None and verb in _UPLOADS:
        announced, state.allocated = state.allocated, None
    return Transfer(verb, path, offset, prefix, options, stop, state.target, announced)


def allocate(state: State, argument: str) -> Reply:
    """ALLO (RFC 959 4.1.3): nothing is set aside, but an upload that cannot fit is refused before it begins.

    The record size after ``R`` means nothing here, where files have no records.
    """
    found = _ALLO.fullmatch(argument.strip())
    if not found:
        return reply(501, "Usage: ALLO <bytes> [R <record bytes>]")
    state.allocated = int(found[1])
    return reply(202, "Nothing needs to be allocated; noted for the next upload.")


def abort(_state: State, _argument: str) -> Reply:
    """ABOR (RFC 959 4.1.3): end a transfer, which then gets 426.

    Here, in its turn, the transfer it was for has ended by now.
    """
    return reply(226, "No transfer is under way.")
