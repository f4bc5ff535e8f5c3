"""The agent: one thread that looks, plans and hands out work, a few workers that deliver it.

The runner's thread owns scanner, roster and handles (``Parts``); the registry is shared with the workers (``Crew``),
which record what the server confirmed before they report it. ``Dispatch`` stands between the two. New settings replace
the crew and regroup the parts.
"""

from __future__ import annotations

import contextlib
import math
import random
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from logging import WARNING

from logferry.agent.attendants import Attendants
from logferry.agent.config import AgentConfig
from logferry.agent.configfile import ConfigFile, ConfigState, changed_names, check_same_agent
from logferry.agent.crew import Crew
from logferry.agent.dispatch import Dispatch
from logferry.agent.files import Handles
from logferry.agent.journal import Journal
from logferry.agent.link import Link
from logferry.agent.lookout import Lookout
from logferry.agent.notify import Notifier
from logferry.agent.parts import Parts, never_sent, sources_of
from logferry.agent.registry import Registry
from logferry.agent.regroup import remember, remembered
from logferry.agent.reporter import Reporter, Summary, Surroundings
from logferry.agent.rhythm import Rhythm
from logferry.agent.roster import Roster
from logferry.agent.settler import Settler
from logferry.agent.status import Status
from logferry.agent.tally import Tally
from logferry.agent.watch import Watcher, best_watcher
from logferry.clock import SYSTEM, Clock
from logferry.errors import Full, Later, LogferryError
from logferry.ftp.reconnect import Backoff, Dice
from logferry.limits import (
    FORGET_S,
    FULL_RETRY_S_MAX,
    GONE_KEEP_S,
    POLL_S_MIN,
    WATCH_COALESCE_S,
)

__all__ = ["Agent", "Summary"]

_WAKE_S_MAX = 1.0
"""The runner looks up at least this often."""


