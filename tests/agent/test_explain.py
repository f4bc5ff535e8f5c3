"""Why is this file shipped, or not? Each answer of ``explain``, against what the agent really does."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from logferry.agent.config import AgentConfig, load_config
from logferry.agent.explain import Explanation, explain
from logferry.agent.runner import Agent
from logferry.agent.watch import NoWatcher
from logferry.cli.agent_explain import lines as in_words
from tests.agent.conftest import Node, RunningAgent, eventually


def configured(node: Node, sources: str) -> AgentConfig:
    """Settings with these sources."""
    node.config()
    text = node.config_path.read_text()
    node.config_path.write_text(text[: text.index("[[sources]]")] + sources)
    return load_config(node.config_path)


def about(node: Node, path: str | bytes, config: AgentConfig | None = None) -> Explanation:
    where = node.path(path) if not os.path.isabs(path) else path
    return explain(config or load_config(node.config_path), os.fsdecode(where), config_path=str(node.config_path))


def test_before_the_first_run_a_wanted_file_is_pending(plain_node: Node) -> None:
    """Nothing is recorded, nothing runs; where it will go is known."""
    plain_node.write("app.log", b"12345\n")
    plain_node.config()
    found = about(plain_node, "app.log")
    assert (found.answer, found.pending, found.confirmed) == ("pending", 6, None)
    assert (found.archive, found.pattern, found.generation) == ("web-01:/logs/app.log", "*", "new")
    assert not found.running
    assert "the agent has not run yet" in "\n".join(in_words(found))


def test_what_is_confirmed_is_shipped_and_what_grew_is_pending(plain_node: Node) -> None:
    """With the offset of the registry, after the agent has ended; looking changes nothing in the state folder."""
    plain_node.write("app.log", b"12345\n")
    assert plain_node.once().complete
    state = plain_node.base / "agent-state"
    before = {p.name: p.stat().st_mtime_ns for p in state.iterdir()}
    found = about(plain_node, "app.log")
    assert (found.answer, found.size, found.confirmed, found.pending) == ("shipped", 6, 6, 0)
    plain_node.write("app.log", b"more\n")
    found = about(plain_node, "app.log")
    assert (found.answer, found.size, found.confirmed, found.pending) == ("pending", 11, 6, 5)
    assert {p.name: p.stat().st_mtime_ns for p in state.iterdir()} == before
    os.truncate(plain_node.path("app.log"), 2)
    assert "a new generation begins" in " ".join(about(plain_node, "app.log").notes)


def test_beside_a_running_agent_it_reads_the_same(plain_node: Node) -> None:
    """The registry is open and written to meanwhile."""
    plain_node.write("app.log", b"1\n")
    with RunningAgent(plain_node):
        eventually(lambda: about(plain_node, "app.log").answer == "shipped", timeout_s=60)
        eventually(lambda: about(plain_node, "app.log").link == "connected", timeout_s=60)
        found = about(plain_node, "app.log")
        assert found.running


@pytest.mark.parametrize(
    ("path", "why", "pattern"),
    [
        ("x.tmp", "it is excluded", "*.tmp"),
        ("cache/deep/x.log", "its folder cache is excluded", "cache"),
        ("x.txt", "no include pattern matches: *.log, nginx/**", ""),
        ("none.log", "there is no such file", "*.log"),
        ("folder.log", "it is a folder", "*.log"),
        ("socket.log", "neither a file nor a folder", "*.log"),
        ("dangling.log", "which is no file", "*.log"),
        ("outside.log", "lies in no source", "*.log"),
        ("double.log", "which is sent under its own name", "*.log"),
        ("/etc/hostname", "it lies in no source", ""),
        ("", "it is the source's folder itself", ""),
    ],
)
def test_a_file_that_is_not_shipped_is_told_why(plain_node: Node, path: str, why: str, pattern: str) -> None:
    """And the agent, asked by running it, ships none of them."""
    node = plain_node
    sources = (
        f'[[sources]]\npath = "{node.logs}"\nto = "/logs"\n'
        'include = ["*.log", "nginx/**"]\nexclude = ["*.tmp", "cache"]\n'
    )
    config = configured(node, sources)
    for name in ("x.tmp", "cache/deep/x.log", "x.txt", "real.log"):
        node.write(name, b"1\n")
    (node.logs / "folder.log").mkdir()
    (node.base / "elsewhere").write_bytes(b"1\n")
    os.symlink(node.logs / "nowhere", node.logs / "dangling.log")
    os.symlink(node.base / "elsewhere", node.logs / "outside.log")
    os.symlink(node.logs / "real.log", node.logs / "double.log")
    with socket.socket(socket.AF_UNIX) as special:
        place = os.getcwd()
        os.chdir(node.logs)  # a socket's path may have a hundred characters only
        try:
            special.bind("socket.log")
        finally:
            os.chdir(place)
        found = about(node, path, config)
        assert found.answer == "not shipped"
        assert why in found.why
        assert found.pattern == pattern
        Agent(config).once()
        assert list(node.current()) == ["real.log"]
    assert about(node, "real.log", config).answer == "shipped"


def test_the_agents_own_files_are_never_shipped(tmp_path: Path, plain_node: Node) -> None:
    """Password, settings and registry, even in the middle of a source."""
    config = configured(plain_node, f'[[sources]]\npath = "{plain_node.base}"\nto = "/all"\n')
    for name in ("agent.secret", "agent.toml", "agent-state/registry.db"):
        found = about(plain_node, str(plain_node.base / name), config)
        assert (found.answer, found.why) == ("not shipped", "it is one of the agent's own files")


def test_a_renamed_file_is_followed_out_of_the_patterns(plain_node: Node) -> None:
    """It had a wanted name once."""
    config = configured(plain_node, f'[[sources]]\npath = "{plain_node.logs}"\nto = "/logs"\ninclude = ["*.log"]\n')
    plain_node.write("app.log", b"1\n")
    Agent(config).once()
    os.rename(plain_node.path("app.log"), plain_node.path("app.log.1"))
    Agent(config).once()
    found = about(plain_node, "app.log.1", config)
    assert (found.answer, found.archive) == ("shipped", "web-01:/logs/app.log.1")
    assert "it had a wanted name before it was renamed" in found.why


def test_a_deleted_file_is_kept(plain_node: Node) -> None:
    """The archive has it."""
    plain_node.write("app.log", b"1\n")
    assert plain_node.once().complete
    os.unlink(plain_node.path("app.log"))
    assert about(plain_node, "app.log").answer == "kept"


def test_mode_complete_says_how_long_it_waits(plain_node: Node) -> None:
    """A file that was written just now is left alone for a while."""
    sources = f'[[sources]]\npath = "{plain_node.logs}"\nto = "/logs"\nmode = "complete"\nsettle = "1h"\n'
    config = configured(plain_node, sources)
    plain_node.write("app.log", b"1\n")
    found = about(plain_node, "app.log", config)
    assert found.answer == "pending"
    assert "left alone for 3600 s" in found.notes[-1]


def test_the_first_source_that_wants_it_has_it(plain_node: Node) -> None:
    """Two sources hold the same folder."""
    inner = plain_node.logs / "in"
    sources = (
        f'[[sources]]\npath = "{plain_node.logs}"\nto = "/outer"\ninclude = ["*.txt"]\n'
        f'[[sources]]\npath = "{inner}"\nto = "/inner"\ninclude = ["*.log"]\n'
    )
    config = configured(plain_node, sources)
    plain_node.write("in/a.log", b"1\n")
    plain_node.write("in/a.txt", b"1\n")
    assert about(plain_node, "in/a.log", config).archive == "web-01:/inner/a.log"
    assert about(plain_node, "in/a.txt", config).archive == "web-01:/outer/in/a.txt"


def test_the_last_error_and_the_next_try_are_told(plain_node: Node) -> None:
    """From the running agent's status: a folder stands where the file belongs on the server."""
    plain_node.write("app.log", b"1\n")
    config = plain_node.config()
    (plain_node.server.home / "logs" / "app.log").mkdir(parents=True)  # type: ignore[attr-defined]
    agent = Agent(config, watcher=lambda _: NoWatcher())
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        eventually(lambda: about(plain_node, "app.log").failures > 0, timeout_s=60)
        found = about(plain_node, "app.log")
        assert found.error
        assert found.retry_s is not None
        assert any("next try" in line for line in in_words(found))
    finally:
        agent.stop()
        thread.join(60)


