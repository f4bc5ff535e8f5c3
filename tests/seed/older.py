"""An older log archive system on a temporary folder: its files in the form it wrote, its agent as it delivered."""

from __future__ import annotations

import copy
import ftplib
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVER_CONFIG = """\
# Settings of the archive server: one KEY:value on each line. A comment that was
wrapped: its second line looks like a setting to a careless reader
TEST_MODE:False

#-------------------
FTP_SER_PORT:{port}
MAX_UPLOAD_SPEED:307200
MAX_DOWNLOAD_SPEED:0
\tLOG_DIR:elsewhere
LOG_FOLDER_CP:1000
USER_RCD:userRecord.json
LOG_DIR:ServerLogSorage
LOG_PF:.txt
FLASK_SER_PORT:5000
FLASK_DEBUG_MD:False
FLASK_MULTI_TH:True"""

AGENT_CONFIG = """\
# Settings of one agent.
AGENT_ID:{id}
AGENT_IP:127.0.0.1
FTP_SER_IP:127.0.0.1
FTP_SER_PORT:{port}
USER_NAME:{user}
USER_PWD:{password}
RCD_JSON:uploadRcd.json
LOG_DIR:AgentLogs
LOG_PF:.txt
UPLOAD_INV:10
"""

PASSWORD = "old but long"
USERS: dict[str, Any] = {
    "boss": {"passwd": "a long password", "perm": "elradfmwM"},
    "agent": {"passwd": PASSWORD, "perm": "elradfmwMT"},
    "template": {"passwd": "***", "perm": "elr"},
    "short": {"passwd": "123456", "perm": "elr"},
}
LOGS = {
    "plc-01": {
        "first.txt": b"2026-11-23 08:00:00 INFO started\n",
        "Logs/plcSimulator/20240723/BlockPlc_1.txt": b"2024-07-23 13:43:31 INFO block 1\r\n" * 40,
        "Logs/w\xe9ird/caf\xe9.txt": "2024-07-23 13:43:31 INFO caf\u00e9\n".encode(),
    },
    "hmi-03": {"Logs/scadaHMI_1.txt": b"2024-07-23 11:12:27 ERROR no link\n" * 3},
    "hmi-04": {"one.txt": b"one\n"},
}
MODIFIED_S = 1_721_735_011


@dataclass
class OlderServer:
    """The folder in which the older server was started."""

    folder: Path
    port: int = 8081
    users: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(USERS))

    @property
    def tree(self) -> Path:
        """What agents stored."""
        return self.folder / "ServerLogSorage"

    def write(self) -> OlderServer:
        """Its files: settings, users, and what three agents stored, two of them their own settings as well."""
        self.folder.mkdir(parents=True)
        (self.folder / "ServerConfig.txt").write_text(SERVER_CONFIG.format(port=self.port))
        (self.folder / "ServerConfig_template.txt").write_text(SERVER_CONFIG.format(port=1))
        (self.folder / "AgentConfig_template.txt").write_text(self._agent("Test"))
        (self.folder / "userRecord.json").write_text(json.dumps(self.users))
        for agent, files in LOGS.items():
            for name, content in files.items():
                path = self.tree / agent / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                os.utime(path, (MODIFIED_S, MODIFIED_S))
        for agent in ("plc-01", "hmi-03"):
            (self.tree / agent / "AgentConfig.txt").write_text(self._agent(agent))
        (self.tree / "in no folder.txt").write_text("nobody's\n")
        return self

    def _agent(self, agent: str) -> str:
        return AGENT_CONFIG.format(id=agent, port=self.port, user="agent", password=PASSWORD)

    def everything(self) -> dict[str, tuple[bytes, int]]:
        """Path -> content and time of every file in the folder."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@dataclass
class OlderAgent:
    """The folder in which an older agent was started, and the way it delivers."""

    folder: Path
    id: str
    port: int
    user: str = "agent"
    password: str = PASSWORD

    @property
    def logs(self) -> Path:
        """What it watches."""
        return self.folder / "AgentLogs"

    def write(self, files: dict[str, bytes], *, recorded: tuple[str, ...] = ()) -> OlderAgent:
        """Its settings, some logs, and its record, with paths as Windows has them."""
        for name, content in files.items():
            path = self.logs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (MODIFIED_S, MODIFIED_S))
        (self.folder / "AgentConfig.txt").write_text(
            AGENT_CONFIG.format(id=self.id, port=self.port, user=self.user, password=self.password)
        )
        paths = ["c:\\Works\\archiver\\AgentLogs\\" + name.replace("/", "\\") for name in recorded]
        (self.folder / "uploadRcd.json").write_text(json.dumps(paths))
        return self

    def connected(self) -> ftplib.FTP:
        """One log-in for life, in clear text."""
        client = ftplib.FTP(timeout=20)
        client.connect("127.0.0.1", self.port)
        try:
            client.login(self.user, self.password)
        except BaseException:
            client.close()
            raise
        return client

    def deliver(self, client: ftplib.FTP, name: str, content: bytes) -> str:
        """One file as the older agent sent it: to the root, into each folder or make it, STOR; the reply."""
        client.cwd("/")
        self._into(client, self.id)
        *folders, last = name.split("/")
        for folder in folders:
            self._into(client, folder)
        return client.storbinary(f"STOR {last}", io.BytesIO(content))

    @staticmethod
    def _into(client: ftplib.FTP, folder: str) -> None:
        try:
            client.cwd(folder)
        except ftplib.error_perm:
            client.mkd(folder)
            client.cwd(folder)
