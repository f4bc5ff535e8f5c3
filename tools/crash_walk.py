"""Record tests/agent/crash/recorded.json anew: the steps of a shipping cycle, and what a kill at each moment leaves.

Run it when a step was added or has changed, look at the difference, then `make docs`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.agent.crash.walk import RECORDED, Case, Ground, moments  # noqa: E402
from tests.agent.crash.works import WORKS, Work  # noqa: E402


def _facts(ground: Ground, server: str, work: Work) -> dict[str, Any]:
    steps, durable = ground.steps(work)
    found = {}
    for moment in moments(steps):
        each = ground.walk(Case(server, work.name, "agent killed", moment))
        assert each is not None
        found[moment] = dataclasses.asdict(each)
    return {"steps": steps, "found": found} | ({"durable": durable} if durable else {})


def main() -> None:
    """Walk both servers."""
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="logferry-walk-") as folder:
        Path(folder).chmod(0o755)
        for server in ("archive", "vsftpd"):
            ground = Ground(Path(folder, server), server)
            try:
                works = [work for work in WORKS.values() if server == "archive" or work.name != "bundle"]
                facts[server] = {work.name: _facts(ground, server, work) for work in works}
            finally:
                ground.close()
    RECORDED.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
