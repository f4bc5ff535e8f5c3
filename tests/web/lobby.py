"""Who is connected over FTP, as far as a porter is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from logferry.ftp import SessionInfo


@dataclass
class Lobby:
    """Sessions of an FTP server, without one."""

    there: list[SessionInfo] = field(default_factory=list)

    def sessions(self) -> list[SessionInfo]:
        """Those that are there."""
        return self.there

    def end(self, session_id: int) -> bool:
        """Takes one away."""
        before = len(self.there)
        self.there = [one for one in self.there if one.id != session_id]
        return len(self.there) < before
