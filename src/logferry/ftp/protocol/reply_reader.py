"""Replies out of bytes, for the client (RFC 959 section 4.2), however the network cuts them.

A reply of one line is a code, a space and text. A reply of several lines opens with the code and a hyphen and closes
with the same code and a space. Servers in the field end lines with a bare line feed, repeat the code before every line,
leave out the text or send an empty line between replies; all of that is understood.
"""

from __future__ import annotations

import re

from logferry.errors import Unreachable
from logferry.ftp.protocol.replies import Reply
from logferry.limits import FTP_REPLY_BYTES_MAX, FTP_REPLY_LINE_BYTES_MAX, FTP_REPLY_LINES_MAX

_FIRST = re.compile(r"([1-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_HINT = "is this the port of an FTP server?"


class ReplyReader:
    """Takes bytes as they come and gives whole replies; what is not whole waits inside, bounded by ``limits``."""

    def __init__(self) -> None:
        self._buffer = b""
        self._code = ""
        self._lines: list[str] = []
        self._bytes = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits inside: no started line, no started reply."""
        return not self._buffer and not self._code

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that ``data`` completes, in order.

        Raises:
            Unreachable: this is no FTP reply, or one beyond the limits. The connection cannot be used any more.
        """
        *lines, rest = (self._buffer + data).split(b"\n")
        self._buffer = rest
        found: list[Reply] = []
        for line in lines:
            self._check_line_bytes(len(line))
            reply = self._line(line)
            if reply is not None:
                found.append(reply)
        self._check_line_bytes(len(rest))
        return found

    def _check_line_bytes(self, count: int) -> None:
        if count > FTP_REPLY_LINE_BYTES_MAX:
            raise Unreachable(f"the server sent a line of more than {FTP_REPLY_LINE_BYTES_MAX} bytes", hint=_HINT)

    def _line(self, raw: bytes) -> Reply | None:
        line = raw.decode("utf-8", "surrogateescape").replace("\r", "")
        return self._next_line(line) if self._code else self._first_line(line)

    def _first_line(self, line: str) -> Reply | None:
        if not line.strip():
            return None
        found = _FIRST.fullmatch(line)
        if found is None:
            raise Unreachable(f"the server sent {line[:80]!r}, which is no FTP reply", hint=_HINT)
        code, mark, text = found[1], found[2], found[3] or ""
        if mark != "-":
            return Reply(int(code), (text,))
        self._code, self._lines, self._bytes = code, [text], len(line)
        return None

    def _next_line(self, line: str) -> Reply | None:
        if line == self._code or line.startswith(self._code + " "):
            reply = Reply(int(self._code), (*self._lines, line[4:]))
            self._code, self._lines, self._bytes = "", [], 0
            return reply
        # Inner lines are padded with one space when they might look like a code; some servers repeat the code instead.
        self._lines.append(line[4:] if line.startswith(self._code + "-") else line.removeprefix(" "))
        self._bytes += len(line)
        if len(self._lines) >= FTP_REPLY_LINES_MAX or self._bytes > FTP_REPLY_BYTES_MAX:
            raise Unreachable(f"the server sent a reply {self._code} without an end", hint=_HINT)
        return None
