"""A small fleet in a real archive: agents in different states, logs of all kinds, hostile names."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from logferry.archive import Archive, Catalog
from logferry.archive.alert_records import MuteRecord
from logferry.archive.catalog.counting import COUNT, HOUR_NS
from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.archive.catalog.writer import Rows
from logferry.clock import SystemClock
from logferry.search.service import SearchService
from logferry.server.alerts.watching import Lookout
from logferry.server.audit import Audit
from logferry.server.catalogs import catalog_url
from logferry.server.config import ArchiveConfig, RetentionConfig, ServerConfig
from logferry.server.disk import disk_room
from logferry.server.enrolment import Enrolment
from logferry.server.first_run import identity
from logferry.server.passwords import generate_password, hash_for_agent
from logferry.server.people import People
from logferry.testing import LineSource
from logferry.web.context import WebContext

PASSWORD = "a calm harbour at dawn"
NEEDLE = "needle7f3a9c41e2"
"""Stands in one line of one file."""
HOUR_S = 3600.0

HOSTILE = (
    b"<script>alert('line')</script>",
    b"<img src=x onerror=alert(1)> <svg/onload=alert(2)>",
    b'"><a href="javascript:alert(3)" hx-get="/api/v1/me" hx-trigger="load">x</a>',
    b"{{7*7}} ${7*7} <%= 7*7 %> {% raw %}",
    b"\x1b[31mred\x1b[0m \x1b[1;38;5;208morange\x1b[0m \x1b[44;97mon blue\x1b[0m \x1b[7minverse\x1b[27m plain",
    b"\x1b]0;title\x07 \x1b]8;;https://example.com/\x07link\x1b]8;;\x07 \x1b[2J\x1b[H cleared? \x1b[999C",
    b"unterminated \x1b]8;;https://example.com and on",
    "admin \u202e}level\u202c \u2066hidden\u2069 zero\u200bwidth \ufeffbom".encode(),
    b"nul\x00 bell\x07 back\x08space cr\rmiddle del\x7f tab\there",
    b"\xff\xfe latin \xe9t\xe9 \xc3\xa9 broken \xe2\x82",
    b"=cmd|' /C calc'!A0",
    "\u0e01\u0e33 \u5b57 \U0001f6a2 e\u0301 \u0645\u0631\u062d\u0628\u0627".encode(),
)
HOSTILE_NAME = "<img src=x onerror=alert(1)>\u202egol.txt"


class ShiftedClock(SystemClock):
    """The machine's clock, some hours off: what happened "yesterday" can be made to happen now."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def now_ns(self) -> int:
        return time.time_ns() + int(self.shift_s * 1e9)


