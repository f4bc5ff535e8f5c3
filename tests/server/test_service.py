"""The server's unit is what systemd takes, and closes what a server does not need."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from logferry.cli.main import run
from logferry.errors import BadConfig
from logferry.server.service import ServerService, systemd

PLAIN = ServerService(
    program=("/bin/true",), config_path="/etc/logferry/server.toml", data_dir="/var/lib/logferry", user="root",
    ports=(2121, 8443),
)  # fmt: skip
ODD = replace(PLAIN, config_path='/etc/odd "name" 100%/$HOME.toml', data_dir="/srv/log ferry", ports=(21, 443))


@pytest.mark.peers
@pytest.mark.parametrize("service", [PLAIN, ODD, replace(PLAIN, config_path="")])
def test_systemd_takes_the_unit_without_a_word(service: ServerService, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, and `security` finds it closed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "logferry.service"
    unit.write_text(systemd(service))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "logferry" in line]
    assert said == [], done.stderr
    unit.write_text(systemd(replace(service, user="logferry")))
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-400:]


def test_it_may_write_its_archive_and_nothing_else() -> None:
    """Ports below 1024 take one capability; other ports none."""
    plain = systemd(PLAIN).splitlines()
    for line in (
        "Type=notify", "StateDirectory=logferry", "ProtectSystem=strict", "CapabilityBoundingSet=", "ProtectHome=yes",
        "ExecStart=/bin/true serve --config /etc/logferry/server.toml", "RestartPreventExitStatus=2",
    ):  # fmt: skip
        assert line in plain, line
    odd = systemd(ODD).splitlines()
    assert 'ReadWritePaths="/srv/log ferry"' in odd
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in odd
    assert r'ExecStart=/bin/true serve --config "/etc/odd \"name\" 100%%/$$HOME.toml"' in odd
    assert "ProtectHome=no" in systemd(replace(PLAIN, data_dir="/home/ada/logs"))
    with pytest.raises(BadConfig):
        replace(PLAIN, data_dir="/a\nExecStart=/bin/sh")


def test_print_writes_the_unit_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the settings that were found."""
    settings = tmp_path / "server.toml"
    settings.write_text('[archive]\nroot = "/srv/logferry"\n')
    assert run(["service", "install", "--print", "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert f"serve --config {settings}" in out
    assert "ReadWritePaths=/srv/logferry" in out
    assert "User=logferry" in out
