"""Agents that deliver all the while: `python -m bench.web.delivering` with a plan on standard input.

Each appends some lines to a file of its own once in ``every_s`` seconds over plain FTP, and waits for the confirmation.
Ends at the end of standard input; prints one JSON object: deliveries, their milliseconds, what went wrong.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from logferry.errors import LogferryError
from logferry.ftp import FtpClient, SendSource
from logferry.testing import LineSource

RECORDS = 200


class Agent(threading.Thread):
    """One of them."""

    def __init__(self, plan: dict[str, Any], number: int, over: threading.Event) -> None:
        super().__init__(name=f"agent-{number}")
        self._plan = plan
        self._number = number
        self._over = over
        self.ms: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Until it is over."""
        user = self._plan["agents"][self._number]
        source = LineSource("nginx", seed=self._number)
        every_s = self._plan["every_s"]
        self._over.wait(every_s * self._number / len(self._plan["agents"]))
        to = {"host": self._plan["host"], "port": self._plan["port"], "tls": "off"}
        with FtpClient(**to, user=user["user"], password=user["password"]) as client:
            while not self._over.is_set():
                block = b"".join(source.record() for _ in range(RECORDS))
                started = time.perf_counter()
                try:
                    client.append("delivered.log", SendSource(block, 0, len(block)))
                except (LogferryError, OSError) as error:
                    self.errors.append(str(error))
                self.ms.append(1e3 * (time.perf_counter() - started))
                self._over.wait(every_s)


def main() -> None:
    """The plan is the first line."""
    plan = json.loads(sys.stdin.readline())
    over = threading.Event()
    agents = [Agent(plan, number, over) for number in range(len(plan["agents"]))]
    for agent in agents:
        agent.start()
    sys.stdin.read()
    over.set()
    for agent in agents:
        agent.join()
    ms = [one for agent in agents for one in agent.ms]
    print(json.dumps({"deliveries": len(ms), "ms": ms, "errors": [e for agent in agents for e in agent.errors]}))


if __name__ == "__main__":
    main()
