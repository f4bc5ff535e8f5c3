"""Write requirements/*.lock from pyproject.toml: exact versions with hashes, no index named. Run by `make lock`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--resolver=backtracking",
    "--quiet",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--no-emit-options",
]


def group(groups: dict[str, list[Any]], name: str) -> list[str]:
    """The requirements of one dependency group, included groups opened up."""
    found: list[str] = []
    for item in groups[name]:
        found += [item] if isinstance(item, str) else group(groups, item["include-group"])
    return found


def wanted() -> dict[str, list[str]]:
    """What each lock file holds: ``dev`` all that `make` needs, the build backend included; ``bench`` some peers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base: list[str] = project["project"]["dependencies"]
    server: list[str] = base + project["project"]["optional-dependencies"]["server"]
    groups = project["dependency-groups"]
    return {
        "base": base,
        "server": server,
        "dev": server + group(groups, "dev"),
        "bench": group(groups, "bench"),
    }


def compile_lock(name: str, requirements: list[str], agree_with: list[str], upgrade: bool) -> list[str]:
    """Resolve one list into requirements/<name>.lock and return its ``name==version`` lines.

    Versions locked before are kept unless ``upgrade``; those of ``agree_with`` always.
    """
    target = ROOT / "requirements" / f"{name}.lock"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"{name}.in")
        Path(folder, "agreed.txt").write_text("\n".join(agree_with) + "\n")
        source.write_text("\n".join(["-c agreed.txt", *requirements]) + "\n")
        command = [sys.executable, "-m", "piptools", "compile", *FLAGS, "--no-annotate", "-o", str(target), source.name]
        environment = os.environ | {"CUSTOM_COMPILE_COMMAND": "make lock"}
        subprocess.run(command + ["--upgrade"] * upgrade, check=True, cwd=folder, env=environment)
    text = target.read_text()
    if "://" in text:
        raise SystemExit(f"{target.name} names an address; locks must work with any index")
    pins = re.findall(r"^[^\s#=]+==[^\s\\]+", text, re.MULTILINE)
    print(f"{target.relative_to(ROOT)}: {len(pins)} packages")
    return pins


def main() -> None:
    """Lock all, the largest first, so that the smaller ones agree with it, and so does what is installed beside it."""
    (ROOT / "requirements").mkdir(exist_ok=True)
    upgrade = "--upgrade" in sys.argv[1:]
    lists = wanted()
    dev = compile_lock("dev", lists["dev"], [], upgrade)
    compile_lock("bench", lists["bench"], dev, upgrade)
    server = compile_lock("server", lists["server"], dev, upgrade)
    compile_lock("base", lists["base"], server, upgrade)


if __name__ == "__main__":
    main()
