"""An older agent's settings as ``agent.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.patterns import Patterns
from logferry.agent.taking_over import take_over
from logferry.errors import BadConfig, BadName, Conflict
from logferry.seed.agent import agent_decisions, is_config_name, old_agent, pattern_of
from logferry.seed.settings_text import settings_of
from tests.seed.older import AGENT_CONFIG


def _settings(**changed: str) -> bytes:
    values = {"id": "plc-01", "port": "8081", "user": "agent", "password": "old but long"} | changed
    return AGENT_CONFIG.format(**values).encode()


def test_the_new_settings_say_what_the_old_ones_said(tmp_path: Path) -> None:
    """Address, user, password, folder, interval; the secret is for its owner alone, and nothing is written over."""
    old = old_agent(settings_of(_settings()), "AgentConfig.txt")
    secret = take_over(old, str(tmp_path / "AgentLogs"), tmp_path / "agent.toml")
    config = load_config(tmp_path / "agent.toml")
    assert (config.agent.id, config.agent.scan_interval) == ("plc-01", 10)
    assert (config.server.address, config.server.tls, config.user) == ("127.0.0.1:8081", "off", "agent")
    assert config.password() == "old but long"
    assert secret.stat().st_mode & 0o777 == 0o600
    [source] = config.sources
    assert (source.path, source.home) == (str(tmp_path / "AgentLogs"), "plc-01")
    with pytest.raises(Conflict):
        take_over(old, "/elsewhere", tmp_path / "agent.toml")
    assert load_config(tmp_path / "agent.toml") == config


def test_values_that_mean_something_in_toml_stay_what_they_are(tmp_path: Path) -> None:
    """Quotes, backslashes, a Windows folder, an IPv6 address; a placeholder is no password."""
    raw = _settings(password="***", user='a"b\\c').replace(b"AgentLogs", b"D:\\logs\\x").replace(b"127.0.0.1", b"::1")
    old = old_agent(settings_of(raw), "AgentConfig.txt")
    assert old.has_windows_path
    take_over(old, old.log_dir, tmp_path / "agent.toml")
    text = (tmp_path / "agent.toml").read_text()
    assert 'user = "a\\"b\\\\c"' in text
    assert 'address = "[::1]:8081"' in text
    with pytest.raises(BadConfig, match="is empty"):
        load_config(tmp_path / "agent.toml").password()
    told = " ".join(f"{d.kind} {d.text}" for d in agent_decisions(old, "a", "b", is_there=False))
    assert "warn USER_PWD is only a placeholder" in told
    assert "path of Windows" in told


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (_settings(id=".."), BadName),
        (_settings(id=""), BadConfig),
        (_settings(port="0"), BadConfig),
        (_settings(port="x"), BadConfig),
        (b"", BadConfig),
    ],
)
def test_settings_that_never_worked_are_refused(raw: bytes, error: type[Exception]) -> None:
    """Ids that lead out of the archive above all."""
    with pytest.raises(error):
        old_agent(settings_of(raw), "AgentConfig.txt")


@pytest.mark.parametrize(
    ("suffix", "matches", "not_"),
    [
        (".txt", (b"a.txt", b"A.TXT", b".txt"), (b"a.txt.gz", b"atxt")),
        ("", (b"a", b"b.log"), ()),
        ("[1]*", (b"x[1]*",), (b"x1y",)),
        (".L\u00e4g", (".l\u00e4g".encode(),), (b".lag",)),
    ],
)
def test_a_suffix_is_a_pattern_in_any_case(suffix: str, matches: tuple[bytes, ...], not_: tuple[bytes, ...]) -> None:
    """``.TXT`` was never sent before; signs that mean something in patterns are themselves."""
    patterns = Patterns.of([pattern_of(suffix)])
    assert all(patterns.match(name, name) for name in matches)
    assert not any(patterns.match(name, name) for name in not_)


def test_an_agents_settings_are_known_by_their_name() -> None:
    """Whatever follows the word, in any case; nothing else."""
    assert all(map(is_config_name, ("AgentConfig.txt", "agentconfig.TXT", "AgentConfig_plc1.txt")))
    assert not any(
        map(is_config_name, ("AgentConfig.log", "MyAgentConfig.txt", "AgentConfig.txt.gz", "a/AgentConfig.txt"))
    )
