"""``logferry doctor`` as a person runs it, on a server and on a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logferry.cli.main import run
from tests.server.site import Running, Site


def test_the_exit_status_tells_whether_something_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has a row for each line; wrong settings are a finding like any other."""
    settings = tmp_path / "server.toml"
    settings.write_text(f'[archive]\nroot = "{tmp_path}/data"\n[ftp]\nlisten = "127.0.0.1:0"\n[web]\nlisten = ":0"\n')
    assert run(["doctor", "--config", str(settings), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(row) == {"level", "area", "text", "hint"} for row in rows)
    settings.write_text("[ftp]\nlistn = 1\n")
    assert run(["doctor", "--config", str(settings)]) == 3
    out = capsys.readouterr().out
    assert "fail  settings" in out
    assert "did you mean 'listen'?" in out


def test_on_a_node_data_connections_are_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a firewall breaks: signing in works, passive ports do not. A server that is gone fails."""
    site = Site.make(tmp_path / "data")
    with site.catalog:
        joined = site.join("web-01")
        logs = tmp_path / "logs"
        logs.mkdir()
        (logs / "a.log").write_text("a\n")
        secret = tmp_path / "agent.secret"
        secret.write_text(joined.password)
        secret.chmod(0o600)
        config = tmp_path / "agent.toml"
        with Running(site):
            config.write_text(
                f'[agent]\nid = "web-01"\n[server]\naddress = "127.0.0.1:{site.address[1]}"\ntls = "off"\n'
                f'password_file = "agent.secret"\n[[sources]]\npath = "{logs}"\n'
            )
            assert run(["doctor", "--config", str(config)]) == 0
            assert "data connections get through" in capsys.readouterr().out
        assert run(["doctor", "--agent", "--config", str(config)]) == 3
        assert "fail  agent" in capsys.readouterr().out


def test_without_settings_everything_that_is_here_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server without settings has its archive here, an agent its ``agent.toml``: one, the other, or both."""

    def areas() -> set[str]:
        run(["doctor", "--json"])
        return {json.loads(line)["area"] for line in capsys.readouterr().out.splitlines()}

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOGFERRY_CONFIG", raising=False)
    assert "catalog" in areas()
    (tmp_path / "agent.toml").write_text('[agent]\nid = "a"\n[server]\naddress = "127.0.0.1:1"\npassword_file = "s"\n')
    assert "agent" in (of_agent := areas())
    assert "catalog" not in of_agent
    (tmp_path / "logferry-data").mkdir()
    assert {"catalog", "agent"} <= areas()
