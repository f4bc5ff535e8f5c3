"""What a user may do, as the letters ``elradfmwMT`` that FTP administrators know.

=======  ==========================================
letter   commands
=======  ==========================================
``e``    CWD CDUP
``l``    LIST NLST STAT MLSD MLST SIZE MDTM AVBL
``r``    RETR HASH XCRC XMD5 XSHA1 XSHA256
``a``    APPE
``d``    DELE RMD
``f``    RNFR RNTO
``m``    MKD
``w``    STOR STOU
``M``    SITE CHMOD
``T``    MFMT, MDTM with a time, SITE UTIME
=======  ==========================================
"""

from __future__ import annotations

from logferry.errors import BadConfig

LETTERS = "elradfmwMT"


class Permissions(str):
    """A checked, sorted set of permission letters. A ``str``, so it stores and compares like one.

    Raises:
        BadConfig: a letter that means nothing.
    """

    __slots__ = ()

    def __new__(cls, letters: str = LETTERS) -> Permissions:
        unknown = sorted(set(letters) - set(LETTERS))
        if unknown:
            raise BadConfig(f"unknown permission letter {unknown[0]!r} in {letters!r}", hint=f"letters are {LETTERS}")
        return super().__new__(cls, "".join(letter for letter in LETTERS if letter in letters))

    @classmethod
    def all(cls) -> Permissions:
        """All letters: a user may do everything."""
        return cls(LETTERS)

    @classmethod
    def reading(cls) -> Permissions:
        """List and download, change nothing."""
        return cls("elr")

    @classmethod
    def delivering(cls) -> Permissions:
        """List, upload, append, publish by rename, set times; never read or delete: what an agent needs."""
        return cls("elafmwT")

    def allow(self, letter: str) -> bool:
        """Whether every one of ``letter`` is granted; the empty string always is."""
        return all(one in self for one in letter)
