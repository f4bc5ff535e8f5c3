"""The server's half of ``logferry import-seed``: settings, users, the stored tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logferry.cli import text
from logferry.cli.environment import for_server
from logferry.cli.import_seed_telling import Teller
from logferry.errors import Refused
from logferry.names import folded
from logferry.seed import reading
from logferry.seed.decisions import Decision
from logferry.seed.server import server_decisions, server_toml
from logferry.seed.users import FATES, Fate, UserPlan, plan, user_decisions

if TYPE_CHECKING:
    from logferry.archive import Archive, Catalog
    from logferry.server.config import ServerConfig
    from logferry.server.seeding import Tree, TreeImport


class ServerImport:
    """The server's half of an import."""

    def __init__(
        self, found: reading.Found, to: Path, data: str | None, config_file: str | None, answers: dict[str, Fate],
        told: Teller, *, in_place: bool, quarantine: bool,
    ) -> None:  # fmt: skip
        from logferry.cli.serve import need_server

        need_server()
        assert found.server is not None
        self._found = found
        self._answers = answers
        self._told = told
        self._in_place = in_place
        self._quarantine = quarantine
        self._taken = 0
        self._line = text.Progress()
        self._file = Path(config_file).absolute() if config_file else to / "server.toml"
        self._text = server_toml(found.server, str(Path(data).absolute() if data else to / "logferry-data"))
        if config_file and not self._file.is_file():
            raise Refused(f"there is no {self._file}", hint="leave --config out to have one written")
        self._is_there = self._file.exists()

    def run(self, *, is_applied: bool) -> int:
        """Tell everything, then do it. How many things failed."""
        from logferry.server.seeding import TreeImport, known_users

        config = self._config()
        assert self._found.server is not None
        self._told.all(server_decisions(self._found.server, str(self._file), is_there=self._is_there))
        agents, said = reading.agent_folders(self._found)
        self._told.all(said)
        with ExitStack() as stack:
            archive, catalog = self._opened(config, stack)
            known = {} if catalog is None else known_users(catalog)
            looker = TreeImport(archive, config.data_dir)
            self._told.all(user_decisions(self._plans(agents), known))
            self._tell_trees([looker.look(self._found.root, agent) for agent in agents], config)
        if not is_applied:
            return 0
        self._ask([one for one in self._plans(agents) if folded(one.name) not in known])
        return self._apply(config, agents, [one for one in self._plans(agents) if folded(one.name) not in known])

    def _config(self) -> ServerConfig:
        from logferry.server.config import load_config
        from logferry.server.seeding import config_from_text

        if self._is_there:
            return load_config(str(self._file), for_server())
        return config_from_text(self._text, str(self._file), for_server())

    @staticmethod
    def _opened(config: ServerConfig, stack: ExitStack) -> tuple[Archive | None, Catalog | None]:
        """The archive, if there is one already."""
        import logging

        from logferry.archive import Archive
        from logferry.server.catalogs import has_catalog, open_catalog
        from logferry.server.logs import configure
        from logferry.server.store import store_of

        configure(level=logging.WARNING, for_good=False)
        if not os.path.isdir(config.data_dir) or not has_catalog(config):
            return None, None
        catalog = stack.enter_context(open_catalog(config))
        return stack.enter_context(Archive(config.data_dir, catalog, store=store_of(config, "care"))), catalog

    # Users -----------------------------------------------------------------------------------------------------------

    def _plans(self, agents: list[str]) -> list[UserPlan]:
        """What becomes of each user, as far as it is known."""
        from logferry.server.seeding import refused_user

        users = self._found.users
        if strangers := sorted(set(self._answers) - {user.name for user in users}):
            names = ", ".join(user.name for user in users)
            raise Refused(f"the older system has no user {strangers[0]!r}", hint=f"its users: {names or 'none'}")
        names_of = reading.named_users(self._found.root, agents)
        for agent in self._found.agents:
            names_of.setdefault(agent.user, set()).add(agent.id)
        unclaimed = set(agents) - set().union(*names_of.values(), set())
        plans = []
        for user in users:
            one = plan(
                user,
                root=self._found.root,
                delivers=names_of.get(user.name, ()),
                unclaimed=unclaimed,
                answer=self._answers.get(user.name),
            )
            why = refused_user(one)
            plans.append(replace(one, fate="skip", why=why) if why else one)
        return plans

    def _ask(self, plans: list[UserPlan]) -> None:
        """Get answers from a person, where there is one. Raises Refused without."""
        open_ = [one for one in plans if one.fate is None]
        if open_ and (self._told.as_json or not sys.stdin.isatty()):
            raise Refused(
                f"what is to become of {', '.join(one.name for one in open_)}?",
                hint="say --admin NAME, --viewer NAME, --agent NAME or --skip NAME for each; nothing was changed",
            )
        for one in open_:
            question = text.line(f"{one.name}: {one.why}. It becomes")
            self._answers[one.name] = click.prompt(question, type=click.Choice(FATES), default=one.proposed, err=True)

    # The stored tree -------------------------------------------------------------------------------------------------

    def _tell_trees(self, trees: list[Tree], config: ServerConfig) -> None:
        from logferry.server.seeding import free_bytes

        for tree in trees:
            about = f"files of {tree.agent}"
            self._told.all(tree.said)
            if tree.known:
                self._told.one(Decision("done", about, f"{tree.known:,} are in the archive already"))
            if tree.files:
                how = "moved" if self._in_place else "copied; they stay where they are"
                told = f"{tree.files:,} ({text.size(tree.bytes)}): {how}; SHA-256 taken, times kept"
                self._told.one(Decision("do", about, told))
            elif not tree.known:
                self._told.one(Decision("do", about, "none yet; the agent is made"))
            self._told.all(self._copies(tree))
        need, free = sum(tree.bytes for tree in trees), free_bytes(config.data_dir)
        if not self._in_place and need > free:
            self._told.one(
                Decision("warn", "archive", f"{text.size(need)} to copy, {text.size(free)} free in {config.data_dir}",
                         "--in-place moves them instead, where both are on one disk")
            )  # fmt: skip

    def _copies(self, tree: Tree) -> Iterator[Decision]:
        """What becomes of settings that the agent uploaded."""
        change = "change it: logferry admin delivers USER --password-file FILE, and on the nodes"
        for copy in tree.copies:
            about = f"file {tree.agent}/{copy.path}"
            if self._quarantine:
                told = "an agent's settings, with its password: moved into quarantine, never listed, never served"
                yield Decision("warn", about, told, change)
            else:
                told = "an agent's settings, with its password: not taken over, but still in the older tree"
                yield Decision("warn", about, told, f"{change}; --quarantine moves the file out of that tree")

    # Doing it --------------------------------------------------------------------------------------------------------

    def _apply(self, config: ServerConfig, agents: list[str], plans: list[UserPlan]) -> int:
        from logferry.archive import Archive
        from logferry.cli.desk import note_here
        from logferry.server import first_run
        from logferry.server.audit import Audit
        from logferry.server.catalogs import has_catalog, open_catalog
        from logferry.server.people import People
        from logferry.server.seeding import Delivering, TreeImport, add_user
        from logferry.server.store import store_of

        if not self._is_there:
            _write_new(self._file, self._text)
        if not os.path.isdir(config.data_dir) or not has_catalog(config):
            first_run.prepare(config).close()
        with (
            open_catalog(config) as catalog,
            Archive(config.data_dir, catalog, store=store_of(config, "care")) as archive,
        ):
            delivering = Delivering(catalog)
            made = [agent for agent in agents if delivering.need_agent(agent)]
            people = People(catalog)
            added = [one for one in plans if one.fate not in (None, "skip")]
            for one in added:
                add_user(one, people, delivering)
            failed = self._take(TreeImport(
                archive, config.data_dir, in_place=self._in_place, move_configs=self._quarantine, tell=self._progress,
            ), agents)  # fmt: skip
            if made or added or self._taken:
                note_here(Audit(catalog), "seed.import", self._found.folder, agents=len(made), files=self._taken,
                          users=[f"{one.name} ({one.fate})" for one in added])  # fmt: skip
        return failed

    def _progress(self, files: int, size: int) -> None:
        self._line.show(f"{files:,} files, {text.size(size)}")

    def _take(self, importer: TreeImport, agents: list[str]) -> int:
        failed = 0
        for agent in agents:
            tree = importer.take(self._found.root, agent)
            self._line.clear()
            self._taken += tree.files
            failed += tree.failed
            # What cannot be taken over whatever happens was told before.
            self._told.all(one for one in tree.said if "stays where it is" not in one.text)
            if tree.files:
                self._told.one(
                    Decision("done", f"files of {agent}", f"{tree.files:,} ({text.size(tree.bytes)}) taken over")
                )
        return failed


def _write_new(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
