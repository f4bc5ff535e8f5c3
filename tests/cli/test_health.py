"""``logferry healthcheck``, ``completion`` and ``support-bundle`` as scripts run them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from logferry.cli.main import run
from tests.conftest import Site


@pytest.mark.slow
def test_a_running_server_is_healthy_and_its_bundle_has_its_log(site: Site, tmp_path: Path) -> None:
    """Both parts answer; the bundle is for its owner alone and never written over another file."""
    healthy = site.logferry("healthcheck", "--json")
    assert (healthy.code, json.loads(healthy.out)) == (0, {"healthy": True, "reason": ""})
    out = tmp_path / "bundle.zip"
    assert site.logferry("support-bundle", str(out)).code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as file:
        assert b"part listens" in file.read("log.ndjson")
        assert b"logferry_web_requests_total" in file.read("metrics.txt")
    assert site.logferry("support-bundle", str(out)).code == 2
    assert any(row["action"] == "support.bundle" for row in map(
        json.loads, site.logferry("audit", "list", "--json").out.splitlines()))  # fmt: skip
    doctor = site.logferry("doctor", "--json")
    told = [json.loads(line)["text"] for line in doctor.out.splitlines()]
    assert [text for text in told if "our server answers" in text][1:], told


def test_a_server_that_does_not_run_is_not_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for an agent."""
    settings = tmp_path / "server.toml"
    settings.write_text(f'[archive]\nroot = "{tmp_path}/data"\n')
    assert run(["healthcheck", "--config", str(settings)]) == 1
    assert "does not run" in capsys.readouterr().out
    agent = tmp_path / "agent.toml"
    agent.write_text('[agent]\nid = "a"\n[server]\naddress = "127.0.0.1:1"\npassword_file = "s"\n')
    assert run(["healthcheck", "--agent", "--config", str(agent)]) == 1
    assert run(["support-bundle", str(tmp_path / "b.zip"), "--config", str(settings)]) == 0
    assert run(["support-bundle", str(tmp_path / "nosuch" / "b.zip"), "--config", str(settings)]) == 2
    assert "hint: look whether the name is right" in capsys.readouterr().err


def test_a_shell_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    """The script is one for that shell, and what it asks is answered."""
    assert run(["completion", "powershell"]) == 2
    assert run(["completion"]) == 2
    assert "\u240a" not in capsys.readouterr().err  # what it may be stands on one line
    for shell in ("bash", "zsh", "fish"):
        assert run(["completion", shell]) == 0
    for words, at, expected in (("logferry imp", "1", "import-seed"), ("logferry admin del", "2", "delivers")):
        done = subprocess.run(
            [sys.executable, "-c", "from logferry.cli.main import main; main()"],
            env={"_LOGFERRY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert expected in done.stdout, done.stderr
