"""The rows of alerts, of their rules and mutes, and of the messages that tell of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.alert_records import AlertRecord, AlertRuleRecord, MessageRecord, MuteRecord
from logferry.archive.catalog.tables import alert_messages, alert_mutes, alert_rules, alerts
from logferry.archive.catalog.writer import Rows, Writer
from logferry.errors import Conflict, NotFound, TooLarge
from logferry.limits import ALERT_RULES_MAX, ALERTS_KEPT_MAX, ALERTS_OPEN_MAX, CARE_PAGE_ROWS

_A, _M, _R, _Q = alerts.c, alert_messages.c, alert_rules.c, alert_mutes.c
_ALERT = tuple(_A[name] for name in AlertRecord._fields)
_RULE = tuple(_R[name] for name in AlertRuleRecord._fields)
_MESSAGE = tuple(_M[name] for name in MessageRecord._fields)
_MUTE = tuple(_Q[name] for name in MuteRecord._fields)
Tell = Callable[[Sequence[AlertRecord]], Iterable[MessageRecord]]
"""From alerts as they are in the catalog, with their ids, what is to be sent."""


class Alerting:
    """What is wrong, who is to be told, and what became of that. Thread-safe; a change is durable when it returns."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    # Alerts ----------------------------------------------------------------------------------------------------------

    def unclosed(self) -> list[AlertRecord]:
        """All of which something is left to be said: those not raised yet, those open, those whose end is untold."""
        query = select(*_ALERT).where(_A.closed_ns.is_(None)).order_by(_A.id).limit(ALERTS_OPEN_MAX)
        with self._engine.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def open(self) -> list[AlertRecord]:
        """Those that are alerts now, the latest first."""
        return sorted((one for one in self.unclosed() if one.is_open), key=lambda one: (-(one.raised_ns or 0), one.id))

    def get(self, alert_id: int) -> AlertRecord:
        """Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*_ALERT).where(_A.id == alert_id)).first()
        if row is None:
            raise NotFound(f"there is no alert {alert_id}", hint="logferry alerts list --all shows those kept")
        return _alert(row)

    def history(self, *, before: int | None = None, subject: str = "", limit: int) -> list[AlertRecord]:
        """Those that were raised, open or over, the latest first; of ids below ``before``; of one ``subject``."""
        query = select(*_ALERT).where(_A.raised_ns.is_not(None)).order_by(_A.id.desc()).limit(limit)
        if subject:
            query = query.where(_A.subject == subject)
        if before is not None:
            query = query.where(_A.id < before)
        with self._engine.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def keep(self, changed: Sequence[AlertRecord], tell: Tell | None = None) -> list[AlertRecord]:
        """Write alerts as they are now, and in the same transaction what is to be sent because of it.

        One that was never raised and is closed leaves nothing behind. Returns them with their ids.
        """

        def work(connection: Connection) -> list[AlertRecord]:
            kept = [_kept(connection, one) for one in changed]
            for message in tell(kept) if tell else ():
                connection.execute(insert(alert_messages).values(_message_values(message)))
            return kept

        return self._writer.run(Rows(work))

    def forget(self, *, before_ns: int) -> int:
        """Closed alerts and settled messages from before then go, and the oldest beyond what is kept; how many."""

        def work(connection: Connection) -> int:
            gone = 0
            for table, column, settled in (
                (alerts, _A.closed_ns, _A.closed_ns.is_not(None)),
                (alert_messages, _M.made_ns, _M.due_ns.is_(None)),
            ):
                last = connection.execute(
                    select(table.c.id).order_by(table.c.id.desc()).offset(ALERTS_KEPT_MAX).limit(1)
                ).scalar()
                old = (column < before_ns) | (table.c.id <= (last or 0))
                some = select(table.c.id).where(settled, old).limit(CARE_PAGE_ROWS)
                gone += connection.execute(delete(table).where(table.c.id.in_(some))).rowcount
            gone += connection.execute(delete(alert_mutes).where(_Q.until_ns < before_ns)).rowcount
            return gone

        return self._writer.run(Rows(work))

    # Rules and mutes -------------------------------------------------------------------------------------------------

    def rules(self) -> list[AlertRuleRecord]:
        """Those made on the page, in the order they were made."""
        with self._engine.connect() as connection:
            return [_rule(row) for row in connection.execute(select(*_RULE).order_by(_R.id))]

    def rule(self, rule_id: int) -> AlertRuleRecord:
        """Raises NotFound."""
        found = next((one for one in self.rules() if one.id == rule_id), None)
        if found is None:
            raise _no_rule(rule_id)
        return found

    def add_rule(self, rule: AlertRuleRecord) -> AlertRuleRecord:
        """Make a rule. Raises TooLarge when there are too many."""

        def work(connection: Connection) -> int:
            if connection.execute(select(func.count()).select_from(alert_rules)).scalar_one() >= ALERT_RULES_MAX:
                raise TooLarge(f"there are {ALERT_RULES_MAX} rules already", hint="remove some first")
            made = insert(alert_rules).values(_rule_values(rule)).returning(_R.id)
            return int(connection.execute(made).scalar_one())

        return rule._replace(id=self._writer.run(Rows(work)))

    def change_rule(self, rule: AlertRuleRecord) -> None:
        """The rule with this id is so from now on. Raises NotFound."""

        def work(connection: Connection) -> int:
            return connection.execute(update(alert_rules).where(_R.id == rule.id).values(_rule_values(rule))).rowcount

        if self._writer.run(Rows(work)) == 0:
            raise _no_rule(rule.id)

    def remove_rule(self, rule_id: int) -> None:
        """Raises NotFound."""
        work = delete(alert_rules).where(_R.id == rule_id)
        if self._writer.run(Rows(lambda connection: connection.execute(work).rowcount)) == 0:
            raise _no_rule(rule_id)

    def mutes(self, now_ns: int) -> list[MuteRecord]:
        """Those that hold at ``now_ns``."""
        query = select(*_MUTE).where(_Q.until_ns > now_ns).order_by(_Q.subject, _Q.kind)
        with self._engine.connect() as connection:
            return [MuteRecord(*row) for row in connection.execute(query)]

    def mute(self, mute: MuteRecord) -> None:
        """From now on this one holds for its kind and subject; one whose time is over ends the muting."""

        def work(connection: Connection) -> None:
            same = (_Q.kind == mute.kind) & (_Q.subject == mute.subject)
            connection.execute(delete(alert_mutes).where(same))
            connection.execute(insert(alert_mutes).values(mute._asdict()))

        self._writer.run(Rows(work))

    # Messages --------------------------------------------------------------------------------------------------------

    def post(self, message: MessageRecord) -> MessageRecord:
        """A message of its own, such as a test."""

        def work(connection: Connection) -> int:
            made = insert(alert_messages).values(_message_values(message)).returning(_M.id)
            return int(connection.execute(made).scalar_one())

        return message._replace(id=self._writer.run(Rows(work)))

    def message(self, message_id: int) -> MessageRecord:
        """Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*_MESSAGE).where(_M.id == message_id)).first()
        if row is None:
            raise NotFound(f"there is no message {message_id}", hint="the list of messages shows those kept")
        return _message(row)

    def messages(self, *, before: int | None = None, failed: bool = False, limit: int) -> list[MessageRecord]:
        """The latest first; of ids below ``before``; ``failed``: only those of which an attempt failed."""
        query = select(*_MESSAGE).order_by(_M.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_M.id < before)
        if failed:
            query = query.where((_M.state == "failed") | ((_M.state == "waiting") & (_M.attempts > 0)))
        with self._engine.connect() as connection:
            return [_message(row) for row in connection.execute(query)]

    def unsettled(self) -> list[MessageRecord]:
        """All that are to be tried (again), the earliest first, whether their time has come or not."""
        query = select(*_MESSAGE).where(_M.due_ns.is_not(None)).order_by(_M.id).limit(CARE_PAGE_ROWS)
        with self._engine.connect() as connection:
            return [_message(row) for row in connection.execute(query)]

    def begin(self, message: MessageRecord, *, now_ns: int, again_ns: int) -> bool:
        """An attempt begins; if nothing is heard of it, it is due again at ``again_ns``. Whether it is ours to make."""
        work = (
            update(alert_messages)
            .where(_M.id == message.id, _M.attempts == message.attempts, _M.due_ns == message.due_ns)
            .values(state="sending", due_ns=again_ns, attempts=message.attempts + 1, tried_ns=now_ns)
        )
        return self._writer.run(Rows(lambda connection: connection.execute(work).rowcount)) == 1

    def settle(self, message_id: int, *, state: str, due_ns: int | None, reply: str) -> None:
        """What became of the attempt."""
        work = update(alert_messages).where(_M.id == message_id).values(state=state, due_ns=due_ns, reply=reply)
        self._writer.run(Rows(lambda connection: connection.execute(work).rowcount))

    def again(self, message_id: int, *, now_ns: int) -> MessageRecord:
        """One of which an attempt failed is due at once, for one attempt at least, under the id it had.

        Raises:
            NotFound: there is no such message.
            Conflict: it was sent, or is being sent, or was not tried yet.
        """
        tried = (_M.state == "failed") | ((_M.state == "waiting") & (_M.attempts > 0))
        work = update(alert_messages).where(_M.id == message_id, tried).values(state="waiting", due_ns=now_ns)
        changed = self._writer.run(Rows(lambda connection: connection.execute(work).rowcount))
        message = self.message(message_id)
        if not changed:
            raise Conflict(
                f"message {message_id} did not fail: it is {message.state}", hint="what failed can be sent again"
            )
        return message

    def message_sums(self) -> dict[tuple[str, str], int]:
        """How many messages are kept, by channel and state."""
        query = select(_M.channel, _M.state, func.count()).group_by(_M.channel, _M.state)
        with self._engine.connect() as connection:
            return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}