class Agent:
    """One agent. ``run`` or ``once`` may be called once; ``stop`` and ``reload`` from any thread or signal handler."""

    def __init__(
        self,
        config: AgentConfig,
        *,
        clock: Clock = SYSTEM,
        dice: Dice | None = None,
        watcher: Callable[[Journal], Watcher] = best_watcher,
        journal: Journal | None = None,
        config_path: str = "",
        environment: Mapping[str, str] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """
        Args:
            config_path: the file that ``config`` comes from: it is never sent, and read anew when it changes. Empty:
                the settings stay as they are.
            environment: what was laid over that file.
            notifier: told when we are ready, reload and stop.
        """
        self._config = config
        self._config_path = config_path
        self._clock = clock
        self._dice: Dice = dice if dice is not None else random.SystemRandom()
        self._journal = journal if journal is not None else Journal()
        self._make_watcher = watcher
        self._file = ConfigFile(config_path, environment or {}, config, clock) if config_path else None
        self._settings = ConfigState(clock.now_ns())
        self._notifier = notifier if notifier is not None else Notifier({}, self._journal)
        self._attendants = Attendants(lambda: self._reporter.latest, self._journal, clock)
        self._opened = False
        self._tally = Tally()
        self._started_ns = clock.now_ns()
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._stop_too: threading.Event | None = None
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    # Life -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask a running agent to end; it does within ``STOP_S_MAX`` seconds."""
        self._stop.set()
        self._wake()

    def reload(self) -> None:
        """Ask a running agent to read its settings anew, now. Wrong ones change nothing; the status says why."""
        self._reload.set()
        self._wake()

    def hurry(self) -> None:
        """Try the server again now instead of after the pause. From any thread; before the start it changes nothing."""
        if self._opened:
            self._link.try_now()
        self._wake()

    def status(self) -> Status | None:
        """The newest status, None before it has begun. From any thread."""
        return self._reporter.latest if self._opened else None

    def run(self, stop: threading.Event | None = None) -> None:
        """Follow the sources until ``stop`` is set or ``stop()`` is called.

        Raises:
            Conflict: another agent runs with the same state folder.
            Later: the registry cannot be opened at all. (For room on a full disk the agent waits.)
        """
        backoff = Backoff(max_s=FULL_RETRY_S_MAX / 2, dice=self._dice)
        begun = False
        self._stop_too = stop
        try:
            while not self._told_to_stop(stop):
                try:
                    self._open(self._make_watcher(self._journal))
                except (Later, Full) as error:
                    if not begun and not isinstance(error, Full):
                        raise
                    self._journal.event("cannot start yet", level=WARNING, why=str(error))
                else:
                    if not begun:
                        begun = True
                        self._notifier.ready()
                    if self._followed(stop):
                        return
                # The registry could not be read or begun. Opening it anew sets a damaged one aside.
                self._pause(backoff.next_s(), stop)
        finally:
            self._close_wake()

    def _followed(self, stop: threading.Event | None) -> bool:
        """Follow until told to stop (True) or until the registry fails (False); everything is closed afterwards."""
        try:
            while not self._told_to_stop(stop):
                self._turn()
                self._sleep()
        except (Later, Full) as error:
            self._journal.event("starting over", level=WARNING, why=str(error))
            return False
        finally:
            self._close()
        return True

    def _stopping(self) -> bool:
        return self._told_to_stop(self._stop_too)

    def _told_to_stop(self, stop: threading.Event | None) -> bool:
        return self._stop.is_set() or (stop is not None and stop.is_set())

    def _pause(self, seconds: float, stop: threading.Event | None) -> bool:
        """Wait; returns whether to stop."""
        end = self._clock.monotonic_s() + seconds
        while not self._told_to_stop(stop) and (left := end - self._clock.monotonic_s()) > 0:
            self._notifier.alive()
            self._stop.wait(min(left, _WAKE_S_MAX))
        return self._told_to_stop(stop)

    def once(self) -> Summary:
        """Send everything that is there now, then end. Files that change meanwhile are sent as far as they got.

        Raises: as ``run``.
        """
        from logferry.agent.watch import NoWatcher

        try:
            self._open(NoWatcher())
            try:
                while not self._stop.is_set():
                    self._turn()
                    if self._dispatch.nothing_more(self._clock.monotonic_s()):
                        break
                    self._sleep()
                return self._reporter.summary()
            finally:
                self._close()
        finally:
            self._close_wake()

    def _open(self, watcher: Watcher) -> None:
        config = self._config
        self._parts = parts = Parts.open(
            config,
            watcher,
            self._journal,
            self._clock,
            self._dice,
            self._stamp,
            self._tally,
            config_path=self._config_path,
        )
        before, sources = remembered(config.state_dir), sources_of(config)
        self._to_remember = before != sources
        try:
            if before is not None and before != sources:
                parts.regroup.change(before, sources, never_sent(config, self._config_path))
        except BaseException:
            parts.close()
            raise
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        if (fd := watcher.fileno()) is not None:
            self._selector.register(fd, selectors.EVENT_READ)
        self._dispatch = Dispatch(parts, self._new_crew, config)
        parts.lookout.hold_open = lambda: not self._link.up or bool(parts.roster.misplaced)
        self._reporter = Reporter(parts, self._surroundings(), self._started_ns)
        self._opened = True
        self._attendants.attend(config, self._dispatch.crew.alive_s)
        self._set_paces(config)
        self._forget_s = -math.inf
        self._look_again = False
        self._breathing_s = 0.0
        self._sweep_s = self._clock.monotonic_s()
        self._journal.event(
            "started", agent=config.agent.id, server=config.server.address, files=parts.lookout.scanner.files()
        )

    def _new_crew(self, config: AgentConfig, epoch: int) -> Crew:
        crew = Crew(
            config,
            self._parts.registry,
            self._journal,
            self._clock,
            self._dice,
            self._stamp,
            self._wake,
            self._tally,
            self._parts.elsewhere,
            self._parts.leftovers,
            skips_copies=self._parts.prepare_copies(config),
            epoch=epoch,
        )
        crew.start()
        return crew

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self._config,
            self._link,
            self._dispatch.crew.pace,
            self._settings,
            self._config_path,
            self._attendants.heartbeat,
            self._attendants.metrics,
        )

    def _set_paces(self, config: AgentConfig) -> None:
        """How often to look under these settings; the first look is due now."""
        self._looks = Rhythm(config.agent.scan_interval)
        self._polls = Rhythm(min(POLL_S_MIN, config.agent.scan_interval))

    def _close(self) -> None:
        if self._stop.is_set():
            self._notifier.stopping()
        self._attendants.close()
        self._dispatch.end()
        with contextlib.suppress(Later, Full):  # the registry may be what made us stop; what was sent is compared again
            self._dispatch.receive()
        self._reporter.write(stopped=True)
        self._attendants.tell(self._reporter.latest, running=False)
        self._parts.close()
        self._selector.close()
        settler = self._parts.settler
        self._journal.event("stopped", slices=settler.sent_slices, bytes=settler.sent_bytes)

    def _close_wake(self) -> None:
        self._wake_in.close()
        self._wake_out.close()

    def _stamp(self) -> str:
        moment = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
        return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"

    # One turn -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        parts = self._parts
        if self._file is not None and (self._reload.is_set() or self._file.changed()):
            self._reread(self._file)
        self._dispatch.receive()
        if not self._link.up:
            parts.lookout.hold_waiting()
        hints = parts.watcher.read()
        if hints.names:
            parts.lookout.look_at(hints.names.items(), hints.renamed)
        if hints.everywhere or self._clock.monotonic_s() >= self._looks.due_s:
            self._look_everywhere()
        elif parts.watcher.polled and self._clock.monotonic_s() >= self._polls.due_s:
            self._paced(self._polls, lambda: parts.lookout.look_in(list(parts.watcher.polled)))
        if parts.lookout.put_off and parts.roster.has_room:
            parts.lookout.look_put_off()
        if parts.lookout.deferred:
            parts.lookout.look_deferred()
        if self._to_remember:
            self._remember_sources()
        if self._clock.monotonic_s() >= self._sweep_s:
            self._sweep_s = self._clock.monotonic_s() + min(1.0, self._config.agent.scan_interval)
            parts.settler.sweep()
        parts.roster.wake()
        if not self._stop.is_set():
            self._dispatch.compare_some(self._config.agent.scan_interval)
            self._dispatch.hand_out()
        if self._reporter.write():
            self._tell(self._reporter.latest)
        self._notifier.alive()

    def _tell(self, status: Status) -> None:
        self._attendants.tell(status)
        waiting = f", {status.waiting:,} files ({status.lag_bytes:,} bytes) waiting" if status.waiting else ""
        self._notifier.status(f"{status.link}, {status.files:,} files known{waiting}")

    def _look_everywhere(self) -> None:
        parts = self._parts
        self._look_again = False
        self._paced(self._looks, lambda: parts.lookout.look_everywhere(self._breathe))
        if self._look_again:
            self._looks.due_s = -math.inf
        if self._stopping():
            return
        parts.watcher.looked()
        parts.tally.looks += 1
        if self._clock.monotonic_s() >= self._forget_s:
            self._forget_s = self._clock.monotonic_s() + FORGET_S
            with contextlib.suppress(Later, Full):  # tidying up can wait for a disk with room
                parts.lookout.forget_gone(self._clock.now_ns() - int(GONE_KEEP_S * 1e9))

    def _breathe(self) -> bool:
        """In the middle of a long look: what cannot wait. Returns whether to go on looking."""
        before_s = time.thread_time()
        parts = self._parts
        self._dispatch.receive()
        hints = parts.watcher.read()
        if hints.names:
            parts.lookout.look_at(hints.names.items(), hints.renamed)
        self._look_again |= hints.everywhere
        if parts.lookout.deferred:
            parts.lookout.look_deferred()
        parts.roster.wake()
        if not self._stopping():
            self._dispatch.hand_out()
        if self._reporter.write():
            self._tell(self._reporter.latest)
        self._breathing_s += time.thread_time() - before_s
        return not self._stopping()

    def _paced(self, pace: Rhythm, look: Callable[[], None]) -> None:
        self._breathing_s = 0.0
        before_s = time.thread_time()
        look()
        cost_s = time.thread_time() - before_s - self._breathing_s
        watched = pace is self._looks and self._parts.watcher.complete
        pace.looked(self._clock.monotonic_s(), cost_s, watched=watched)

    def _sleep(self) -> None:
        roster, crew = self._parts.roster, self._dispatch.crew
        now = self._clock.monotonic_s()
        until = min(self._looks.due_s, roster.next_due_s(), now + _WAKE_S_MAX)
        if self._parts.watcher.polled:
            until = min(until, self._polls.due_s)
        soon_s = max(crew.link.wait_s(), 0.02 if crew.free else _WAKE_S_MAX)
        if roster.waiting and not crew.pace.quiet:
            until = min(until, now + soon_s)
        if roster.misplaced and self._parts.registry.behind is None:
            until = min(until, max(now + soon_s, roster.move_due_s))
        ready = self._selector.select(max(0.0, until - now))
        for key, _ in ready:
            if key.fileobj is self._wake_out:
                try:
                    while self._wake_out.recv(4096):
                        pass
                except BlockingIOError:
                    pass
            else:
                time.sleep(WATCH_COALESCE_S)  # what follows at once is merged by the kernel

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except (BlockingIOError, OSError):
            return  # it is full (so the runner wakes anyway) or closed (so there is no runner)

    # Settings ---------------------------------------------------------------------------------------------------------

    def _reread(self, file: ConfigFile) -> None:
        """Read the settings anew; they count only if all of them are right."""
        self._reload.clear()
        self._notifier.reloading()
        tries = self._settings.tries + 1
        try:
            config = file.read()
            check_same_agent(self._config, config)
        except LogferryError as error:
            self._settings = ConfigState(self._settings.loaded_ns, tries, str(error))
            self._journal.state("settings", f"not taken: {error}", level=WARNING, kept="the settings before")
        else:
            self._settings = ConfigState(self._clock.now_ns(), tries)
            self._journal.state("settings", "")
            self._take(config)
        self._reporter.around = self._surroundings()
        self._reporter.hurry()
        self._notifier.ready()

    def _take(self, config: AgentConfig) -> None:
        old, self._config = self._config, config
        names = changed_names(old, config)
        renewed = self._dispatch.renew(config)
        if old.sources != config.sources or old.server.password_file != config.server.password_file:
            never = never_sent(config, self._config_path)
            self._parts.regroup.change(sources_of(old), sources_of(config), never)
            self._to_remember = True
        self._parts.retune(config)
        self._set_paces(config)
        self._attendants.attend(config, self._dispatch.crew.alive_s)
        self._journal.event("settings taken", changed=names, reconnects=renewed)

    def _remember_sources(self) -> None:
        """Keep what is wanted now for the next start, once every file that it concerns has been dealt with."""
        regroup = self._parts.regroup
        if regroup.waiting:
            regroup.tend()
        if regroup.waiting:
            return
        self._to_remember = False
        try:
            remember(self._config.state_dir, self._config.sources)
        except OSError as error:
            self._journal.event("sources not remembered", level=WARNING, why=str(error.strerror or error))

    # For whoever looks closely ----------------------------------------------------------------------------------------

    @property
    def _link(self) -> Link:
        return self._dispatch.link

    @property
    def _registry(self) -> Registry:
        return self._parts.registry

    @property
    def _roster(self) -> Roster:
        return self._parts.roster

    @property
    def _lookout(self) -> Lookout:
        return self._parts.lookout

    @property
    def _handles(self) -> Handles:
        return self._parts.handles

    @property
    def _settler(self) -> Settler:
        return self._parts.settler

    @property
    def _watcher(self) -> Watcher:
        return self._parts.watcher
