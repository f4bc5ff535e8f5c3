"""One tree of errors. Each class says in its docstring what the caller should do next.

Exit codes, HTTP statuses and FTP replies are decided here and nowhere else. The message of an error names
the thing (file, agent, setting); ``hint`` says what to do about it.
"""

from __future__ import annotations


class LogferryError(Exception):
    """Base of everything Logferry raises on purpose. Do not raise it itself."""

    exit_code = 1
    http_status = 500
    ftp_reply = 451

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Refused(LogferryError):
    """The request is wrong as it stands. Change it before trying again."""

    exit_code = 2
    http_status = 400
    ftp_reply = 550


class BadConfig(Refused):
    """A setting is unknown or has a wrong value. Correct the file or variable that the message names."""


class BadQuery(Refused):
    """A query does not parse. Correct it at ``column`` (1-based, in characters)."""

    def __init__(self, message: str, *, column: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.column = column


class BadName(Refused):
    """A file, agent or user name is not allowed. Use another one."""

    ftp_reply = 553


class TooLarge(Refused):
    """A limit of ``limits.py`` would be passed. Send less."""

    http_status = 413
    ftp_reply = 552


class OverQuota(TooLarge):
    """Somebody holds as much as they may. Raise the quota or delete something; then the sender repeats."""

    exit_code = 4


class NotSignedIn(Refused):
    """Name, password, token or session is missing, wrong or over. Sign in again."""

    exit_code = 3
    http_status = 401
    ftp_reply = 530


class SecondFactorNeeded(NotSignedIn):
    """Name and password are right, and the person has a second factor. Send the same again with its code."""


class NotPermitted(Refused):
    """The identity is known but may not do this. Ask an administrator."""

    exit_code = 3
    http_status = 403


class NotFound(Refused):
    """There is no such thing, or it may not be seen, which looks the same. Check the name."""

    exit_code = 1
    http_status = 404


class Conflict(Refused):
    """The thing exists already or has changed meanwhile. Look again, then decide."""

    http_status = 409


class Differs(Conflict):
    """Bytes sent again are not those stored. Nothing was written; start a new generation.

    ``stored`` tells what they were compared with from everything else, whatever its name is by now: each refusal tells
    the sender a little about it, so they are counted (``ftp.commons``).
    """

    def __init__(self, message: str, *, stored: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.stored = stored


class Later(LogferryError):
    """The request was good; the moment was not. Send the same request again later."""

    exit_code = 4
    http_status = 503
    ftp_reply = 450


class Busy(Later):
    """Too much at once. Wait ``retry_after_s`` seconds, then try again."""

    http_status = 429
    ftp_reply = 421

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Unreachable(Later):
    """The other side does not answer or hung up. Check address and network, then try again."""


class TimedOut(Later):
    """A deadline passed. Try again, with a longer deadline if the work is large."""

    http_status = 504


class Full(LogferryError):
    """No room left. Nothing new is confirmed, reading goes on; make room, then the sender repeats."""

    exit_code = 4
    http_status = 507
    ftp_reply = 452


class Damaged(LogferryError):
    """Bytes differ from what was recorded. Never retried, always reported; restore ``where`` from a copy."""

    exit_code = 4

    def __init__(self, message: str, *, where: str, expected: str = "", found: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.where = where
        self.expected = expected
        self.found = found
