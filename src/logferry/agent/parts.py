"""What an agent works with between opening its registry and closing it again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING

from logferry.agent.config import AgentConfig
from logferry.agent.configfile import skips_copies
from logferry.agent.elsewhere import Elsewhere
from logferry.agent.files import Handles
from logferry.agent.holding import HeldLimits
from logferry.agent.journal import Journal
from logferry.agent.leftovers import Leftovers
from logferry.agent.lock import StateLock
from logferry.agent.lookout import Lookout
from logferry.agent.registry import Registry
from logferry.agent.regroup import Regroup
from logferry.agent.roster import Roster
from logferry.agent.scan import Scanner
from logferry.agent.settler import Settler
from logferry.agent.sources import Priorities, Source
from logferry.agent.tally import Tally
from logferry.agent.watch import Watcher
from logferry.clock import Clock
from logferry.errors import Full, Later
from logferry.ftp.reconnect import Dice
from logferry.limits import GONE_KEEP_S, HANDLES_NAMELESS_SHARE


@dataclass(frozen=True, slots=True)
class Parts:
    """All of them belong to the runner's thread; the registry is shared with the workers."""

    lock: StateLock
    registry: Registry
    watcher: Watcher
    elsewhere: Elsewhere
    leftovers: Leftovers
    roster: Roster
    handles: Handles
    lookout: Lookout
    settler: Settler
    regroup: Regroup
    journal: Journal
    clock: Clock
    tally: Tally

    @classmethod
    def open(
        cls,
        config: AgentConfig,
        watcher: Watcher,
        journal: Journal,
        clock: Clock,
        dice: Dice,
        stamp: Callable[[], str],
        tally: Tally,
        *,
        config_path: str = "",
    ) -> Parts:
        """Open the registry and begin with what it knows.

        Raises:
            Conflict: another agent runs with the same state folder.
            Later, Full: the registry cannot be opened at all.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(watcher.close)
            config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = StateLock(config.state_dir)
            undo.callback(lock.release)
            registry = Registry(config.state_dir / "registry.db", clock.now_ns())
            undo.callback(registry.close)
            if registry.set_aside is not None:
                journal.event(
                    "registry was damaged",
                    level=WARNING,
                    kept_as=str(registry.set_aside),
                    hint="a new one is begun; every file is compared with the server before anything is sent",
                )
            sources = sources_of(config)
            elsewhere = Elsewhere(registry)
            leftovers = Leftovers(registry)
            roster = Roster(clock, dice, Priorities(sources), elsewhere.holds)
            handles = Handles(config.limits.open_files)
            scanner = Scanner(sources, never=never_sent(config, config_path), entering=watcher.watch)
            scanner.load(registry.marks())
            lookout = Lookout(scanner, registry, roster, handles, journal, clock, stamp)
            settler = Settler(registry, roster, lookout, handles, journal, clock, held_limits(config), tally)
            settler.load_unsettled()
            regroup = Regroup(lookout, registry, roster, handles, journal, clock)
            undo.pop_all()
        return cls(
            lock,
            registry,
            watcher,
            elsewhere,
            leftovers,
            roster,
            handles,
            lookout,
            settler,
            regroup,
            journal,
            clock,
            tally,
        )

    def retune(self, config: AgentConfig) -> None:
        """Other limits for what is kept open, other priorities for what is sent from now on."""
        self.roster.prefer(Priorities(sources_of(config)))
        self.handles.limit = config.limits.open_files
        self.settler.limits = held_limits(config)

    def prepare_copies(self, config: AgentConfig) -> bool:
        """Whether compressed copies of what the server holds are not sent."""
        if not skips_copies(config):
            return False
        try:
            self.registry.prepare_copies(noted_before_ns=self.clock.now_ns() - int(GONE_KEEP_S * 1e9))
        except (Later, Full) as error:  # a disk that is full stops nothing: they are sent
            self.journal.event("compressed copies are sent, too", level=WARNING, why=str(error))
            return False
        return True

    def close(self) -> None:
        """Release everything."""
        self.lookout.unjudged.close_all()
        self.handles.close_all()
        self.registry.close()
        self.watcher.close()
        self.lock.release()


def held_limits(config: AgentConfig) -> HeldLimits:
    """What files without a name may take."""
    limits = config.limits
    return HeldLimits(limits.held_bytes, limits.held_time, int(limits.open_files * HANDLES_NAMELESS_SHARE))


def sources_of(config: AgentConfig) -> list[Source]:
    """The sources that the settings describe."""
    return [Source.of(settings) for settings in config.sources]


def never_sent(config: AgentConfig, config_path: str) -> list[bytes]:
    """The agent's own files, whatever the patterns say."""
    return [os.fsencode(path) for path in (config.state_dir, config.server.password_file, config_path) if path]
