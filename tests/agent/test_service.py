"""Service files are what systemd, launchd and WinSW take."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from logferry.agent.service import Service, launchd, systemd, winsw
from logferry.errors import BadConfig

PLAIN = Service(
    program=("/bin/true",), config_path="/etc/logferry/agent.toml", state_dir="/var/lib/logferry-agent", user="root"
)
ODD = replace(
    PLAIN,
    program=("/bin/echo", "-m", "logferry.cli"),
    config_path='/etc/odd "name" 100%/$HOME/a\\b.toml',
    state_dir="/srv/state dir",
    writes=("/var/lib/prometheus/node-exporter",),
    reads=("/tmp/logs",),
)


@pytest.mark.peers
@pytest.mark.parametrize("service", [PLAIN, ODD, replace(PLAIN, read_all=True, groups=("adm",))])
def test_systemd_takes_the_unit_without_a_word(service: Service, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "logferry-agent.service"
    unit.write_text(systemd(service))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "logferry-agent" in line]
    assert said == [], done.stderr


def test_the_unit_is_closed_except_for_what_the_agent_does() -> None:
    """It may read; it may write its registry; it may become nobody else."""
    plain = systemd(PLAIN)
    for line in (
        "Type=notify",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "StateDirectory=logferry-agent",
        "PrivateTmp=yes",
        "ExecStart=/bin/true agent run --config /etc/logferry/agent.toml",
        "ExecReload=/bin/true agent reload --config /etc/logferry/agent.toml",
    ):
        assert line in plain.splitlines(), line
    assert "ReadWritePaths" not in plain
    assert "CapabilityBoundingSet=CAP_DAC_READ_SEARCH" in systemd(replace(PLAIN, read_all=True)).splitlines()


def test_odd_paths_are_quoted_and_logs_below_tmp_stay_visible() -> None:
    """As systemd.syntax(7) and systemd.service(5) want it."""
    lines = systemd(ODD).splitlines()
    assert r'ExecStart=/bin/echo -m logferry.cli agent run --config "/etc/odd \"name\" 100%%/$$HOME/a\\b.toml"' in lines
    assert 'ReadWritePaths="/srv/state dir" /var/lib/prometheus/node-exporter' in lines
    assert "PrivateTmp=no" in lines


def test_launchd_reads_its_property_list() -> None:
    """With the parser of the standard library."""
    values = plistlib.loads(launchd(replace(ODD, config_path="/a & <b>")).encode())
    assert values["ProgramArguments"] == [*ODD.program, "agent", "run", "--config", "/a & <b>"]
    assert values["KeepAlive"] is True


def test_winsw_reads_its_settings() -> None:
    """Windows' rules for quotes and backslashes in a command line."""
    service = replace(PLAIN, program=("C:\\Program Files\\x.exe",), config_path="C:\\a dir\\", state_dir="C:\\s")
    root = Xml.fromstring(winsw(service))
    assert root.findtext("executable") == "C:\\Program Files\\x.exe"
    assert root.findtext("arguments") == 'agent run --config "C:\\a dir\\\\"'
    assert re.fullmatch(r"\d+ sec", root.findtext("stoptimeout") or "")


def test_a_path_that_no_line_can_hold_is_refused() -> None:
    """It would become settings of its own."""
    with pytest.raises(BadConfig, match="service file"):
        replace(PLAIN, config_path="/a\nUser=root")
