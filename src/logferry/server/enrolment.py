"""How the first administrator and new agents get in: codes with one purpose, few uses and a short life.

A set-up code makes the first administrator, once. A join token lets nodes become agents: each gets its own FTP user
with a generated password and a tree of its own; a token never opens an agent that exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from logferry.archive.catalog import Catalog
from logferry.archive.records import CodeRecord, UserRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadName, Conflict, NotFound, NotSignedIn, Refused
from logferry.limits import (
    AGENT_ID_CHARS_MAX,
    GROUP_CHARS_MAX,
    JOIN_TOKEN_S_MAX,
    JOIN_TOKEN_USES,
    JOIN_TOKEN_USES_MAX,
    SETUP_LINK_S_MAX,
)
from logferry.names import checked_agent_id
from logferry.server.passwords import digest, generate_password, hash_for_agent, new_code, normal_code
from logferry.server.people import People

JOIN_PREFIX = "LJ-"
_GROUP = re.compile(rf"[A-Za-z0-9._-]{{0,{GROUP_CHARS_MAX}}}")
_ID_TRIES = 1000


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A join token as its maker sees it, once."""

    secret: str
    expires_ns: int
    uses: int
    group: str


@dataclass(frozen=True, slots=True)
class Joined:
    """What a new agent needs to deliver."""

    id: str
    group: str
    user: str
    password: str


