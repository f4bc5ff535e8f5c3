"""The second factor: one-time codes of an app, recovery codes for the day the phone is gone.

A code counts once: its time step is noted in the catalog before anybody is let in, so that neither a second look over
the shoulder nor another process of ours takes it again. Recovery codes are kept as digests and are spent by use.
"""

from __future__ import annotations

from dataclasses import dataclass

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.people import HALF_SIGN_IN
from logferry.archive.records import CodeRecord, UserRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import Conflict, NotSignedIn
from logferry.limits import RECOVERY_CODES, SECOND_FACTOR_S_MAX, SECOND_FACTOR_TRIES
from logferry.server.passwords import digest, new_code, new_secret, normal_code
from logferry.server.totp import looks_like_totp, matching_step, new_totp_secret

_CONFIRM = "second-new"
"""The kind of code that lives as long as a secret may be confirmed."""
_WRONG_HINT = "wait for the next code of your app, or use a recovery code"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A right password that waits for its code: ``secret`` is for the one who has the password, nobody else."""

    secret: str
    expires_ns: int


class SecondFactor:
    """One-time codes of people over the catalog's rows. Safe from many threads and several processes."""

    def __init__(self, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._rows = catalog.people
        self._clock = clock

    # Turning it on and off -------------------------------------------------------------------------------------------

    def begin(self, row: UserRecord) -> str:
        """A new secret for an app, which counts from when a code of it is confirmed. Raises Conflict where one does."""
        if row.totp:
            raise Conflict("there is a second factor already", hint="turn it off first")
        secret, now_ns = new_totp_secret(), self._clock.now_ns()
        self._rows.remove_codes(_CONFIRM, user_id=row.id)
        self._rows.add_code(
            _CONFIRM, secret_hash=digest(secret), now_ns=now_ns, expires_ns=now_ns + int(SECOND_FACTOR_S_MAX * 1e9),
            uses=1, user_id=row.id,
        )  # fmt: skip
        self._rows.set_totp(row.id, totp_new=secret)
        return secret

    def pending(self, row: UserRecord) -> str:
        """The secret that ``begin`` made and that may still be confirmed; empty if there is none."""
        found = self._rows.code(_CONFIRM, digest(row.totp_new)) if row.totp_new else None
        is_open = found is not None and found.user_id == row.id and found.expires_ns > self._clock.now_ns()
        return row.totp_new if is_open and not row.totp else ""

    def confirm(self, row: UserRecord, code: str) -> list[str]:
        """The app shows the right code: from now on signing in takes one. Returns the recovery codes, shown once.

        Raises:
            Conflict: nothing was begun (or too long ago), or there is a second factor already.
            NotSignedIn: the code is wrong.
        """
        if not self.pending(row):
            raise Conflict("there is nothing to confirm", hint="begin again")
        step = matching_step(row.totp_new, code, self._clock.now_ns())
        if step is None or not self._rows.use_totp_step(row.id, step):
            raise NotSignedIn("this is not the code that your app should show now", hint="is the phone's clock right?")
        codes, digests = _recovery_codes()
        self._rows.set_totp(row.id, totp=row.totp_new, totp_new="", recovery=digests)
        self._rows.remove_codes(_CONFIRM, user_id=row.id)
        return codes

    def new_recovery_codes(self, row: UserRecord) -> list[str]:
        """Other recovery codes; the ones before are worthless. Raises Conflict without a second factor."""
        if not row.totp:
            raise Conflict("there is no second factor", hint="turn it on first")
        codes, digests = _recovery_codes()
        self._rows.set_totp(row.id, recovery=digests)
        return codes

    def remove(self, row: UserRecord) -> None:
        """From now on the password alone is enough."""
        self._rows.set_totp(row.id, totp="", totp_new="", recovery=())

    # Signing in ------------------------------------------------------------------------------------------------------

    def check(self, row: UserRecord, code: str) -> None:
        """Take a code of the app, or a recovery code. It is used up by this.

        Raises:
            NotSignedIn: it is wrong, or was used before.
        """
        if looks_like_totp(code):
            step = matching_step(row.totp, code, self._clock.now_ns())
            if step is not None and self._rows.use_totp_step(row.id, step):
                return
        elif self._rows.use_recovery_code(row.id, digest(normal_code(code))):
            return
        raise NotSignedIn("the code is wrong or was used before", hint=_WRONG_HINT)

    def wait_for(self, row: UserRecord) -> Waiting:
        """The password of ``row`` was right: what stands for that until the code comes; an older one is over.

        Raises:
            NotSignedIn: meanwhile they got another password or second factor, or may not sign in any more.
        """
        now_ns = self._clock.now_ns()
        secret, expires_ns = new_secret(), now_ns + int(SECOND_FACTOR_S_MAX * 1e9)
        self._rows.add_half_sign_in(
            row, secret_hash=digest(secret), now_ns=now_ns, expires_ns=expires_ns, tries=SECOND_FACTOR_TRIES
        )
        return Waiting(secret, expires_ns)

    def waiting(self, secret: str) -> tuple[CodeRecord, int]:
        """What ``wait_for`` began, and whose it is. Raises NotSignedIn when it is over."""
        found = self._rows.code(HALF_SIGN_IN, digest(secret))
        over = found is None or found.uses_left < 1 or found.expires_ns <= self._clock.now_ns()
        if found is None or found.user_id is None or over:
            raise NotSignedIn("the sign-in took too long or too many tries", hint="begin again with your password")
        return found, found.user_id

    def spend_try(self, waiting: CodeRecord) -> None:
        """One code less may be tried. Raises NotSignedIn when none is left."""
        if not self._rows.use_code(waiting.id, self._clock.now_ns()):
            raise NotSignedIn("the sign-in took too long or too many tries", hint="begin again with your password")


def _recovery_codes() -> tuple[list[str], tuple[str, ...]]:
    codes = [new_code(groups=2, size=5) for _ in range(RECOVERY_CODES)]
    return codes, tuple(digest(normal_code(code)) for code in codes)
