"""An archive in which everything that others may write is hostile: lines, names, words of agents, what people keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from logferry.archive.catalog.care import FlawRecord
from logferry.archive.retention import Rule
from logferry.errors import BadName
from logferry.ftp import SessionInfo
from logferry.limits import HIGHLIGHT_CHARS_MAX, HIGHLIGHTS_MAX
from logferry.names import escape_path
from logferry.server.audit import Deed
from logferry.server.config import ArchiveConfig, RetentionConfig, ServerConfig
from logferry.server.heartbeats import Told
from logferry.web.api.heartbeat import Beat, Nurse
from tests.browser.fleet import HOUR_S, Fleet
from tests.hostile.payloads import payloads, whole_words, words
from tests.security.amounts import HEAVY

AGENT = "web-01"
LINES, JSON_LINES = "lines.log", "app/lines.json"
NAMES, GONE = "names", "gone"
KEPT_S = 24 * HOUR_S
STEP = 1 if HEAVY else 3
"""Lines and names are made of every payload; what has rows of the catalog, of one in so many."""
TOKENS = 90
"""A person may have a hundred."""


def names() -> list[str]:
    """All archive paths that are made of payloads: what an agent would deliver them as."""
    found = {path for path in map(_path, payloads()) if path}
    folders = {path[:at] for path in found for at in range(len(path)) if path[at] == "/"}
    return sorted(found - folders)


def _path(raw: bytes) -> str:
    try:
        return escape_path(raw)
    except BadName:  # a NUL, "..", or too long: no file can be called so
        return ""


def agent_ids() -> list[str]:
    """An agent for each of ``Planted.some``, whose words it says."""
    return [f"evil-{number:03d}" for number in range(len(payloads()[::STEP]))]


class Planted(Fleet):
    """The hostile archive. ``words``: each payload as text that a database takes; ``some`` of them."""

    def __init__(self, data_dir: Path) -> None:
        self.rules = tuple(
            RetentionConfig(text, KEPT_S) for text in whole_words()[::10] if text.isprintable() and len(text) < 200
        )
        config = ServerConfig(archive=ArchiveConfig(root=str(data_dir), min_free="0%"), retention=self.rules)
        super().__init__(data_dir, config=config)
        self.words = [text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0") for text in words()]
        self.some = self.words[::STEP]

    def populate(self) -> None:
        """All of it."""
        self.add_admin()
        self.clock.shift_s = -2 * KEPT_S
        self.catalog.agents.add(AGENT, group="web")
        for path in names()[::5]:
            self.put(AGENT, f"{GONE}/{path}", [b"old\n"])
        self.clock.shift_s = 0.0
        for _ in self.archive.retention([Rule(f"{AGENT}/{GONE}/**", KEPT_S)]).run():
            pass
        self.put(AGENT, LINES, [b"".join(raw + b"\n" for raw in payloads())])
        self.put(AGENT, JSON_LINES, [_json_line(text) for text in self.words])
        for path in names():
            self.put(AGENT, f"{NAMES}/{path}", [path.encode() + b"\n"])
        self._agents()
        self._people()
        self._care()

    def _agents(self) -> None:
        for agent, text in zip(agent_ids(), self.some, strict=True):
            self.catalog.agents.add(agent, group=text[:63])
            self.catalog.agents.heard(agent, version=text, address=text)
            self.catalog.agents.failed(agent, text)
        self.catalog.agents.change(AGENT, group="web")  # waits until all that was posted is written

    def _people(self) -> None:
        admin = self.people.get("admin")
        marked = [text for text in self.some if 0 < len(text) <= HIGHLIGHT_CHARS_MAX]
        chosen = marked[:: len(marked) // HIGHLIGHTS_MAX + 1]
        self.catalog.preferences.change(admin.id, highlights=json.dumps([{"word": text} for text in chosen]))
        for name, text in {text[:100]: text for text in self.some}.items():
            address = f"/search?q={quote(text[:500])}"
            self.catalog.saved.add(admin.id, name, address, shared=True)
        for text in self.some[:: len(self.some) // TOKENS + 1]:
            self.people.new_token("admin", label=text, scope=[f"{AGENT}/**"])
        for text in self.some[::10]:
            self.people.begin_session(admin, address=text[:60], browser=text)
        for number, text in enumerate(whole_words()[::6]):
            try:
                self.people.create(f"user-{number}", None, scope=[text[:200]])
            except BadName:
                self.people.create(f"user-{number}", None, scope=["db-*/**"])

    def _care(self) -> None:
        now_ns = self.clock.now_ns()
        for number, text in enumerate(self.some):
            self.catalog.retaining.add_hold(f"{AGENT}/held/{text[:200]}", f"case {number} {text}")
            place = f"store/{number}-{text}"
            self.catalog.care.note(place, [FlawRecord(place, -1, "frame", AGENT, text, text, now_ns, now_ns)])
            self.context.audit.note(
                Deed("change", f"evil {number}", text, text, text, text, text, detail={text: text, "list": [text]})
            )

    def sessions(self) -> list[SessionInfo]:
        """Everybody who is connected over FTP: clients say who they are before they are known."""
        now_ns = self.clock.now_ns()
        return [
            SessionInfo(
                number, text if number % 2 else AGENT, f"10.0.0.{number % 256}", bool(number % 3), now_ns,
                "STOR" if number % 5 else "idle", f"/{text}", number,
            )
            for number, text in enumerate(words()[::STEP], 1)
        ]  # fmt: skip

    def own_words(self, nurse: Nurse) -> None:
        """Heartbeats of all agents."""
        for agent, text in zip(agent_ids(), self.some, strict=True):
            beat = Beat(
                version="1.0", time_ns=self.clock.now_ns(), link=text[:64], watcher=text[:64], errors={text[:64]: 1},
                sources=[text[:200]] * 2, problems=[text[:200]] * 2,
            )  # fmt: skip
            nurse.heartbeats.put(agent, Told(self.clock.now_ns(), text, beat))


def _json_line(text: str) -> bytes:
    line: dict[str, Any] = {"level": "error", "message": text, text[:200]: text, "in": {text[:100]: [text]}}
    return json.dumps(line, ensure_ascii=len(text) % 2 == 0).encode() + b"\n"