def _kept(connection: Connection, one: AlertRecord) -> AlertRecord:
    if one.closed_ns is not None and one.raised_ns is None:
        if one.id:
            connection.execute(delete(alerts).where(_A.id == one.id))
        return one
    values = one._asdict() | {"told": json.dumps(one.told)}
    values.pop("id")
    if one.id:
        connection.execute(update(alerts).where(_A.id == one.id).values(values))
        return one
    return one._replace(id=int(connection.execute(insert(alerts).values(values).returning(_A.id)).scalar_one()))


def _alert(row: Any) -> AlertRecord:
    found = AlertRecord(*row)
    return found._replace(told=tuple(json.loads(str(found.told))))


def _rule(row: Any) -> AlertRuleRecord:
    found = AlertRuleRecord(*row)
    channels = None if found.channels is None else tuple(json.loads(str(found.channels)))
    return found._replace(
        agents=tuple(json.loads(str(found.agents))), groups=tuple(json.loads(str(found.groups))), channels=channels,
        enabled=bool(found.enabled),
    )  # fmt: skip


def _rule_values(rule: AlertRuleRecord) -> dict[str, Any]:
    values = rule._asdict() | {
        "agents": json.dumps(rule.agents),
        "groups": json.dumps(rule.groups),
        "channels": None if rule.channels is None else json.dumps(rule.channels),
        "enabled": int(rule.enabled),
    }
    values.pop("id")
    return values


def _message(row: Any) -> MessageRecord:
    found = MessageRecord(*row)
    return found._replace(alerts=tuple(json.loads(str(found.alerts))))


def _message_values(message: MessageRecord) -> dict[str, Any]:
    values = message._asdict() | {"alerts": json.dumps(message.alerts)}
    values.pop("id")
    return values


def _no_rule(rule_id: int) -> NotFound:
    return NotFound(f"there is no rule {rule_id}", hint="logferry alerts rules shows them")
