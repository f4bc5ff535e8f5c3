"""What the sessions of one server share, in however many processes they are: counts, rates, bans, TLS owners."""

from __future__ import annotations

from logferry.clock import Clock
from logferry.ftp.board import Board
from logferry.ftp.defender import Defender, DefenderRules, Offence
from logferry.ftp.owners import SharedTlsOwners
from logferry.ftp.rates import Rates
from logferry.ftp.tally import Tally
from logferry.ftp.tls import TlsOwners
from logferry.limits import (
    FTP_CONFLICT_DELAY_S,
    FTP_CONFLICTS_FREE,
    FTP_CONFLICTS_MAX,
    FTP_CONFLICTS_OF_USER_FREE,
    FTP_CONFLICTS_PER_S,
)


class Commons:
    """Made once, before processes are forked. ``slot`` is this process's number among them."""

    def __init__(self, *, processes: int, sessions_max: int, defender: DefenderRules | None, clock: Clock) -> None:
        board = Board(processes)
        self.slot = 0
        self.board = board
        self.tally = Tally(board, sessions_max)
        self.rates = Rates(board, clock)
        self.defender = Defender(defender, board, clock) if defender is not None else None
        self.owners = TlsOwners() if processes == 1 else SharedTlsOwners(board)

    def banned_s(self, address: str) -> float:
        """How many more seconds ``address`` is banned; 0: it is not."""
        return self.defender.banned_s(address) if self.defender is not None else 0.0

    def offend(self, address: str, offence: Offence, tried: tuple[str, str] | None = None) -> float:
        """Note an offence; the seconds ``address`` is banned for by it, or 0."""
        return self.defender.offend(address, offence, tried) if self.defender is not None else 0.0

    def login_delay_s(self, address: str, base_s: float) -> float:
        """How long a refused login waits for its answer."""
        return self.defender.delay_s(address, base_s) if self.defender is not None else base_s

    def conflict(self, user: str, stored: str) -> float:
        """``user`` sent bytes that differ from those of ``stored``. Seconds to wait before telling; below 0: end the
        session.

        Whoever may only append could learn stored bytes by trying one value after the other, since the reply tells
        whether they fit. An honest agent meets a conflict once where a new generation begins, but with all its files
        at once when its registry is lost: so few are free for one file, and many for a user.
        """
        of_user, of_file = f"conflicts {user}", f"conflicts {user} {stored}"
        over = self.rates.take(of_file, 0, FTP_CONFLICTS_PER_S, FTP_CONFLICTS_FREE) * FTP_CONFLICTS_PER_S
        # Half a one may have leaked back meanwhile.
        if over >= FTP_CONFLICTS_MAX - FTP_CONFLICTS_FREE - 0.5:
            return -1.0
        wait_s = max(
            self.rates.take(of_file, 1, FTP_CONFLICTS_PER_S, FTP_CONFLICTS_FREE),
            self.rates.take(of_user, 1, FTP_CONFLICTS_PER_S, FTP_CONFLICTS_OF_USER_FREE),
        )
        return FTP_CONFLICT_DELAY_S if wait_s > 0 else 0.0
