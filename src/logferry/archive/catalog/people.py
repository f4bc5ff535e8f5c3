"""Users, sessions, API tokens and codes as plain rows. What they may do is decided in ``logferry.server``."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import codes, facts, saved, sessions, tokens, users
from logferry.archive.catalog.writer import Rows, Writer
from logferry.archive.records import CodeRecord, SessionRecord, TokenRecord, UserRecord
from logferry.errors import Conflict, NotFound, NotSignedIn
from logferry.names import folded

_USER = tuple(users.c[name] for name in UserRecord.__slots__)
_SESSION = tuple(sessions.c[name] for name in SessionRecord.__slots__)
_TOKEN = tuple(tokens.c[name] for name in TokenRecord.__slots__)
_CODE = tuple(codes.c[name] for name in CodeRecord.__slots__)
_USERS_VERSION = "users_version"
HALF_SIGN_IN = "second"
"""The kind of code that stands for a right password until the code of the second factor comes."""
Check = Callable[[list[UserRecord]], None]
"""Looks at everybody inside the transaction that changes somebody, and raises what forbids it."""


class People:
    """The rows of everybody who may sign in. Thread-safe; changes are durable when a method returns.

    Secrets come in and go out as hashes only.
    """

    def __init__(self, engine: Engine, readers: Readers, writer: Writer) -> None:
        self._engine = engine
        self._readers = readers
        self._writer = writer
        # Asked before every FTP command, so it is compiled once.
        self._named = Prepared(select(*_USER).where(users.c.folded == bindparam("who")), engine.dialect)
        self._version = Prepared(select(facts.c.value).where(facts.c.name == _USERS_VERSION), engine.dialect)
        # Asked with every request.
        self._session = Prepared(
            select(*_SESSION, *_USER).join_from(sessions, users).where(sessions.c.key_hash == bindparam("secret")),
            engine.dialect,
        )
        self._token = Prepared(
            select(*_TOKEN, *_USER).join_from(tokens, users).where(tokens.c.secret_hash == bindparam("secret")),
            engine.dialect,
        )

    # Users -----------------------------------------------------------------------------------------------------------

    def users(self) -> list[UserRecord]:
        """Everybody, by name."""
        with self._engine.connect() as connection:
            return [_user(row) for row in connection.execute(select(*_USER).order_by(users.c.folded))]

    def user(self, name: str) -> UserRecord | None:
        """The user of that name (in any case), or None."""
        with self._readers.cursor() as cursor:
            row = self._named.one(cursor, who=folded(name))
        return _user(row) if row is not None else None

    def outsider(self, issuer: str, subject: str) -> UserRecord | None:
        """The user for whom that provider vouches under ``subject``, or None."""
        query = select(*_USER).where(users.c.issuer == issuer, users.c.subject == subject, users.c.issuer != "")
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return _user(row) if row is not None else None

    def version(self) -> str:
        """Another text than before whenever a user was added, changed or removed since, by any process."""
        with self._readers.cursor() as cursor:
            row = self._version.one(cursor)
        return str(row[0]) if row is not None else ""

    def add_user(
        self,
        name: str,
        *,
        role: str,
        scope: tuple[str, ...],
        password_hash: str,
        now_ns: int,
        agent_id: str | None = None,
        issuer: str = "",
        subject: str = "",
    ) -> UserRecord:
        """Add a user. Raises Conflict when the name is taken, whatever the case of its letters, or the subject is."""
        values = {
            "name": name, "folded": folded(name), "role": role, "scope": json.dumps(scope), "enabled": 1,
            "password_hash": password_hash, "agent_id": agent_id, "created_ns": now_ns, "changed_ns": now_ns,
            "signed_in_ns": None, "totp": "", "totp_new": "", "totp_step": 0, "recovery": "[]",
            "issuer": issuer, "subject": subject,
        }  # fmt: skip

        def work(connection: Connection) -> UserRecord:
            try:
                row = connection.execute(insert(users).values(values).returning(*_USER)).one()
            except IntegrityError as error:
                raise Conflict(f"there is a user {name} already", hint="choose another name") from error
            note_users_changed(connection)
            return _user(row)

        return self._writer.run(Rows(work))

    def change_user(
        self,
        user_id: int,
        *,
        now_ns: int,
        values: Mapping[str, Any],
        check: Check | None = None,
        old_hash: str | None = None,
        shut_out: bool = False,
        but: str = "",
        revoke: bool = False,
    ) -> tuple[UserRecord, int]:
        """Change some columns of a user, in one transaction with what that ends.

        Args:
            values: of ``role``, ``scope``, ``password_hash`` and ``enabled`` those that change; all others stay.
            check: asked inside the transaction; what it raises undoes everything.
            old_hash: only if the user is enabled and still has this password hash.
            shut_out: end the sessions but the one with the key hash ``but``, half a sign-in, links, a second factor
                that is not confirmed.
            revoke: the tokens too.

        Returns:
            the user as it is now, and how many sessions ended. Raises NotFound, for another ``old_hash`` too.
        """
        columns: dict[str, Any] = {**values, "changed_ns": now_ns}
        if "scope" in columns:
            columns["scope"] = json.dumps(columns["scope"])
        if "enabled" in columns:
            columns["enabled"] = int(columns["enabled"])
        if shut_out:
            columns["totp_new"] = ""
        chosen = users.c.id == user_id
        if old_hash is not None:
            chosen &= (users.c.enabled == 1) & (users.c.password_hash == old_hash)

        def work(connection: Connection) -> tuple[UserRecord, int]:
            if check is not None:
                check(_everybody(connection))
            row = connection.execute(update(users).where(chosen).values(columns).returning(*_USER)).first()
            if row is None:
                raise NotFound("there is no such user any more", hint="somebody changed or removed it just now")
            note_users_changed(connection)
            if revoke:
                connection.execute(delete(tokens).where(tokens.c.user_id == user_id))
            return _user(row), _shut_out(connection, user_id, but=but, links=True) if shut_out else 0

        return self._writer.run(Rows(work))

    def change_agent_user(
        self, agent_id: str, *, now_ns: int, password_hash: str | None = None, enabled: bool | None = None
    ) -> None:
        """Give the user of an agent another password hash, or let it in or not. Raises NotFound."""
        values: dict[str, Any] = {"changed_ns": now_ns}
        if password_hash is not None:
            values["password_hash"] = password_hash
        if enabled is not None:
            values["enabled"] = int(enabled)
        if self._change_users(update(users).where(users.c.agent_id == agent_id).values(values)) == 0:
            raise NotFound(f"agent {agent_id} has no user")

    def shut_agent_out(self, agent_id: str, *, now_ns: int) -> tuple[str, ...]:
        """Lock the user of an agent out, and take the agent from those whom several share; their names.

        Raises:
            NotFound: nobody delivers for it.
        """
        own = update(users).where(users.c.agent_id == agent_id).values(enabled=0, changed_ns=now_ns)
        all_shared = select(*_USER).where(users.c.role == "agent", users.c.agent_id.is_(None))

        def work(connection: Connection) -> tuple[str, ...]:
            count = int(connection.execute(own).rowcount)
            shared = [row for row in map(_user, connection.execute(all_shared).all()) if agent_id in row.scope]
            for row in shared:
                left = json.dumps([one for one in row.scope if one != agent_id])
                changed = update(users).where(users.c.id == row.id).values(scope=left, changed_ns=now_ns)
                connection.execute(changed)
            if not count and not shared:
                raise NotFound(f"agent {agent_id} has no user")
            note_users_changed(connection)
            return tuple(row.name for row in shared)

        return self._writer.run(Rows(work))

    def remove_user(self, user_id: int, *, check: Check | None = None) -> None:
        """Remove a user with all sessions and tokens, unless ``check`` raises. That there is none is no error."""

        def work(connection: Connection) -> None:
            if check is not None:
                check(_everybody(connection))
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            connection.execute(delete(tokens).where(tokens.c.user_id == user_id))
            connection.execute(delete(saved).where(saved.c.user_id == user_id))
            connection.execute(delete(codes).where(codes.c.user_id == user_id))
            connection.execute(delete(users).where(users.c.id == user_id))
            note_users_changed(connection)

        self._writer.run(Rows(work))

    # The second factor -----------------------------------------------------------------------------------------------

    def set_totp(
        self,
        user_id: int,
        *,
        totp: str | None = None,
        totp_new: str | None = None,
        recovery: tuple[str, ...] | None = None,
    ) -> None:
        """Set the secrets of one-time codes and the digests of recovery codes; what is None stays. Raises NotFound."""
        values: dict[str, Any] = {"totp": totp, "totp_new": totp_new}
        values = {name: value for name, value in values.items() if value is not None}
        if recovery is not None:
            values["recovery"] = json.dumps(recovery)
        if self._change_users(update(users).where(users.c.id == user_id).values(values)) == 0:
            raise NotFound(f"there is no user {user_id}")

    def use_totp_step(self, user_id: int, step: int) -> bool:
        """A code of this time step is used. False when it, or a later one, was used before, by whichever process."""
        unused = (users.c.id == user_id) & (users.c.totp_step < step)
        return self._run(update(users).where(unused).values(totp_step=step)) > 0

    def use_recovery_code(self, user_id: int, code_hash: str) -> bool:
        """Spend a recovery code. False when the user has no such code (any more)."""

        def work(connection: Connection) -> bool:
            found = connection.execute(select(users.c.recovery).where(users.c.id == user_id)).scalar()
            left = json.loads(found or "[]")
            if code_hash not in left:
                return False
            left.remove(code_hash)
            connection.execute(update(users).where(users.c.id == user_id).values(recovery=json.dumps(left)))
            return True

        return self._writer.run(Rows(work))

    # Sessions --------------------------------------------------------------------------------------------------------

    def add_session(self, session: SessionRecord, user: UserRecord) -> None:
        """Begin a session; ``user``, as it was when it proved who it is, has signed in now.

        Raises:
            NotSignedIn: meanwhile it got another password or second factor, or may not sign in any more.
        """

        def work(connection: Connection) -> None:
            _still(connection, user, signed_in_ns=session.created_ns)
            connection.execute(insert(sessions).values({n: getattr(session, n) for n in SessionRecord.__slots__}))
            connection.execute(_half_sign_ins(user.id))

        self._writer.run(Rows(work))

    def sessions(self, user_id: int | None = None) -> list[SessionRecord]:
        """The sessions of a user, or of everybody, the last used first. Some may be over."""
        query = select(*_SESSION).order_by(sessions.c.used_ns.desc())
        if user_id is not None:
            query = query.where(sessions.c.user_id == user_id)
        with self._engine.connect() as connection:
            return [SessionRecord(*row) for row in connection.execute(query)]

    def session(self, key_hash: str) -> tuple[SessionRecord, UserRecord] | None:
        """A session with its user, or None. Whether it is over is for the caller to say."""
        with self._readers.cursor() as cursor:
            row = self._session.one(cursor, secret=key_hash)
        return (SessionRecord(*row[: len(_SESSION)]), _user(row[len(_SESSION) :])) if row else None

    def touch_session(self, key_hash: str, now_ns: int) -> None:
        """The session was used. Written in a moment, with others."""
        self._post(update(sessions).where(sessions.c.key_hash == key_hash).values(used_ns=now_ns))

    def end_session(self, key_hash: str) -> str:
        """End one session; what a provider vouched for it with, if one did. That it is over is no error."""
        ended = delete(sessions).where(sessions.c.key_hash == key_hash).returning(sessions.c.id_token)
        return self._writer.run(Rows(lambda connection: str(connection.execute(ended).scalar() or "")))

    def end_sessions(self, user_id: int, *, but: str = "") -> int:
        """End all sessions of a user, except the one with the key hash ``but``, and half a sign-in; how many."""
        return self._writer.run(Rows(lambda connection: _shut_out(connection, user_id, but=but, links=False)))

    # Tokens ----------------------------------------------------------------------------------------------------------

    def add_token(
        self,
        *,
        user_id: int,
        name: str,
        secret_hash: str,
        scope: tuple[str, ...],
        now_ns: int,
        expires_ns: int | None,
        role: str = "",
    ) -> TokenRecord:
        """Add an API token."""
        values = {
            "user_id": user_id, "name": name, "secret_hash": secret_hash, "scope": json.dumps(scope),
            "created_ns": now_ns, "expires_ns": expires_ns, "used_ns": None, "used_address": "", "role": role,
        }  # fmt: skip
        statement = insert(tokens).values(values).returning(*_TOKEN)
        return self._writer.run(Rows(lambda connection: _token(connection.execute(statement).one())))

    def token(self, secret_hash: str) -> tuple[TokenRecord, UserRecord] | None:
        """A token with its user, or None. Whether it has expired is for the caller to say."""
        with self._readers.cursor() as cursor:
            row = self._token.one(cursor, secret=secret_hash)
        return (_token(row[: len(_TOKEN)]), _user(row[len(_TOKEN) :])) if row else None

    def tokens(self, user_id: int | None = None) -> list[TokenRecord]:
        """The tokens of a user, or of everybody, oldest first."""
        query = select(*_TOKEN).order_by(tokens.c.id)
        if user_id is not None:
            query = query.where(tokens.c.user_id == user_id)
        with self._engine.connect() as connection:
            return [_token(row) for row in connection.execute(query)]

    def touch_token(self, token_id: int, now_ns: int, address: str) -> None:
        """The token was used. Written in a moment, with others."""
        self._post(update(tokens).where(tokens.c.id == token_id).values(used_ns=now_ns, used_address=address))

    def remove_token(self, token_id: int) -> bool:
        """Make a token worthless; whether there was one."""
        return self._run(delete(tokens).where(tokens.c.id == token_id)) > 0

    # Codes -----------------------------------------------------------------------------------------------------------

    def add_code(
        self,
        kind: str,
        *,
        secret_hash: str,
        now_ns: int,
        expires_ns: int,
        uses: int,
        group: str = "",
        user_id: int | None = None,
    ) -> CodeRecord:
        """Add a code of ``kind`` (``CodeRecord``) that can be redeemed ``uses`` times."""
        values = {
            "kind": kind, "secret_hash": secret_hash, "created_ns": now_ns, "expires_ns": expires_ns,
            "uses_left": uses, "group": group, "user_id": user_id,
        }  # fmt: skip
        statement = insert(codes).values(values).returning(*_CODE)
        return self._writer.run(Rows(lambda connection: CodeRecord(*connection.execute(statement).one())))

    def add_half_sign_in(self, user: UserRecord, *, secret_hash: str, now_ns: int, expires_ns: int, tries: int) -> None:
        """The password of ``user`` was right, its code is to come; an older half sign-in is over.

        Raises:
            NotSignedIn: meanwhile it got another password or second factor, or may not sign in any more.
        """
        values = {
            "kind": HALF_SIGN_IN, "secret_hash": secret_hash, "created_ns": now_ns, "expires_ns": expires_ns,
            "uses_left": tries, "group": "", "user_id": user.id,
        }  # fmt: skip

        def work(connection: Connection) -> None:
            _still(connection, user)
            connection.execute(_half_sign_ins(user.id))
            connection.execute(insert(codes).values(values))

        self._writer.run(Rows(work))

    def code(self, kind: str, secret_hash: str) -> CodeRecord | None:
        """The code with this hash, or None. Whether it can still be used is in the record."""
        query = select(*_CODE).where(codes.c.kind == kind, codes.c.secret_hash == secret_hash)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return CodeRecord(*row) if row else None

    def use_code(self, code_id: int, now_ns: int) -> bool:
        """Spend one use. False when none is left or the code has expired; two callers never share the last one."""
        usable = (codes.c.id == code_id) & (codes.c.uses_left > 0) & (codes.c.expires_ns > now_ns)
        return self._run(update(codes).where(usable).values(uses_left=codes.c.uses_left - 1)) > 0

    def note_used(self, kind: str, secret_hash: str, *, now_ns: int, expires_ns: int) -> None:
        """Remember that something was used. Raises Conflict where it was before, by whichever process."""
        values = {
            "kind": kind, "secret_hash": secret_hash, "created_ns": now_ns, "expires_ns": expires_ns,
            "uses_left": 1, "group": "", "user_id": None,
        }  # fmt: skip

        def work(connection: Connection) -> None:
            try:
                connection.execute(insert(codes).values(values))
            except IntegrityError as error:
                raise Conflict("this was used before", hint="begin again") from error

        self._writer.run(Rows(work))

    def remove_codes(self, kind: str, *, user_id: int | None = None) -> None:
        """Make all codes of ``kind`` worthless, or those of one user."""
        chosen = codes.c.kind == kind
        self._run(delete(codes).where(chosen if user_id is None else chosen & (codes.c.user_id == user_id)))

    def forget_expired(self, now_ns: int, *, idle_before_ns: int) -> int:
        """Remove sessions, tokens and codes that are over, and sessions unused since ``idle_before_ns``; how many."""
        over = or_(sessions.c.expires_ns <= now_ns, sessions.c.used_ns < idle_before_ns)
        spent = or_(codes.c.expires_ns <= now_ns, codes.c.uses_left <= 0)
        return (
            self._run(delete(sessions).where(over))
            + self._run(delete(tokens).where(tokens.c.expires_ns <= now_ns))
            + self._run(delete(codes).where(spent))
        )

    def _change_users(self, statement: Any) -> int:
        def work(connection: Connection) -> int:
            count = int(connection.execute(statement).rowcount)
            note_users_changed(connection)
            return count

        return self._writer.run(Rows(work))

    def _run(self, statement: Any) -> int:
        return self._writer.run(Rows(lambda connection: int(connection.execute(statement).rowcount)))

    def _post(self, statement: Any) -> None:
        self._writer.post(Rows(lambda connection: connection.execute(statement).rowcount))


def _everybody(connection: Connection) -> list[UserRecord]:
    """All users, held as they are until the transaction ends where other processes write, too."""
    return [_user(row) for row in connection.execute(select(*_USER).order_by(users.c.id).with_for_update())]


def _still(connection: Connection, user: UserRecord, **values: int) -> None:
    """Raises NotSignedIn unless what ``user`` proved still holds; sets ``values``, and holds the row in any case."""
    same = (
        (users.c.id == user.id)
        & (users.c.enabled == 1)
        & (users.c.password_hash == user.password_hash)
        & (users.c.totp == user.totp)
    )
    if connection.execute(update(users).where(same).values(values or {"enabled": 1})).rowcount == 0:
        raise NotSignedIn("your password or second factor was changed just now", hint="sign in again")


def _half_sign_ins(user_id: int) -> Any:
    return delete(codes).where((codes.c.user_id == user_id) & (codes.c.kind == HALF_SIGN_IN))


def _shut_out(connection: Connection, user_id: int, *, but: str, links: bool) -> int:
    """End sessions and half a sign-in; with ``links`` whatever else codes began. How many sessions."""
    begun = delete(codes).where(codes.c.user_id == user_id) if links else _half_sign_ins(user_id)
    connection.execute(begun)
    ended = delete(sessions).where((sessions.c.user_id == user_id) & (sessions.c.key_hash != but))
    return int(connection.execute(ended).rowcount)


def note_users_changed(connection: Connection) -> None:
    """Give ``People.version`` a new value. Random rather than counted: no two changes ever look like none."""
    value = secrets.token_hex(8)
    if connection.execute(update(facts).where(facts.c.name == _USERS_VERSION).values(value=value)).rowcount == 0:
        connection.execute(insert(facts).values(name=_USERS_VERSION, value=value))


def _user(row: Row[Any] | Any) -> UserRecord:
    values = dict(zip(UserRecord.__slots__, row, strict=True))
    values["scope"] = tuple(json.loads(values["scope"]))
    values["enabled"] = bool(values["enabled"])
    values["recovery"] = tuple(json.loads(values["recovery"]))
    return UserRecord(**values)


def _token(row: Row[Any] | Any) -> TokenRecord:
    values = dict(zip(TokenRecord.__slots__, row, strict=True))
    values["scope"] = tuple(json.loads(values["scope"]))
    return TokenRecord(**values)