class Enrolment:
    """Set-up codes and join tokens over the catalog's rows."""

    def __init__(self, catalog: Catalog, people: People, *, clock: Clock = SYSTEM) -> None:
        self._catalog = catalog
        self._rows = catalog.people
        self._people = people
        self._clock = clock

    # The first administrator -----------------------------------------------------------------------------------------

    def setup_needed(self) -> bool:
        """Whether nobody can administer this server yet."""
        return not self._people.has_admin()

    def new_setup_code(self, *, ttl_s: float = SETUP_LINK_S_MAX) -> str:
        """A code for the set-up page. Every older one becomes worthless.

        Raises:
            Conflict: there is an administrator already.
        """
        if not self.setup_needed():
            raise Conflict("this server has an administrator already", hint="sign in, or ask the administrator")
        self._rows.remove_codes("setup")
        return self._new_code("setup", "", uses=1, ttl_s=ttl_s, group="")[0]

    def check_setup_code(self, code: str) -> None:
        """Raises NotSignedIn unless the code can be used now; it stays unused."""
        self._code("setup", code)

    def set_up(self, code: str, name: str, password: str) -> UserRecord:
        """Make the first administrator. The code is spent only when that succeeds.

        Raises:
            NotSignedIn: the code is wrong, used or expired.
            BadName, Refused, Conflict: name or password are not allowed; the code can be used again.
        """
        found = self._code("setup", code)
        row = self._people.create(name, password, role="admin")
        if not self._rows.use_code(found.id, self._clock.now_ns()):
            self._rows.remove_user(row.id)  # somebody used the same code at the same moment and was first
            raise _worthless("setup")
        self._rows.remove_codes("setup")
        return row

    # Agents ----------------------------------------------------------------------------------------------------------

    def new_join_token(
        self, *, uses: int = JOIN_TOKEN_USES, ttl_s: float = JOIN_TOKEN_S_MAX, group: str = ""
    ) -> JoinToken:
        """A token that ``uses`` nodes may join with within ``ttl_s``. Raises Refused, BadName."""
        if not 1 <= uses <= JOIN_TOKEN_USES_MAX:
            raise Refused(f"a join token cannot have {uses} uses", hint=f"1 to {JOIN_TOKEN_USES_MAX}")
        if not 1 <= ttl_s <= 366 * 86400:
            raise Refused(f"a join token cannot last {ttl_s:g} s", hint="one second to one year")
        secret, record = self._new_code("join", JOIN_PREFIX, uses=uses, ttl_s=ttl_s, group=checked_group(group))
        return JoinToken(secret, record.expires_ns, uses, record.group)

    def join(self, token: str, *, agent_id: str = "", hostname: str = "", group: str = "") -> Joined:
        """Make a new agent for a node that shows a join token.

        Args:
            agent_id: the id the node wants; empty: one made from ``hostname``, with a number when it is taken.
            group: its group; empty: the token's.

        Raises:
            NotSignedIn: the token is wrong, spent or expired.
            BadName: the id or group is not allowed.
            Conflict: the wanted id is taken.
        """
        code = self._code("join", token)
        chosen = checked_agent_id(agent_id) if agent_id else self._free_id(hostname)
        if self._taken(chosen):
            raise _id_taken(chosen)
        group = checked_group(group or code.group)
        now_ns = self._clock.now_ns()
        if not self._rows.use_code(code.id, now_ns):
            raise _worthless("join")
        password = generate_password()
        self._catalog.agents.add(chosen, group=group)
        self._rows.add_user(
            chosen, role="agent", scope=(), password_hash=hash_for_agent(password), now_ns=now_ns, agent_id=chosen
        )
        return Joined(chosen, group, chosen, password)

    def new_password(self, agent_id: str) -> str:
        """Give an agent a new password; the old one is worthless at once. Raises NotFound."""
        password = generate_password()
        self._rows.change_agent_user(agent_id, password_hash=hash_for_agent(password), now_ns=self._clock.now_ns())
        return password

    def revoke(self, agent_id: str) -> tuple[str, ...]:
        """Nobody delivers for an agent any more; its files stay.

        Its user is locked out, and users that several agents share do not deliver for it any more: their names.

        Raises:
            NotFound: nobody delivers for it.
        """
        return self._rows.shut_agent_out(agent_id, now_ns=self._clock.now_ns())

    def admit(self, agent_id: str) -> None:
        """Let an agent's own user in again. Raises NotFound."""
        try:
            self._rows.change_agent_user(agent_id, enabled=True, now_ns=self._clock.now_ns())
        except NotFound as error:
            hint = f"if it shares one: logferry admin delivers USER --agent {agent_id}"
            raise NotFound(error.message, hint=hint) from error

    def _free_id(self, hostname: str) -> str:
        base = agent_id_from(hostname)
        if not self._taken(base):
            return base
        for number in range(2, _ID_TRIES):
            numbered = f"{base[: AGENT_ID_CHARS_MAX - 5]}-{number}"
            if not self._taken(numbered):
                return numbered
        raise _id_taken(base)

    def _taken(self, agent_id: str) -> bool:
        return self._catalog.agents.get(agent_id) is not None or self._rows.user(agent_id) is not None

    # Codes -----------------------------------------------------------------------------------------------------------

    def _new_code(self, kind: str, prefix: str, *, uses: int, ttl_s: float, group: str) -> tuple[str, CodeRecord]:
        now_ns = self._clock.now_ns()
        secret = new_code(prefix)
        record = self._rows.add_code(
            kind,
            secret_hash=digest(secret),
            now_ns=now_ns,
            expires_ns=now_ns + int(ttl_s * 1e9),
            uses=uses,
            group=group,
        )
        return secret, record

    def _code(self, kind: str, typed: str) -> CodeRecord:
        found = self._rows.code(kind, digest(normal_code(typed)))
        if found is None or found.uses_left < 1 or found.expires_ns <= self._clock.now_ns():
            raise _worthless(kind)
        return found


def agent_id_from(hostname: str) -> str:
    """An agent id made from a host's name: its first label, other characters as ``-``; ``node`` when none is left."""
    label = hostname.strip().partition(".")[0]
    cleaned = re.sub(r"[^A-Za-z0-9_-]+", "-", label).strip("-_")[:AGENT_ID_CHARS_MAX]
    return cleaned or "node"


def checked_group(group: str) -> str:
    """Return ``group`` if an agent's group may be called so. Raises BadName."""
    if not _GROUP.fullmatch(group):
        raise BadName(
            f"{group[:80]!r} is not a group", hint=f"up to {GROUP_CHARS_MAX} letters, digits, '.', '_' or '-'"
        )
    return group


def _id_taken(agent_id: str) -> Conflict:
    return Conflict(
        f"there is an agent or user {agent_id} already",
        hint="choose another --id; if it is this node's old agent, keep its agent.toml and agent.secret",
    )


def _worthless(kind: str) -> NotSignedIn:
    if kind == "setup":
        return NotSignedIn(
            "this set-up code is wrong, used or expired", hint="`logferry admin setup-link` makes a new one"
        )
    return NotSignedIn(
        "this join token is wrong, used up or expired", hint="`logferry admin join-token` on the server makes a new one"
    )
