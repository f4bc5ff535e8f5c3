"""The agent stays light: few packages, no server code, little memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.agent.conftest import Node, eventually

SERVER_PACKAGES = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "jinja2", "re2", "argon2", "numpy")
RSS_KIB_MAX = 40 * 1024


def _loaded(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after ``statement``, and their top-level packages."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, text=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return modules | {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    "module", ["logferry.agent", "logferry.agent.runner", "logferry.agent.__main__", "logferry.ftp"]
)
def test_agent_and_library_load_nothing_of_the_server(module: str) -> None:
    """Not even click or cryptography are loaded until they are needed."""
    loaded = _loaded(f"import {module}")
    assert loaded.isdisjoint({*SERVER_PACKAGES, "click", "cryptography", "asyncio", "logferry.ftp.server"}), loaded


def test_the_base_install_is_at_most_five_packages() -> None:
    """What the project needs, with what that needs in turn, logferry included."""
    with open(Path(__file__).parents[2] / "pyproject.toml", "rb") as file:
        wanted = list(tomllib.load(file)["project"]["dependencies"])
    found = {"logferry"}
    while wanted:
        name, _, marker = wanted.pop().partition(";")
        name = re.split(r"[\s<>=!~\[(]", name.strip())[0].lower()
        # Extras, and the marks of interpreters and systems this one is not, bring in nothing here.
        if name in found or "extra" in marker or "win32" in marker or "Windows" in marker or "!= 'linux'" in marker:
            continue
        found.add(name)
        wanted += requires(name) or []
    found -= {"typing-extensions"} if sys.version_info >= (3, 11) else set()
    assert len(found) <= 5, found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_idle_agent_fits_in_forty_megabytes(plain_node: Node) -> None:
    """A running agent that has delivered 500 files and waits for more."""
    for number in range(500):
        plain_node.write(f"d{number % 10}/{number}.log", b"x\n" * 50)
    plain_node.config()
    agent = subprocess.Popen(
        [sys.executable, "-m", "logferry.agent", str(plain_node.config_path)], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: len(plain_node.current()) == 500, timeout_s=60)
        status = Path(f"/proc/{agent.pid}/status").read_text()
        rss_kib = int(status.partition("VmRSS:")[2].split()[0])
        print(f"idle agent: {rss_kib} KiB")
        assert rss_kib <= RSS_KIB_MAX
    finally:
        agent.terminate()
        agent.wait(10)
