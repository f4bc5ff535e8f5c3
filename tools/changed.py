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


def tests_of(path: str) -> list[str]:
    """The tests of one changed file: its mirror, else those of its room that import it; a test stands for itself."""
    at = PurePosixPath(path)
    if at.suffix != ".py":
        return []
    if at.parts[0] == "tests":
        return [path] if at.name.startswith("test_") and (ROOT / at).exists() else []
    if at.parts[:2] != ("src", "logferry"):
        return []
    mirror = PurePosixPath("tests", *at.parts[2:-1], f"test_{at.stem}.py")
    if (ROOT / mirror).exists():
        return [str(mirror)]
    module = ".".join(at.with_suffix("").parts[1:])
    room = ROOT / "tests" / (at.parts[2] if len(at.parts) > 3 else "")
    return [str(t.relative_to(ROOT)) for t in sorted(room.rglob("test_*.py")) if module in t.read_text()]


def main() -> None:
    """One path a line; the ground floor when nothing changed that has tests."""
    found = {test for path in changed() for test in tests_of(path)}
    print("\n".join(sorted(found)) or "tests/test_names.py")


if __name__ == "__main__":
    main()
