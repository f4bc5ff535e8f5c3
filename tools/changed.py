"""Print the test paths that belong to what changed since the last commit (else in it). Used by `make`."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent


def changed() -> list[str]:
    """Paths changed in the work tree, or by the last commit when the work tree is clean."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    work = git("diff", "--name-only", "HEAD") + git("ls-files", "--others", "--exclude-standard")
    return work or git("show", "--name-only", "--format=", "HEAD")


def tests_of(path: str) -> str | None:
    """The test file that mirrors a source file, else the nearest folder of tests; a test stands for itself."""
    at = PurePosixPath(path)
    if at.suffix != ".py":
        return None
    if at.parts[0] == "tests":
        return path if at.name.startswith("test_") and (ROOT / at).exists() else None
    if at.parts[:2] != ("src", "logferry"):
        return None
    folder = PurePosixPath("tests", *at.parts[2:-1])
    mirror = folder / f"test_{at.stem}.py"
    if (ROOT / mirror).exists():
        return str(mirror)
    while not (ROOT / folder).is_dir():
        folder = folder.parent
    return str(folder) if len(folder.parts) > 1 else None


def main() -> None:
    """One path a line, folders that hold another listed path only once; the ground floor when nothing else fits."""
    found = {test for path in changed() if (test := tests_of(path))}
    outermost = [t for t in found if not any(o != t and t.startswith(o + "/") for o in found)]
    print("\n".join(sorted(outermost)) or "tests/test_names.py")


if __name__ == "__main__":
    main()
