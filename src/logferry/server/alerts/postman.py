"""Sends the messages that stand in the catalog, each until it is taken or has been tried often enough.

An attempt is written down before it is made, and its outcome after. So nothing is forgotten, whenever the server is
killed; what was under way then is sent once more under the same ``uid``, by which a receiver knows it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from logferry.archive.alert_records import MessageRecord
from logferry.archive.catalog.alerting import Alerting
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.limits import ALERT_CLAIM_S, ALERT_RETRY_S_MAX, ALERT_RETRY_S_MIN, ALERT_SENDERS, ALERT_TRIES_MAX
from logferry.server.alerts.channels import Channel, Outcome

log = structlog.get_logger("logferry.alerts")


class Postman:
    """``deliver`` what is due; one channel's messages one after the other, several channels at once."""

    def __init__(self, rows: Alerting, channels: Mapping[str, Channel], *, clock: Clock = SYSTEM) -> None:
        self._rows = rows
        self._channels = channels
        self._clock = clock
        self._pool = ThreadPoolExecutor(ALERT_SENDERS, thread_name_prefix="alert-sender")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._stopping = threading.Event()

    def deliver(self, *, wait: bool = False) -> int:
        """Begin to send what is due; how many messages. ``wait``: until all of them have been tried."""
        now_ns = self._clock.now_ns()
        due: dict[str, list[MessageRecord]] = {}
        held: set[tuple[str, int]] = set()
        for message in self._rows.unsettled():
            about = {(message.channel, alert) for alert in message.alerts}
            # The end of an alert is not told before its begin.
            if (message.due_ns or 0) <= now_ns and not held & about:
                due.setdefault(message.channel, []).append(message)
            held |= about
        futures = []
        for channel, messages in due.items():
            with self._lock:
                if channel in self._busy or self._stopping.is_set():
                    continue
                self._busy.add(channel)
            futures.append(self._pool.submit(self._rounds, channel, messages))
        if wait:
            for future in futures:
                future.result()
        return sum(map(len, due.values()))

    def close(self) -> None:
        """Let what is under way come to its end; it is bounded."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _rounds(self, channel: str, messages: list[MessageRecord]) -> None:
        try:
            for message in messages:
                if self._stopping.is_set():
                    return
                self._send(channel, message)
        except (LogferryError, OSError) as error:  # the catalog does not take it now: it is due again
            log.warning("a message could not be sent and is tried again", channel=channel, error=str(error))
        except Exception:  # the edge of a thread: what was claimed is due again, and the log says why
            log.exception("sending failed and is tried again", channel=channel)
        finally:
            with self._lock:
                self._busy.discard(channel)

    def _send(self, name: str, message: MessageRecord) -> None:
        now_ns = self._clock.now_ns()
        if not self._rows.begin(message, now_ns=now_ns, again_ns=now_ns + int(ALERT_CLAIM_S * 1e9)):
            return
        channel = self._channels.get(name)
        attempt = message.attempts + 1
        outcome = channel.send(message, attempt) if channel else Outcome(False, "the settings have no such channel")
        if outcome.taken:
            self._rows.settle(message.id, state="sent", due_ns=None, reply=outcome.reply)
            log.info("alert told", channel=name, title=message.title, attempt=attempt)
            return
        is_last = attempt >= (1 if channel is None or message.event == "test" else ALERT_TRIES_MAX)
        due_ns = None if is_last else self._clock.now_ns() + int(pause_s(attempt) * 1e9)
        self._rows.settle(message.id, state="failed" if is_last else "waiting", due_ns=due_ns, reply=outcome.reply)
        log.warning(
            "an alert could not be told" if is_last else "an alert could not be told and is tried again",
            channel=name, title=message.title, attempt=attempt, reply=outcome.reply,
        )  # fmt: skip


def pause_s(attempt: int) -> float:
    """Between an attempt that failed and the next."""
    return float(min(ALERT_RETRY_S_MIN * 2 ** (attempt - 1), ALERT_RETRY_S_MAX))
