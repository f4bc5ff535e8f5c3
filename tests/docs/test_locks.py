"""The locked versions: all of pyproject.toml, hashes everywhere, no index named, one version of each."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {name: (ROOT / "requirements" / f"{name}.lock").read_text() for name in ("base", "server", "dev", "bench")}


def pins(name: str) -> dict[str, str]:
    """Package -> version of one lock."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", LOCKS[name], re.MULTILINE))


def plain(requirement: str) -> str:
    """The name of a requirement, as locks write it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes_and_no_address(name: str) -> None:
    """What is installed is what was locked, from whichever index."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", LOCKS[name].split("\n#\n")[-1]):
        if "==" in block:
            assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in LOCKS[name]


def test_every_requirement_is_locked() -> None:
    """A dependency that was added to pyproject.toml was locked as well (`make lock`)."""
    # A requirement of another system has its marker behind a semicolon, and is not locked on this one.
    base = [plain(r) for r in PROJECT["project"]["dependencies"] if "sys_platform != 'linux'" not in r]
    server = base + [plain(r) for r in PROJECT["project"]["optional-dependencies"]["server"]]
    of_groups = PROJECT["dependency-groups"]
    groups = [r for name, g in of_groups.items() if name != "bench" for r in g if isinstance(r, str)]
    assert set(base) <= set(pins("base"))
    assert set(server) <= set(pins("server"))
    assert {*server, *map(plain, groups)} <= set(pins("dev"))
    assert {plain(r) for r in of_groups["bench"]} <= set(pins("bench"))


def test_the_locks_agree() -> None:
    """A smaller lock has the versions of the larger one."""
    assert pins("base").items() <= pins("server").items() <= pins("dev").items()


def test_what_is_installed_beside_the_rest_agrees_with_it() -> None:
    """Peers of the benchmarks bring no other version of a package that is there already."""
    dev = pins("dev")
    assert all(dev.get(name, version) == version for name, version in pins("bench").items())


def test_the_base_install_is_small() -> None:
    """At most five packages on a node, our own included."""
    assert len(pins("base")) + 1 <= 5
