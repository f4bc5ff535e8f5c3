"""From an error to the one FTP reply that tells it, without a word about where the home lies on this machine."""

from __future__ import annotations

import errno
import os
import re

from logferry.errors import LogferryError
from logferry.ftp.protocol.replies import Reply

_LINE_END = re.compile("[\r\n\x00]+")
_REPLIES = {
    errno.ENOENT: (550, "No such file or folder"),
    errno.ENOTDIR: (550, "No such file or folder"),
    errno.ELOOP: (550, "No such file or folder"),
    errno.EXDEV: (550, "No such file or folder"),
    errno.EACCES: (550, "Permission denied"),
    errno.EPERM: (550, "Permission denied"),
    errno.EROFS: (550, "Permission denied: read-only file system"),
    errno.EEXIST: (550, "It already exists"),
    errno.ENOTEMPTY: (550, "The folder is not empty"),
    errno.EISDIR: (550, "It is a folder"),
    errno.EINVAL: (550, "Not possible"),
    errno.ENAMETOOLONG: (553, "File name too long"),
    errno.ENOSPC: (452, "No room left on the disk"),
    errno.EDQUOT: (552, "No room left in the quota"),
    errno.EFBIG: (552, "The file is too large for the disk"),
    errno.EMFILE: (450, "Too many open files; try again"),
    errno.ENFILE: (450, "Too many open files; try again"),
}


def refusal(error: LogferryError | OSError, path: str = "") -> Reply:
    """The reply for ``error`` on ``path`` (virtual). An unknown error is 451: not the client's fault, may pass."""
    if isinstance(error, LogferryError):
        return Reply(error.ftp_reply, (one_line(str(error)),))
    code, text = _REPLIES.get(error.errno or 0, (451, ""))
    text = text or f"The disk refused it: {os.strerror(error.errno or errno.EIO)}"
    return Reply(code, (one_line(f"{text}: {path}" if path else f"{text}."),))


def one_line(text: str) -> str:
    """``text`` fit for a reply line."""
    return _LINE_END.sub(" ", text)[:1000]