def test_a_damaged_registry_is_a_note(plain_node: Node) -> None:
    """The rest is told all the same."""
    plain_node.write("app.log", b"1\n")
    plain_node.config()
    (plain_node.base / "agent-state").mkdir()
    (plain_node.base / "agent-state" / "registry.db").write_bytes(b"nonsense" * 1000)
    found = about(plain_node, "app.log")
    assert found.answer == "pending"
    assert "registry" in found.notes[0]


def test_hostile_names_are_shown_and_found(plain_node: Node) -> None:
    """Bytes that are no text, control characters: in the terminal they are marks."""
    plain_node.write(b"a\xff\x1b[2J\n.log", b"1\n")
    assert plain_node.once().complete
    found = about(plain_node, b"a\xff\x1b[2J\n.log")
    assert found.answer == "shipped"
    told = "\n".join(in_words(found))
    assert "\x1b[2J" not in told
    assert all(ord(c) >= 32 for line in in_words(found) for c in line)


def test_what_an_nfs_client_keeps_of_a_deleted_file_is_not_shipped(plain_node: Node) -> None:
    """The patterns match its name, the agent leaves it alone all the same, and says why."""
    name = ".nfs" + "0123456789abcdef01234567"
    plain_node.write(name, b"x")
    told = about(plain_node, name, plain_node.config())
    assert (told.answer, told.why.startswith("it was deleted")) == ("not shipped", True)
    plain_node.once()
    assert plain_node.current() == {}
