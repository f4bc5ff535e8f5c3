"""The container file and the compose file agree with the program they start. Building them takes an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # a dependency of distributed

from logferry.cli.environment import for_server
from logferry.cli.main import COMMANDS
from logferry.server.config import ServerConfig, load_config

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"


def _instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _environment() -> dict[str, str]:
    text = " ".join(rest for word, rest in _instructions() if word == "ENV")
    return dict(pair.split("=", 1) for pair in text.split())


def _config() -> ServerConfig:
    return load_config(None, for_server(_environment()), {})


def test_the_settings_in_the_image_are_settings() -> None:
    """And say what is published: FTP, web over HTTPS, passive ports; the archive in the volume."""
    config = _config()
    exposed = next(rest for word, rest in _instructions() if word == "EXPOSE").split()
    ports = config.ftp.ports
    assert ports is not None
    assert exposed == [str(config.ftp.address[1]), str(config.web.address[1]), f"{ports.start}-{ports.stop - 1}"]
    assert config.web.secure
    assert ("VOLUME", config.archive.root) in _instructions()
    assert _environment()["NUMBA_CACHE_DIR"].startswith(f"{config.archive.root}/")


def test_it_runs_as_nobody_of_importance_and_says_how_it_is() -> None:
    """A number, so that clusters can see that it is not root; commands that there are."""
    instructions = dict(_instructions())
    assert re.fullmatch(r"[1-9][0-9]{4,}:[1-9][0-9]{4,}", instructions["USER"])
    health = json.loads(instructions["HEALTHCHECK"].partition("CMD ")[2])
    start = json.loads(instructions["ENTRYPOINT"]) + json.loads(instructions["CMD"])
    for program, command in (health, start):
        assert program == "logferry"
        assert command in COMMANDS


def test_what_the_image_is_made_of_is_there_and_not_kept_out() -> None:
    """Each file that is copied exists, and the list of what the engine does not get lets it in."""
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines() == ignored
    for word, rest in _instructions():
        if word != "COPY" or rest.startswith("--from"):
            continue
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_compose_file_closes_what_the_server_does_not_need() -> None:
    """Read-only root, no capability, the ports and the volume of the image, settings that are some."""
    [service] = yaml.safe_load(COMPOSE.read_text())["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    exposed = next(rest for word, rest in _instructions() if word == "EXPOSE").split()
    assert [port.partition(":")[2] for port in service["ports"]] == exposed
    assert [volume.partition(":")[2] for volume in service["volumes"]] == [_config().archive.root]
    merged = _environment() | service["environment"]
    assert load_config(None, for_server(merged), {}).ftp.public_address == "192.0.2.10"


@pytest.mark.peers
def test_a_linter_has_nothing_to_say() -> None:
    """hadolint, where it is installed."""
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(["hadolint", CONTAINERFILE], capture_output=True, text=True, check=False)
    assert done.stdout == ""
