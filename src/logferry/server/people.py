"""People and what they may do: users, sign-in, sessions that can be ended, API tokens.

The catalog holds plain rows; the policy stands here. Secrets (session cookies, tokens) are random and kept as digests
only. Every way in ends in an ``Identity``: who, which role, which scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from logferry.archive.catalog import Catalog
from logferry.archive.records import SessionRecord, TokenRecord, UserRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import (
    BadName,
    Conflict,
    NotFound,
    NotPermitted,
    NotSignedIn,
    Refused,
    SecondFactorNeeded,
    TooLarge,
)
from logferry.limits import (
    OIDC_CLOCK_OFF_S,
    OIDC_HINT_CHARS_MAX,
    RESET_LINK_S_MAX,
    SESSION_IDLE_S_MAX,
    SESSION_S_MAX,
    SESSION_TOUCH_S,
    TOKEN_NAME_CHARS_MAX,
    TOKENS_PER_USER_MAX,
    USER_NAME_CHARS_MAX,
    USERS_MAX,
)
from logferry.server.oidc.claims import Outsider
from logferry.server.oidc.leaving import Leaving, kept_until_s, session_in
from logferry.server.passwords import (
    digest,
    hash_for_person,
    new_code,
    new_secret,
    normal_code,
    verify_password,
    waste_time,
)
from logferry.server.scope import ROLES, Role, Scope, at_least, checked_scope
from logferry.server.second_factor import SecondFactor

TOKEN_PREFIX = "LT-"  # noqa: S105 - what every API token begins with, so that scanners can find leaked ones
NO_PASSWORD = ""
"""As a hash that no password has."""
LOCAL_USER = "@local"
"""Who the command line on the server's own machine is; has no password and is no person."""
_USER_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@+-]{{0,{USER_NAME_CHARS_MAX - 1}}}")
_WRONG = "wrong name or password"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what that allows. ``csrf`` is empty unless a cookie brought the identity."""

    user_id: int
    name: str
    role: Role
    scope: Scope
    via: Literal["session", "token"]
    csrf: str = ""
    session: str = ""
    """The digest of the session's secret, to end this very session; empty for tokens."""
    token: int = 0
    """Which token; 0 for sessions."""
    began_ns: int = 0
    """When the session began."""
    provider: str = ""
    """The provider (its issuer) that vouches for them; empty for people with a password here."""

    def may(self, needed: Role) -> bool:
        """Whether the role includes the rights of ``needed``."""
        return at_least(self.role, needed)

    def require(self, needed: Role) -> None:
        """Raises NotPermitted when the role is too low."""
        if not self.may(needed):
            raise NotPermitted(f"{self.name} is {self.role}; this takes {needed}", hint="ask an administrator")

    def require_whole(self) -> None:
        """Raises NotPermitted for somebody who sees a part of the archive: who may give rights must have all."""
        if not self.scope.everything:
            raise NotPermitted(
                f"{self.name} sees only a part of the archive", hint="somebody who sees all of it may do this"
            )