class Fleet:
    """A data directory with a fleet in it, and the context a web application serves it from. Close it."""

    def __init__(
        self, data_dir: Path, *, retention: tuple[RetentionConfig, ...] = (), config: ServerConfig | None = None
    ) -> None:
        """``config`` instead of the usual one, of the same ``data_dir``."""
        self.clock = ShiftedClock()
        self.config = config or ServerConfig(
            archive=ArchiveConfig(root=str(data_dir), min_free="0%"),
            retention=retention,
        )
        data_dir.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog.open(catalog_url(str(data_dir)), self.clock)
        self.archive = Archive(str(data_dir), self.catalog, clock=self.clock)
        self.people = People(self.catalog, clock=self.clock)
        self.enrolment = Enrolment(self.catalog, self.people, clock=self.clock)
        self.context = WebContext(
            config=self.config,
            catalog=self.catalog,
            archive=self.archive,
            people=self.people,
            enrolment=self.enrolment,
            search=SearchService(self.archive, self.catalog),
            clock=self.clock,
            audit=Audit(self.catalog, clock=self.clock),
            pin=identity(self.config).pin,
        )

    def close(self) -> None:
        """Let go of everything; the files stay."""
        self.archive.close()
        self.catalog.close()

    # Building ----------------------------------------------------------------------------------------------------

    def put(self, agent: str, path: str, blocks: Iterable[bytes], *, append: bool = False) -> None:
        """Deliver a file, or more of one."""
        incoming = self.archive.begin(agent, path, append=append)
        for block in blocks:
            incoming.write(block)
        incoming.commit()

    def replace(self, agent: str, path: str, blocks: Iterable[bytes]) -> None:
        """The file was truncated or replaced on the node: a new generation."""
        self.put(agent, path, blocks)

    def log(self, kind: str, records: int, *, seed: int = 1) -> list[bytes]:
        """So many records of one kind, joined to one block."""
        source = LineSource(kind, seed=seed)
        return [b"".join(source.record() for _ in range(records))]

    def alarm(self) -> None:
        """Alerts as they come of the usual fleet, and messages: one that came, one that has not yet."""
        rows = self.catalog.alerting
        lookout = Lookout(self.config, self.catalog, clock=self.clock)
        for shift_s in (-1200.0, -600.0, -120.0, -1.0):
            self.clock.shift_s = shift_s
            lookout.look(listening_since_ns=0)
        self.clock.shift_s = 0.0
        rows.mute(MuteRecord("failing", "db-01", self.clock.now_ns() + int(5 * HOUR_S * 1e9), "otto", "new disk comes"))
        for number, message in enumerate(rows.unsettled()):
            rows.begin(message, now_ns=self.clock.now_ns(), again_ns=self.clock.now_ns())
            if number % 2:
                due_ns = self.clock.now_ns() + 30 * 10**9
                rows.settle(
                    message.id, state="waiting", due_ns=due_ns, reply="503 Service Unavailable <b>try later</b>"
                )
            else:
                rows.settle(message.id, state="sent", due_ns=None, reply="200 OK ok")

    def populate(self) -> None:
        """The usual fleet: ten hours ago everything worked; since then one agent fell silent and one is failing."""
        self.clock.shift_s = -10 * HOUR_S
        for agent, group in (
            ("web-01", "web"),
            ("web-02", "web"),
            ("db-01", "db"),
            ("plc-07", "plant"),
            ("hmi-03", "plant"),
        ):
            self.catalog.agents.add(agent, group=group)
            self.catalog.agents.heard(agent, address=f"10.0.0.{len(agent) + ord(agent[-1])}", version="0.1.0")
        self.catalog.agents.add("lab-99", group="lab")
        self.put("plc-07", "Logs/PlcCtrl/20261122/PlcCtrl_1.txt", self.log("crlf", 400))
        self.put("web-01", "var/log/nginx/access.log", self.log("nginx", 3000, seed=2))
        self.clock.shift_s = -9 * HOUR_S
        self.put("web-01", "var/log/nginx/access.log", self.log("nginx", 1200, seed=3))
        self.clock.shift_s = -120
        self.put("hmi-03", "Logs/TrainCtrlHMI/20261123/HMI_20261123_081500_1.txt", self.log("crlf", 800, seed=4))
        self.put("db-01", "var/log/postgresql/postgresql-16-main.log", self.log("java", 900, seed=5))
        self.put("web-02", "app/app.log", self.log("json", 700, seed=6))
        self.put("web-02", "app/audit.log", [b"2026-11-23T08:14:01Z INFO ", NEEDLE.encode(), b" was here\n"])
        for number in range(1, 9):
            self.put("web-01", f"var/log/nginx/access.log.{number}", self.log("nginx", 50, seed=20 + number))
        self.put("web-01", "var/log/syslog", self.log("syslog", 500, seed=7))
        self.put("web-01", "var/log/hostile.log", [b"\n".join(HOSTILE) + b"\n"])
        self.put("web-01", f"var/log/odd names/{HOSTILE_NAME}", [b"a name can be anything\n"])
        self.put("web-01", "var/log/odd names/50%25 of #1? & more;.log", [b"percent, hash, question mark\n"])
        self.put("web-01", "var/log/empty.log", [])
        self.put("web-01", "var/log/nginx/error.log", self.log("syslog", 120, seed=8))
        self.clock.shift_s = -45
        self.catalog.agents.heard("web-02")
        self.catalog.agents.failed("db-01", "552 over quota: var/log/postgresql/postgresql-16-main.log")
        self.clock.shift_s = -2
        for agent in ("web-01", "hmi-03", "db-01"):
            self.catalog.agents.heard(agent)
        self.archive.measurer().growing()
        self.put("web-01", "var/log/nginx/access.log", self.log("nginx", 300, seed=9), append=True)
        self.clock.shift_s = 0.0

    def remember(self) -> None:
        """Two weeks on which about as much arrived, and a disk that filled by a little every day."""
        now_ns, room = self.clock.now_ns(), disk_room(self.config)
        rows = [
            {"hour": now_ns // HOUR_NS - back, "agent": "web-01", "more_bytes": 90_000 + 7 * (back % 17) * 300,
             "more_files": 1, "more_errors": 0}
            for back in range(24, 24 * 15)
        ]  # fmt: skip
        self.catalog.writer.run(Rows(lambda connection: connection.execute(COUNT, rows)))
        self.catalog.agents.erred("db-01", 3)
        for back in range(7, 0, -1):
            used = room.total - room.free - back * room.free // 100
            self.catalog.disk_days.note(DiskDay(now_ns - back * DAY_NS, used, room.total))

    def admit(self, agent: str) -> None:
        """Give an agent the user that joining gives it."""
        password_hash = hash_for_agent(generate_password())
        self.catalog.people.add_user(
            agent, role="agent", scope=(), password_hash=password_hash, now_ns=self.clock.now_ns(), agent_id=agent
        )

    def add_admin(self, name: str = "admin") -> None:
        """An administrator with ``PASSWORD``."""
        self.people.create(name, PASSWORD, role="admin")
