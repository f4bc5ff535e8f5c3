"""What a refusing reply means to the caller: one of Logferry's errors."""

from __future__ import annotations

import re

from logferry.errors import (
    BadName,
    Busy,
    Conflict,
    Full,
    Later,
    LogferryError,
    NotFound,
    NotPermitted,
    NotSignedIn,
    OverQuota,
    Refused,
    TooLarge,
)
from logferry.ftp.protocol.replies import Reply

# 550 and 552 are codes for many reasons each; the words behind them are all there is to tell them apart.
_MISSING = re.compile(r"no such|not found|n[o']t exist|cannot find|can't find|no file|could not get file size", re.I)
_DENIED = re.compile(r"permission|denied|not permitted|not allowed|privilege|forbidden|unauthori|read.?only", re.I)
_QUOTA = re.compile(r"quota|allocation", re.I)
_CHANGED = re.compile(r"differ|conflict|changed|already exists|file exists", re.I)


def failure(reply: Reply, doing: str) -> LogferryError:
    """The error to raise for ``reply``, which did not grant what ``doing`` (as in ``"STOR /a.log"``) asked for."""
    text = f"{doing}: the server answered {reply.code} {reply.text[:500]}"
    if reply.code == 421:
        return Busy(text, retry_after_s=1.0, hint="it closed the connection; connect again later")
    if reply.code == 452:
        return Full(text, hint="make room on the server")
    if reply.transient:
        return Later(text, hint="try again")
    if reply.code == 530:
        return NotSignedIn(text, hint="check user name and password, and whether the server wants TLS")
    if reply.code == 532:
        return NotPermitted(text)
    if reply.code == 550:
        return _refused_file(reply, text)
    if reply.code == 552:
        if _QUOTA.search(reply.text):
            return OverQuota(text, hint="raise it on the server or delete something there; then repeat")
        return TooLarge(text, hint="quota or size limit on the server")
    if reply.code == 553:
        return BadName(text, hint="is there the folder, and may this user write there?")
    return Refused(text)


def _refused_file(reply: Reply, text: str) -> LogferryError:
    if _MISSING.search(reply.text):
        return NotFound(text)
    if _DENIED.search(reply.text):
        return NotPermitted(text)
    if _CHANGED.search(reply.text):
        return Conflict(text)
    return Refused(text)