@dataclass(frozen=True, slots=True)
class LetIn:
    """Somebody for whom a provider vouches, as they are here now; ``change`` says in a word what that took."""

    row: UserRecord
    change: Literal["", "added", "other rights"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: ``secret`` goes into the cookie and nowhere else."""

    secret: str
    identity: Identity
    expires_ns: int


class People:
    """Users, sessions and tokens over the catalog's rows. Safe from many threads and several processes.

    Args:
        issuer: the provider that people may sign in by; empty: none. Sessions and tokens of people for whom another
            one vouched count no longer. None: that is not looked at.
    """

    def __init__(
        self, catalog: Catalog, *, clock: Clock = SYSTEM, session_s: float = SESSION_S_MAX, issuer: str | None = None
    ) -> None:
        self._rows = catalog.people
        self._clock = clock
        self._session_s = session_s
        self._issuer = issuer
        self.second = SecondFactor(catalog, clock=clock)

    # Users -----------------------------------------------------------------------------------------------------------

    def all(self) -> list[UserRecord]:
        """Everybody who is a person, by name."""
        return [row for row in self._rows.users() if is_person(row)]

    def get(self, name: str) -> UserRecord:
        """The person called ``name``. Raises NotFound."""
        row = self._rows.user(name)
        if row is None or not is_person(row):
            raise NotFound(f"no user {name!r}", hint="`logferry admin user list` shows all")
        return row

    def has_admin(self) -> bool:
        """Whether a person can administer this server who needs no provider for it."""
        return any(row.role == "admin" and row.enabled and not row.issuer for row in self.all())

    def create(self, name: str, password: str | None, *, role: str = "viewer", scope: Iterable[str] = ()) -> UserRecord:
        """Add a person. Without a password nobody signs in by it: give a link (``new_reset_link``) or tokens.

        Raises:
            BadName: name, role or scope are not allowed.
            Refused: the password is too short.
            Conflict: the name is taken (upper and lower case count as the same).
            TooLarge: there are too many.
        """
        if len(self.all()) >= USERS_MAX:
            raise TooLarge(f"there are {USERS_MAX:,} people already", hint="remove some")
        return self._rows.add_user(
            checked_user_name(name),
            role=checked_role(role),
            scope=checked_scope(scope),
            password_hash=NO_PASSWORD if password is None else hash_for_person(password),
            now_ns=self._clock.now_ns(),
        )

    def change(
        self,
        name: str,
        *,
        role: str | None = None,
        scope: Iterable[str] | None = None,
        password: str | None = None,
        enabled: bool | None = None,
    ) -> UserRecord:
        """Change a person; sessions end when the password changes or the person is disabled.

        Raises:
            NotFound: there is no such person.
            Conflict: it would leave nobody who may administer.
            Refused: a provider vouches for them, and gives them their rights.
        """
        values: dict[str, Any] = {}
        if role is not None:
            values["role"] = checked_role(role)
        if scope is not None:
            values["scope"] = checked_scope(scope)
        if password is not None:
            values["password_hash"] = hash_for_person(password)  # takes long: before the row is looked at
        if enabled is not None:
            values["enabled"] = enabled
        row = self.get(name)
        if row.issuer and (values.keys() - {"enabled"}):
            raise _kept_outside(row)
        is_less = values.get("role", "admin") != "admin" or enabled is False or bool(values.get("scope"))
        new, _ = self._rows.change_user(
            row.id, now_ns=self._clock.now_ns(), values=values,
            check=partial(_keep_an_admin, row.id) if is_less else None,
            shut_out=password is not None or enabled is False,
        )  # fmt: skip
        return new

    def change_own_password(self, row: UserRecord, password: str, *, keep: str) -> int:
        """Change it and end all sessions but the one with the key hash ``keep``; how many.

        Args:
            row: the person as they were when they proved the password they have.

        Raises:
            Refused: the new one is not allowed.
            NotFound: meanwhile they got another password, or may not sign in any more.
        """
        hashed = hash_for_person(password)
        _, ended = self._rows.change_user(
            row.id, now_ns=self._clock.now_ns(), values={"password_hash": hashed}, old_hash=row.password_hash,
            shut_out=True, but=keep,
        )  # fmt: skip
        return ended

    def let_in(self, person: Outsider) -> LetIn:
        """The person for whom a provider vouches, added at their first sign-in, with the rights that it gives them now.

        Whom it gives none loses what is left of an earlier sign-in: sessions and tokens. A name that somebody else has
        here is never theirs, whatever the provider says.

        Raises:
            NotPermitted: they have no role any more, are disabled here, or have a name that cannot be theirs.
            TooLarge: there are too many people.
        """
        row = self._rows.outsider(person.issuer, person.subject)
        if not person.role:
            if row is not None:
                self._rows.change_user(row.id, now_ns=self._clock.now_ns(), values={}, shut_out=True, revoke=True)
            raise NotPermitted(
                f"nothing gives {person.name} a role here", hint="a group at the provider can: ask for one that does"
            )
        if row is None:
            return LetIn(self._add_outsider(person), "added")
        if not row.enabled:
            raise NotPermitted(
                f"this server lets {row.name} in no longer", hint="an administrator of this server can say why"
            )
        if (row.role, row.scope) == (person.role, person.scope):
            return LetIn(row, "")
        values: dict[str, Any] = {"role": person.role, "scope": person.scope}
        return LetIn(self._rows.change_user(row.id, now_ns=self._clock.now_ns(), values=values)[0], "other rights")

    def _add_outsider(self, person: Outsider) -> UserRecord:
        if len(self.all()) >= USERS_MAX:
            raise TooLarge(f"there are {USERS_MAX:,} people already", hint="an administrator can remove some")
        try:
            return self._rows.add_user(
                checked_user_name(person.name),
                role=checked_role(person.role),
                scope=checked_scope(person.scope),
                password_hash=NO_PASSWORD,
                now_ns=self._clock.now_ns(),
                issuer=person.issuer,
                subject=person.subject,
            )
        except BadName as error:
            hint = "names here have letters, digits and . _ @ + -: auth.oidc.name_claim can name another claim"
            raise NotPermitted(f"{person.name!r} cannot be a name here", hint=hint) from error
        except Conflict as error:
            row = self._rows.outsider(person.issuer, person.subject)
            if row is not None:  # the same person came in at another door at the same moment
                return row
            raise NotPermitted(
                f"there is another {person.name} here already", hint="an administrator can rename or remove one of them"
            ) from error

    def remove(self, name: str) -> None:
        """Remove a person with all sessions and tokens. Raises NotFound, Conflict for the last admin."""
        row = self.get(name)
        self._rows.remove_user(row.id, check=partial(_keep_an_admin, row.id))

    # Links that set a password ---------------------------------------------------------------------------------------

    def new_reset_code(self, name: str, *, ttl_s: float = RESET_LINK_S_MAX) -> str:
        """A code with which the person sets a password, once. Older ones become worthless.

        Raises:
            NotFound.
            Refused: a provider vouches for them, and has the password.
        """
        row = self.get(name)
        if row.issuer:
            raise _kept_outside(row)
        self._rows.remove_codes("reset", user_id=row.id)
        now_ns, code = self._clock.now_ns(), new_code()
        self._rows.add_code(
            "reset", secret_hash=digest(code), now_ns=now_ns, expires_ns=now_ns + int(ttl_s * 1e9), uses=1,
            user_id=row.id,
        )  # fmt: skip
        return code

    def reset_of(self, code: str) -> UserRecord:
        """Whose password the code sets; it stays unused. Raises NotSignedIn."""
        found = self._rows.code("reset", digest(normal_code(code)))
        row = None if found is None else next((r for r in self.all() if r.id == found.user_id), None)
        if found is None or row is None or found.uses_left < 1 or found.expires_ns <= self._clock.now_ns():
            raise NotSignedIn("this link is wrong, used or expired", hint="ask an administrator for a new one")
        return row

    def reset_password(self, code: str, password: str, *, keep_tokens: bool = False) -> UserRecord:
        """Set the password, end all sessions, revoke the tokens. The code is spent only when that succeeds.

        Raises:
            NotSignedIn: the code is wrong, used or expired.
            Refused: the password is not allowed; the code can be used again.
        """
        row = self.reset_of(code)
        hashed = hash_for_person(password)
        found = self._rows.code("reset", digest(normal_code(code)))
        if found is None or not self._rows.use_code(found.id, self._clock.now_ns()):
            raise NotSignedIn("this link is wrong, used or expired", hint="ask an administrator for a new one")
        new, _ = self._rows.change_user(
            row.id, now_ns=self._clock.now_ns(), values={"password_hash": hashed}, shut_out=True,
            revoke=not keep_tokens,
        )  # fmt: skip
        return new

    # Sessions --------------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, *, code: str = "", address: str = "", browser: str = "") -> SignedIn:
        """Check a person's password, and the code of a second factor, and begin a session. Slow on purpose.

        Raises:
            SecondFactorNeeded: the password is right, and there is no code.
            NotSignedIn: with the same words whatever was wrong.
        """
        row = self.check_password(name, password)
        if row.totp:
            if not code:
                raise SecondFactorNeeded("this takes a code of your app as well", hint="send it as code")
            self.second.check(row, code)
        return self.begin_session(row, address=address, browser=browser)

    def check_password(self, name: str, password: str) -> UserRecord:
        """Who that is. Slow on purpose.

        Raises:
            NotSignedIn: with the same words whatever was wrong.
        """
        row = self._rows.user(name)
        if row is None or not is_person(row) or not row.enabled or row.password_hash == NO_PASSWORD:
            waste_time(password)
            raise NotSignedIn(_WRONG, hint="try again, or ask an administrator for a new password")
        if not verify_password(row.password_hash, password):
            raise NotSignedIn(_WRONG, hint="try again, or ask an administrator for a new password")
        return row

    def use_trip(self, state: str, *, ttl_s: float) -> None:
        """A sign-in by a provider came back; it does so once. Raises NotSignedIn: it did before."""
        now_ns = self._clock.now_ns()
        try:
            self._rows.note_used("oidc", digest(state), now_ns=now_ns, expires_ns=now_ns + int(ttl_s * 1e9))
        except Conflict as error:
            raise NotSignedIn("this sign-in was used before", hint="begin again") from error

    def left(self, issuer: str, left: Leaving) -> tuple[int, str]:
        """Somebody's session at their provider ended: so do those here that began under it; how many, and whose.

        Tokens stay. A session that began after the message was made is another one.

        Raises:
            NotSignedIn: the message came before.
        """
        name = digest(f"{issuer}\0{left.jti}")
        if self._rows.code("oidc-left", name) is not None:
            raise NotSignedIn("this logout token was used before", hint="each counts once")
        row = self._rows.outsider(issuer, left.subject) if left.subject else None
        ended, whose = 0, row.name if row else ""
        if row is not None or not left.subject:
            everybody = {one.id: one.name for one in self._rows.users() if one.issuer == issuer} if row is None else {}
            until_ns = int((left.issued_s + OIDC_CLOCK_OFF_S) * 1e9)
            for session in self._rows.sessions(row.id if row else None):
                is_theirs = row is not None or session.user_id in everybody
                if is_theirs and session.created_ns <= until_ns and _is_of(session, left):
                    self._rows.end_session(session.key_hash)
                    ended, whose = ended + 1, whose or everybody[session.user_id]
        # Only now: should we be killed before, it may be sent again. Twice at once does no harm.
        try:
            self._rows.note_used(
                "oidc-left", name, now_ns=self._clock.now_ns(), expires_ns=int(kept_until_s(left) * 1e9)
            )
        except Conflict:
            return ended, whose
        return ended, whose

    def begin_session(self, row: UserRecord, *, address: str = "", browser: str = "", id_token: str = "") -> SignedIn:
        """A session for a person who has proved to be ``row``, by an ``id_token`` of their provider if it was that.

        Raises:
            NotSignedIn: meanwhile they got another password or second factor, or may not sign in any more.
        """
        now_ns = self._clock.now_ns()
        secret = new_secret()
        session = SessionRecord(
            key_hash=digest(secret),
            user_id=row.id,
            csrf=new_secret(),
            created_ns=now_ns,
            used_ns=now_ns,
            expires_ns=now_ns + int(self._session_s * 1e9),
            address=address[:64],
            browser=browser[:200],
            id_token=id_token if len(id_token) <= OIDC_HINT_CHARS_MAX else "",
        )
        self._rows.add_session(session, row)
        return SignedIn(secret, _identity(row, "session", session=session), session.expires_ns)

    def session(self, secret: str) -> Identity | None:
        """Who the session's secret stands for; None when it ended, expired or the person is disabled."""
        found = self._rows.session(digest(secret))
        if found is None:
            return None
        session, row = found
        now_ns = self._clock.now_ns()
        idle_s = (now_ns - session.used_ns) / 1e9
        if not self._may_come(row) or _is_over(session, now_ns):
            return None
        if idle_s > SESSION_TOUCH_S:
            self._rows.touch_session(session.key_hash, now_ns)
        return _identity(row, "session", session=session)

    def sign_out(self, secret: str) -> str:
        """End a session now; the ID token of its provider, if it has one. Nothing happens when it is over already."""
        return self._rows.end_session(digest(secret))

    def sign_out_everywhere(self, name: str, *, but: str = "") -> int:
        """End all sessions of a person, except the one with the key hash ``but``, and half a sign-in; how many."""
        return self._rows.end_sessions(self.get(name).id, but=but)

    def sessions(self, name: str | None = None) -> list[SessionRecord]:
        """The sessions of a person (None: of everybody) that are not over, the last used first."""
        now_ns = self._clock.now_ns()
        rows = self._rows.sessions(None if name is None else self.get(name).id)
        return [row for row in rows if not _is_over(row, now_ns)]

    def end_session(self, session_id: str, *, user_id: int | None = None) -> SessionRecord:
        """End the session that ``session_id_of`` named, of this user. Raises NotFound."""
        for row in self._rows.sessions(user_id):
            if session_id_of(row) == session_id:
                self._rows.end_session(row.key_hash)
                return row
        raise NotFound("there is no such session", hint="it may have ended by itself")

    # Tokens ----------------------------------------------------------------------------------------------------------

    def new_token(
        self,
        name: str,
        *,
        label: str = "",
        scope: Iterable[str] = (),
        ttl_s: float | None = None,
        role: str = "",
    ) -> tuple[str, TokenRecord]:
        """An API token of a person: the secret (shown once) and its row.

        Args:
            scope: what it sees of what the person sees.
            ttl_s: None: until revoked.
            role: what it may at most; empty: what the person may.

        Raises:
            NotFound, BadName: there is no such person, role or scope.
            TooLarge: the person has too many tokens.
        """
        row = self.get(name)
        if len(self._rows.tokens(row.id)) >= TOKENS_PER_USER_MAX:
            raise TooLarge(f"{row.name} has {TOKENS_PER_USER_MAX} tokens already", hint="revoke some")
        if ttl_s is not None and not 1 <= ttl_s <= 3660 * 86400:
            raise Refused(f"a token cannot last {ttl_s:g} s", hint="between a second and ten years, or without an end")
        if role and not at_least(row.role, checked_role(role)):
            raise Refused(f"{row.name} is {row.role}, so a token of theirs cannot be {role}", hint="a lower role")
        return self._new_token(row, label, checked_scope(scope), ttl_s, role)

    def _new_token(
        self, row: UserRecord, label: str, scope: tuple[str, ...], ttl_s: float | None, role: str = ""
    ) -> tuple[str, TokenRecord]:
        now_ns = self._clock.now_ns()
        secret = new_secret(TOKEN_PREFIX)
        token = self._rows.add_token(
            user_id=row.id,
            name=label.strip()[:TOKEN_NAME_CHARS_MAX],
            secret_hash=digest(secret),
            scope=scope,
            now_ns=now_ns,
            expires_ns=None if ttl_s is None else now_ns + int(ttl_s * 1e9),
            role=role,
        )
        return secret, token

    def token(self, secret: str, *, address: str = "") -> Identity | None:
        """Who the token stands for, narrowed to the token's own scope; None when it is unknown, revoked or expired."""
        found = self._rows.token(digest(secret))
        if found is None:
            return None
        token, row = found
        now_ns = self._clock.now_ns()
        if not self._may_come(row) or (token.expires_ns is not None and now_ns >= token.expires_ns):
            return None
        if token.used_ns is None or (now_ns - token.used_ns) / 1e9 > SESSION_TOUCH_S:
            self._rows.touch_token(token.id, now_ns, address[:64])
        return _identity(row, "token", token=token)

    def tokens(self, name: str | None = None) -> list[TokenRecord]:
        """The tokens of a person, or of all people."""
        if name is not None:
            return self._rows.tokens(self.get(name).id)
        people = {row.id for row in self.all()}
        return [token for token in self._rows.tokens() if token.user_id in people]

    def revoke_token(self, token_id: int, *, user_id: int | None = None) -> TokenRecord:
        """Make a token worthless, if it is this user's (None: anybody's). Raises NotFound."""
        found = next((token for token in self._rows.tokens(user_id) if token.id == token_id), None)
        if found is None or not self._rows.remove_token(token_id):
            raise NotFound(f"no token {token_id}", hint="it may be revoked already")
        return found

    def _may_come(self, row: UserRecord) -> bool:
        return row.enabled and (not row.issuer or self._issuer is None or row.issuer == self._issuer)

    def new_local_token(self) -> str:
        """The token for the command line on this machine; every older one is revoked."""
        row = self._rows.user(LOCAL_USER)
        if row is None:
            now_ns = self._clock.now_ns()
            row = self._rows.add_user(LOCAL_USER, role="admin", scope=(), password_hash="", now_ns=now_ns)
        for old in self._rows.tokens(row.id):
            self._rows.remove_token(old.id)
        return self._new_token(row, "command line on the server", (), None)[0]

    def forget_expired(self) -> int:
        """Remove sessions, tokens and codes that are over; how many."""
        now_ns = self._clock.now_ns()
        return self._rows.forget_expired(now_ns, idle_before_ns=now_ns - int(SESSION_IDLE_S_MAX * 1e9))


def _keep_an_admin(user_id: int, everybody: list[UserRecord]) -> None:
    """Raises Conflict where nobody else administers, or where nobody else who does sees all of the archive."""
    # Those for whom a provider vouches do not count: it may be down, or take their group away.
    admins = [row for row in everybody if is_person(row) and row.role == "admin" and row.enabled and not row.issuer]
    others = [row for row in admins if row.id != user_id]
    row = next((row for row in admins if row.id == user_id), None)
    if row is None:
        return
    if not row.scope and not [other for other in others if not other.scope]:
        raise Conflict(f"{row.name} is the last administrator who sees everything", hint="make another one first")
    if not others:
        raise Conflict(f"{row.name} is the last administrator", hint="make another one first")


def _kept_outside(row: UserRecord) -> Refused:
    return Refused(
        f"{row.name} signs in by {row.issuer}", hint="password, role and scope of such a person come from there"
    )


def is_person(row: UserRecord) -> bool:
    """Whether a row is a person's: no agent, not the command line."""
    return row.role != "agent" and row.name != LOCAL_USER


def checked_user_name(name: str) -> str:
    """Return ``name`` if a person may be called so. Raises BadName."""
    if not _USER_NAME.fullmatch(name):
        raise BadName(
            f"{name[:80]!r} is not a user name",
            hint=f"1-{USER_NAME_CHARS_MAX} letters, digits, '.', '_', '@', '+' or '-', a letter or digit first",
        )
    return name


def _is_of(session: SessionRecord, left: Leaving) -> bool:
    """Whether a session of theirs began under the one that ended; where that is not known, it did."""
    if not left.session:
        return True
    known = session_in(session.id_token)
    return known == left.session or (not known and bool(left.subject))


def session_id_of(session: SessionRecord) -> str:
    """What a session is called where it can be ended: it tells nothing of its secret."""
    return session.key_hash[:16]


def _is_over(session: SessionRecord, now_ns: int) -> bool:
    return now_ns >= session.expires_ns or (now_ns - session.used_ns) / 1e9 > SESSION_IDLE_S_MAX


def checked_role(role: str) -> Role:
    """Return ``role`` if a person may have it. Raises BadName."""
    if role not in ROLES or role == "agent":
        raise BadName(f"{role!r} is not a role of a person", hint="viewer, operator or admin")
    return cast("Role", role)


def _identity(
    row: UserRecord,
    via: Literal["session", "token"],
    *,
    session: SessionRecord | None = None,
    token: TokenRecord | None = None,
) -> Identity:
    role = row.role
    if token is not None and token.role and at_least(role, cast("Role", token.role)):
        role = token.role  # a person who may less by now takes the token along
    return Identity(
        user_id=row.id,
        name=row.name,
        role=cast("Role", role),
        scope=Scope(row.scope, token.scope if token else ()),
        via=via,
        csrf=session.csrf if session else "",
        session=session.key_hash if session else "",
        token=token.id if token else 0,
        began_ns=session.created_ns if session else 0,
        provider=row.issuer,
    )
