"""agent.toml is checked whole before it counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.agent.config import AgentConfig, host_and_port, load_config, state_dir_of
from logferry.clock import ManualClock
from logferry.errors import BadConfig, LogferryError

WHOLE = """
limits = { upload_rate = "5 MiB/s" }
[agent]
id = "web-01"
group = "web"
state_dir = "/var/lib/logferry-agent"
scan_interval = "10s"
[server]
address = "logs.example:2121"
tls = "required"
pin = ["sha256/9f2c"]
user = "web-01"
password_file = "/etc/logferry/agent.secret"
heartbeat = "https://logs.example:8443"
[[sources]]
path = "/var/log/nginx"
to = "/var/log/nginx"
include = ["*.log", "*.log.*"]
exclude = ["*.tmp"]
mode = "grow"
settle = "5s"
"""
SMALL = '[agent]\nid = "a"\n[server]\naddress = "h:1"\n'


def load(folder: Path, text: str, **environment: str) -> AgentConfig:
    """Write and read settings."""
    path = folder / "agent.toml"
    path.write_text(text)
    return load_config(path, environment)


def test_all_settings_are_read(tmp_path: Path) -> None:
    """Units become numbers; every key of the documented example counts."""
    config = load(tmp_path, WHOLE)
    assert config.limits.pace(ManualClock()).rate_bytes_s == 5 * 1024 * 1024
    assert config.agent.scan_interval == 10.0
    assert config.sources[0].home == "var/log/nginx"
    assert config.state_dir == Path("/var/lib/logferry-agent")


def test_what_is_left_out_has_a_usual_value_and_paths_count_from_the_file(tmp_path: Path) -> None:
    """Also with an environment variable on top."""
    config = load(tmp_path, SMALL + '[[sources]]\npath = "logs"\n', LOGFERRY_SERVER__TLS="off")
    assert config.sources[0].path == str(tmp_path / "logs")
    assert config.sources[0].home == str(tmp_path / "logs").strip("/")
    assert config.server.password_file == str(tmp_path / "agent.secret")
    assert config.server.tls == "off"
    assert config.user == "a"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SMALL + '[[sources]]\npath = "x"\ninclud = ["*"]\n', "did you mean 'include'?"),
        (SMALL.replace("address", "adress"), "did you mean 'address'?"),
        ('[server]\naddress = "h:1"\n', "[agent] is missing"),
        ('[agent]\nid = "a"\n', "[server] is missing"),
        (SMALL.replace('"a"', '".."'), "not an agent id"),
        (SMALL.replace("h:1", "h:99999"), "not host:port"),
        (SMALL + 'tls = "on"\n', "one of required, explicit, off"),
        (SMALL + '[[sources]]\npath = "x"\ninclude = ["[a"]\n', "never closed"),
        (SMALL + '[[sources]]\npath = "x"\nsettle = "soon"\n', "not a duration"),
        (SMALL + '[[sources]]\npath = "x"\nto = "/a"\n[[sources]]\npath = "y"\nto = "a"\n', "same place"),
        (SMALL + '[[sources]]\npath = "x"\nto = "/a/../b"\n', "not an archive name"),
        (SMALL + "[limits]\nconnections = 0\n", "connections must be between"),
        (SMALL.replace('"a"', '"a"\nmetrics_listen = "9109"'), "127.0.0.1:9109"),
        (SMALL.replace('"a"', '"a"\nmetrics_file = "x.txt"'), "must end in .prom"),
        (SMALL + 'heartbeat = "logs.example:8443"\n', "https://logs.example:8443"),
        (SMALL + 'heartbeat = "http://logs.example"\n', "plain HTTP"),
        (SMALL + '[limits]\nupload_rate = "fast"\n', "upload_rate"),
        (SMALL + '[limits]\nquiet_hours = "at night"\n', "quiet_hours"),
        (SMALL + '[[sources]]\npath = "x"\npriority = 10\n', "priority must be between"),
        (SMALL + 'fallback = ["h:1"]\n', "an address twice"),
        (SMALL + 'fallback = ["h:0"]\n', "not host:port"),
        (SMALL + 'verify = "no"\n', "one of hash, size"),
        ("[agent\n", "agent.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_the_next_step(tmp_path: Path, text: str, says: str) -> None:
    """Whatever is wrong, the message says where and what to do."""
    with pytest.raises(LogferryError, match=r"[\s\S]*") as caught:
        load(tmp_path, text)
    assert says in str(caught.value)


def test_the_state_folder_is_found_in_settings_with_mistakes(tmp_path: Path) -> None:
    """That is when one wants to see the status of the agent that goes on with the old ones."""
    path = tmp_path / "agent.toml"
    path.write_text(SMALL.replace('"a"', '"a"\nstate_dir = "here"') + "mistake = 1\n")
    with pytest.raises(BadConfig, match="mistake"):
        state_dir_of(path)
    (tmp_path / "here").mkdir()
    assert state_dir_of(path) == tmp_path / "here"
    path.write_text("[agent\n")
    (tmp_path / "agent-state").mkdir()
    assert state_dir_of(path) == tmp_path / "agent-state"


def test_a_rate_may_be_a_number_a_text_or_a_timetable(tmp_path: Path) -> None:
    """Also from the environment."""
    for text in ("5000", '"5 KB/s"', '"00:00-24:00 5 KB/s"'):
        config = load(tmp_path, SMALL + f"[limits]\nupload_rate = {text}\n")
        assert config.limits.pace(ManualClock()).rate_bytes_s == 5000
    config = load(tmp_path, SMALL, LOGFERRY_LIMITS__UPLOAD_RATE="7000", LOGFERRY_SERVER__FALLBACK='["b:2", "c:3"]')
    assert config.limits.pace(ManualClock()).rate_bytes_s == 7000
    assert config.server.addresses == ("h:1", "b:2", "c:3")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With how to make one."""
    with pytest.raises(BadConfig, match="agent join"):
        load_config(tmp_path / "none.toml")


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    """Missing and empty files are named."""
    config = load(tmp_path, SMALL)
    with pytest.raises(BadConfig, match=r"agent\.secret"):
        config.password()
    (tmp_path / "agent.secret").write_text("")
    with pytest.raises(BadConfig, match="empty"):
        config.password()
    (tmp_path / "agent.secret").write_text("pass word\r\nsecond line\n")
    assert config.password() == "pass word"
    os.chmod(tmp_path / "agent.secret", 0o600)
    assert not config.readable_by_others()
    os.chmod(tmp_path / "agent.secret", 0o644)
    assert config.readable_by_others()


@pytest.mark.parametrize(
    ("address", "right"),
    [("h:2121", ("h", 2121)), ("h", ("h", 21)), ("[::1]:99", ("::1", 99)), ("::1", ("::1", 21))],
)
def test_addresses_have_a_host_and_a_port(address: str, right: tuple[str, int]) -> None:
    """Also those of IPv6."""
    assert host_and_port(address) == right
