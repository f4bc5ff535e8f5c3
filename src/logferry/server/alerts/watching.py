"""Looks at agents, disk and archive, writes down what that makes of alerts, and has it sent. Runs in the care part."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Sequence

import structlog

from logferry.archive import Catalog
from logferry.archive.alert_records import AlertRecord, MessageRecord
from logferry.archive.catalog.facts import ALERTS_ALIVE
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.limits import ALERT_ALIVE_S, ALERT_AUDIT_S, ALERT_POST_S, ALERT_S, ALERTS_KEEP_S, CLEANUP_S
from logferry.server import runfiles
from logferry.server.alerts.machine import Step, key_of, step
from logferry.server.alerts.messages import compose
from logferry.server.alerts.outages import Outages
from logferry.server.alerts.postman import Postman
from logferry.server.alerts.rules import Rules, all_rules
from logferry.server.alerts.settings import channels_of, rules_of, sender_of
from logferry.server.alerts.signs import Room, Sign, agent_signs, audit_sign, damage_sign, disk_sign
from logferry.server.config import ServerConfig
from logferry.server.disk import disk_room

log = structlog.get_logger("logferry.alerts")


class Lookout:
    """``look`` once, as often as somebody calls. What it knows between two looks stands in the catalog."""

    def __init__(self, config: ServerConfig, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._config = config
        self._catalog = catalog
        self._clock = clock
        self._outages = Outages.from_text(catalog.facts.get(ALERTS_ALIVE))
        self._written_ns = self._outages.alive_ns
        self._audit_problem: str | None = None
        self._audit_s = float("-inf")

    def look(self, *, listening_since_ns: int | None) -> Step:
        """Judge everything and keep what came of it, with the messages to be sent, in one transaction.

        Args:
            listening_since_ns: since when agents can be heard; None: they cannot now.
        """
        now_ns = self._clock.now_ns()
        may_judge = self._note_alive(listening_since_ns, now_ns)
        rows = self._catalog.alerting
        rules = all_rules(rules_of(self._config), rows.rules())
        agents = self._catalog.agents.list()
        signs = agent_signs(agents, rules, self._outages, now_ns, may_judge=may_judge)
        signs += [sign for sign in self._own_signs(rules) if sign is not None]
        mutes = {(mute.kind, mute.subject) for mute in rows.mutes(now_ns)}
        done = step(
            rows.unclosed(),
            signs,
            now_ns,
            channels=tuple(self._config.channels),
            is_muted=lambda kind, subject: (kind, subject) in mutes,
        )
        if done.changed:
            kept = rows.keep(done.changed, lambda kept: self._messages(done, kept, now_ns, fleet=len(agents)))
            for alert in kept:
                _say(alert, now_ns)
        return done

    def forget(self) -> None:
        """Old alerts and messages go."""
        before_ns = self._clock.now_ns() - int(ALERTS_KEEP_S * 1e9)
        while self._catalog.alerting.forget(before_ns=before_ns):
            continue

    def _note_alive(self, listening_since_ns: int | None, now_ns: int) -> bool:
        """Whether agents' silence may be judged now."""
        if listening_since_ns is None:
            return False
        known = self._outages
        self._outages = known.heard(now_ns)
        if self._outages.gaps != known.gaps or abs(now_ns - self._written_ns) >= ALERT_ALIVE_S * 1e9:
            self._catalog.facts.put(ALERTS_ALIVE, self._outages.text())
            self._written_ns = now_ns
        return self._outages.may_judge(listening_since_ns, now_ns)

    def _own_signs(self, rules: Rules) -> Sequence[Sign | None]:
        try:
            found = disk_room(self._config)
            room: Room | None = Room(found.total, found.free, found.full)
        except LogferryError:
            room = None
        flaws = self._catalog.care.flaws(limit=1)
        count = self._catalog.care.sums(0).flaws if flaws else 0
        first = f"{flaws[0].agent}/{flaws[0].path} in {flaws[0].place}: {flaws[0].what}" if flaws else ""
        return disk_sign(room, rules), damage_sign(count, first, rules), audit_sign(self._audit(rules), rules)

    def _audit(self, rules: Rules) -> str | None:
        """What is wrong with the chain, read now and then; empty: nothing, None: it was not read yet."""
        if rules.first("integrity") is not None and self._clock.monotonic_s() - self._audit_s >= ALERT_AUDIT_S:
            check = self._catalog.auditing.verify()
            self._audit_problem = f"entry {check.at}: {check.problem}" if check.problem else ""
            self._audit_s = self._clock.monotonic_s()
        return self._audit_problem

    def _messages(self, done: Step, kept: Sequence[AlertRecord], now_ns: int, *, fleet: int) -> list[MessageRecord]:
        sender = sender_of(self._config)
        found = []
        for channel in self._config.channels:
            for event, of in (("raised", done.begun), ("resolved", done.ended)):
                told = [alert for alert in kept if channel in of.get(key_of(alert), ())]
                told.sort(key=lambda alert: (alert.kind, alert.subject))
                if told:
                    found.append(
                        compose(
                            "raised" if event == "raised" else "resolved", told, channel=channel,
                            uid=secrets.token_hex(16), now_ns=now_ns, sender=sender, fleet=fleet,
                        )
                    )  # fmt: skip
        return found


class AlertWatch:
    """Two threads: one looks, one sends. ``start`` returns at once, ``stop`` lets a message under way be sent."""

    def __init__(self, config: ServerConfig, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._config = config
        self._clock = clock
        self._lookout = Lookout(config, catalog, clock=clock)
        self._postman = Postman(catalog.alerting, channels_of(config, clock), clock=clock)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(self._look, ALERT_S), name="alert-lookout", daemon=True),
            threading.Thread(
                target=self._run, args=(self._postman.deliver, ALERT_POST_S), name="alert-post", daemon=True
            ),
        ]
        self._forget_s = clock.monotonic_s()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._postman.close()

    def _look(self) -> None:
        self._lookout.look(listening_since_ns=listening_since_ns(self._config.data_dir))
        if self._clock.monotonic_s() >= self._forget_s:
            self._forget_s = self._clock.monotonic_s() + CLEANUP_S
            self._lookout.forget()

    def _run(self, duty: Callable[[], object], every_s: float) -> None:
        trouble = ""
        while not self._stop.is_set():
            try:
                duty()
                trouble = ""
            except (LogferryError, OSError) as error:
                if str(error) != trouble:
                    log.warning("alerts are not looked after just now and tried again", error=str(error))
                trouble = str(error)
            except Exception:
                # The edge of a thread: whatever it is, the next look or message may go well, and who is to be told
                # must not depend on it.
                log.exception("looking after alerts failed and is tried again")
            self._stop.wait(every_s)


def listening_since_ns(data_dir: str) -> int | None:
    """Since when the FTP part of this server has been listening; None: it does not now."""
    path = runfiles.part_file(data_dir, "ftp")
    told = runfiles.read_json(path)
    if told is None or not _runs(told.get("pid")):
        return None
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # it has gone meanwhile
        return None


def _runs(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process has the number now
        return False
    return True


def _say(alert: AlertRecord, now_ns: int) -> None:
    if alert.raised_ns == now_ns:
        log.warning("alert raised", kind=alert.kind, subject=alert.subject, reason=alert.reason)
    elif alert.resolved_ns == now_ns:
        log.info("alert resolved", kind=alert.kind, subject=alert.subject)
