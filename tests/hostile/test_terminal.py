"""What the command line writes to a terminal steers none: every command that shows words of others, on a real pty."""

from __future__ import annotations

import os
import pty
import re
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from logferry.cli import main
from logferry.names import shown
from logferry.web.app import create_app
from tests.browser.harness import serving
from tests.hostile.payloads import words
from tests.hostile.planted import AGENT, JSON_LINES, LINES, NAMES, Planted, names

OWN = re.compile(r"\r\x1b\[K(?:[^\x00-\x1f\x7f-\x9f]*\r\x1b\[K)?")
"""The line that tells how far a search is, and its end."""
NAMED = "{named}"
"""In a command: a place with a hostile name, another one each time."""
COMMANDS = (
    ("agents",), ("agents", "--json"), ("agents", "--state", NAMED),
    ("ls", f"{AGENT}:/{NAMES}"), ("ls", "-l", f"{AGENT}:/{NAMES}"), ("ls", "--json", f"{AGENT}:/{NAMES}"),
    ("ls", NAMED),
    ("find", "names"), ("find", "-l", "names"), ("find", "--json", "names"), ("find", NAMED),
    ("grep", f"agent:{AGENT}"), ("grep", "-C1", f"path:{LINES}"), ("grep", "-l", f"agent:{AGENT}"),
    ("grep", "--json", f"path:{LINES}"), ("grep", NAMED),
    ("count", "--by", "file", "--by", "agent", f"agent:{AGENT}"), ("count", NAMED), ("histogram", f"agent:{AGENT}"),
    ("tail", "-n", "5000", f"{AGENT}:/{LINES}"), ("tail", "--json", "-n", "50", f"{AGENT}:/{LINES}"), ("tail", NAMED),
    ("cat", f"{AGENT}:/{LINES}"), ("cat", f"{AGENT}:/{JSON_LINES}"), ("cat", "--lines", "1-300", f"{AGENT}:/{LINES}"),
    ("cat", NAMED), ("link", NAMED), ("link", "--json", NAMED), ("get", NAMED, "-o", "{folder}/got"),
    ("export", f"{AGENT}:/{LINES}"), ("export", NAMED),
    ("audit", "list"), ("audit", "list", "--json"), ("audit", "verify"),
    ("hold", "list"), ("hold", "list", "--json"), ("retention", "log"), ("retention", "log", "--json"),
    ("retention", "preview"), ("admin", "user", "list"), ("admin", "token", "list"), ("admin", "quota"),
    ("admin", "user", "add", NAMED), ("verify", "--quick"), ("config", "show", "--config", "{folder}/server.toml"),
    ("version",),
)  # fmt: skip
QUIET = {
    "agent": "its own words are tested with the agent",
    "alerts": "what it shows of agents is marked when it is kept: tests/server/alerts",
    "completion": "writes what shells read", "doctor": "shows the settings' own names",
    "healthcheck": "says one word", "service": "shows the settings' own names",
    "import-seed": "its decisions go through text.line", "support-bundle": "shows its own file",
    "backup": "shows its own folders", "restore": "shows its own folders", "reindex": "shows names of segments",
    "repair": "shows names of segments", "serve": "writes a log (test_own_log)", "worker": "writes a log",
    "login": "shows its own address", "logout": "shows its own address",
    "ftp": "shows what an FTP server says: tests/cli/test_ftp",
}  # fmt: skip


@dataclass(frozen=True)
class Screen:
    """A terminal on which commands write."""

    folder: Path

    def run(self, arguments: list[str]) -> str:
        """What a command writes there, standard error too."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs, termios.TCSANOW)
        seen: list[bytes] = []
        reader = threading.Thread(target=self._read, args=(ours, seen))
        reader.start()
        before = sys.stdout, sys.stderr
        with open(theirs, "w", encoding="utf-8", errors="backslashreplace") as screen:
            sys.stdout, sys.stderr = screen, screen
            try:
                assert sys.stdout.isatty()
                main.run(arguments)
            finally:
                screen.flush()
                sys.stdout, sys.stderr = before
        reader.join(60)
        os.close(ours)
        return b"".join(seen).decode()

    @staticmethod
    def _read(terminal: int, seen: list[bytes]) -> None:
        while True:
            try:
                data = os.read(terminal, 65_536)
            except OSError:  # the other end was closed
                return
            if not data:
                return
            seen.append(data)


@pytest.fixture
def screen(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """A terminal without colours, a served archive, its settings."""
    secret, _ = planted.people.new_token("user-0")
    planted.people.change("user-0", role="admin", scope=[])
    rules = "".join(f"[[retention]]\nmatch = {_toml(rule.match)}\nkeep = '24h'\n" for rule in planted.rules)
    (tmp_path / "server.toml").write_text(rules)
    with serving(create_app(planted.context)) as base:
        monkeypatch.setenv("LOGFERRY_URL", base)
        monkeypatch.setenv("LOGFERRY_TOKEN", secret)
        monkeypatch.setenv("LOGFERRY_ARCHIVE__ROOT", planted.config.data_dir)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        yield Screen(tmp_path)


def _toml(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def test_every_command_is_looked_at(planted: Planted) -> None:
    """Or it is said why not."""
    assert {command[0] for command in COMMANDS} | set(QUIET) == set(main.COMMANDS)
    assert planted.some


def test_no_command_steers_a_terminal(screen: Screen) -> None:
    """Nothing but text, tabs and ends of lines: no control character, no invisible one."""
    wrong, total = [], 0
    places = iter([f"{AGENT}:/{NAMES}/{path}" for path in names()[::12]] * 2)
    odd = iter(words()[::9] * 2)
    for command in COMMANDS:
        name = command[0]
        if name in ("ls", "cat", "tail", "link", "get", "export"):
            named = next(places)
        else:
            named = next(odd)
        arguments = [word.replace(NAMED, named).replace("{folder}", str(screen.folder)) for word in command]
        told = screen.run(arguments)
        total += len(told)
        for line in OWN.sub("", told).split("\n"):
            for part in line.split("\t"):
                if shown(part) != part:
                    wrong.append(f"{' '.join(arguments)[:120]!r}: {part[:200]!r}")
                    break
    assert total > 200_000
    assert not wrong, "\n".join(wrong[:40])
