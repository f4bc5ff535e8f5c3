"""A newcomer's way through the README, timed: from nothing to a line of a log, found in the browser.

Builds a wheel from this checkout, installs it into a new environment in an empty folder, then does what the README says
and what the programs print: `logferry serve`, the set-up link in a browser, the line for a node, a line in a log, a
search. What is typed here is what a person types; times are the programs' own, reading and typing come on top.

    make first                   with downloads, as a newcomer has them (counted apart)
    make first ARGS=--offline    dependencies of this interpreter's environment

Exit 0 when the line was found, 1 when the way is blocked: the last thing tried is told.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
PASSWORD = "a calm harbour at dawn"
WORD = "quaywall4711"
GOAL_S = 120.0
STEP_S_MAX = 180.0
"""How long one step may take before the way counts as blocked."""


class BlockedError(Exception):
    """A newcomer would be stuck here."""


@dataclass
class Watch:
    """What took how long."""

    steps: list[tuple[str, float, bool]] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, name: str, *, counts: bool = True) -> Iterator[None]:
        """Times what happens inside, and prints it."""
        before = time.monotonic()
        try:
            yield
        except BaseException:
            print(f"blocked at: {name}", file=sys.stderr, flush=True)
            raise
        took = time.monotonic() - before
        self.steps.append((name, took, counts))
        print(f"{took:7.1f} s  {'' if counts else '(not counted) '}{name}", flush=True)

    @property
    def counted_s(self) -> float:
        """All steps after download and installation."""
        return sum(took for _, took, counts in self.steps if counts)


class Terminal:
    """A program that somebody has started in a terminal, and what it prints."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, pattern: str) -> str:
        """The first group of ``pattern`` in what it prints from now on. Raises BlockedError."""
        deadline = time.monotonic() + STEP_S_MAX
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise BlockedError(f"never printed {pattern!r}:\n" + "\n".join(self._said))
            self._said.append(line)
            found = re.search(pattern, line)
            if found:
                return found[1]

    def close(self) -> None:
        """Ctrl-C."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def check_readme() -> None:
    """Raises BlockedError unless the README says what is done here."""
    said = (ROOT / "README.md").read_text()
    for line in ("pip install '.[server]'", "logferry serve\n", "logferry agent join ", "Ctrl-K"):
        if line not in said:
            raise BlockedError(f"README.md does not tell a newcomer: {line!r}")


def built(folder: Path, *, offline: bool) -> Path:
    """A wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command + (["--no-build-isolation", "--no-index"] if offline else []), check=True)
    return next(folder.glob("logferry-*.whl"))


def installed(wheel: Path, folder: Path, *, offline: bool) -> dict[str, str]:
    """A new environment with the wheel in it; the variables of a shell that has activated it."""
    venv = folder / "venv"
    if offline:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        python = str(venv / "bin" / "python")
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*command, str(wheel)], check=True)
        site = next(venv.glob("lib/python*/site-packages"))
        # After what is installed there; the path file of an editable install is not followed from here.
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    else:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{wheel}[server]"], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGFERRY_", "PYTHON"))}
    # Free ports, on this machine alone: others may have the usual ones. A disk that is all but full does.
    ours = {
        "LOGFERRY_WEB__LISTEN": "127.0.0.1:0",
        "LOGFERRY_FTP__LISTEN": "127.0.0.1:0",
        "LOGFERRY_ARCHIVE__MIN_FREE": "0",
    }
    return {**kept, **ours, "PATH": f"{venv / 'bin'}:{kept['PATH']}"}


@contextlib.contextmanager
def window() -> Iterator[Page]:
    """A browser with an empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_page()
            page.set_default_timeout(STEP_S_MAX * 1000)
            yield page
        finally:
            browser.close()


def walk(watch: Watch, folder: Path, environment: dict[str, str]) -> None:
    """From an empty folder with the programs installed to the line in the browser. Raises BlockedError."""
    logs = folder / "logs"
    logs.mkdir()
    (logs / "app.log").write_text("2026-11-23 08:14:01 INFO the first line\n")
    logferry = shutil.which("logferry", path=environment["PATH"])
    if logferry is None or not logferry.startswith(str(folder)):
        raise BlockedError("the wheel brought no logferry command")
    with contextlib.ExitStack() as stack:
        with watch.step("`logferry serve` prints the link and the line for a node"):
            server = Terminal([logferry, "serve"], folder, environment)
            stack.callback(server.close)
            link = server.until(r"▸ Make the first admin .*?:  (http\S+)$")
            join = server.until(r"▸ Add an agent .*?:  (logferry agent join .+)$")
        with watch.step("the browser opens (it was not running)"):
            page = stack.enter_context(window())
        with watch.step("the link makes the administrator"):
            page.goto(link)
            page.get_by_label("Password", exact=False).first.fill(PASSWORD)
            page.get_by_label("Password again").fill(PASSWORD)
            page.get_by_role("button", name="Make administrator").click()
            page.get_by_role("link", name="Open the archive").click()
            page.get_by_role("heading", name="Overview").wait_for()
        with watch.step("the printed line joins a node, with a folder of its own"):
            words = join.replace("/var/log", str(logs)).split()
            agent = Terminal([logferry, *words[1:]], folder, environment)
            stack.callback(agent.close)
            agent.until(r"(joined as \S+)")
        with watch.step("a line is written, and found in the browser"):
            with (logs / "app.log").open("a") as file:
                file.write(f"2026-11-23 08:15:02 ERROR {WORD}: the crane stands still\n")
            search(page)
            page.locator("a.hit-line", has_text=WORD).click()
            page.locator(".row.target", has_text=WORD).wait_for()


def search(page: Page) -> None:
    """Ctrl-K, the word, Enter; once more while it has not arrived. Raises BlockedError."""
    deadline = time.monotonic() + STEP_S_MAX
    while time.monotonic() < deadline:
        page.keyboard.press("Control+k")
        page.keyboard.type(WORD)
        page.keyboard.press("Enter")
        page.locator("#results .search-status strong").wait_for()
        page.get_by_role("button", name="Stop").wait_for(state="hidden")
        if page.locator("a.hit-line").count():
            return
        page.goto("/".join(page.url.split("/")[:3]))
    raise BlockedError("the line never arrived")


def main(arguments: list[str] | None = None) -> int:
    """Walk the way once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", action="store_true", help="take dependencies from this environment")
    asked = parser.parse_args(arguments)
    if not CHROMIUM:
        print("there is no Chromium here: apt-get install chromium", file=sys.stderr)
        return 1
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="first-success-") as name:
        folder = Path(name)
        try:
            check_readme()
            with watch.step("a wheel is built", counts=False):
                wheel = built(folder, offline=asked.offline)
            with watch.step("download and installation into a new environment", counts=False):
                environment = installed(wheel, folder, offline=asked.offline)
            walk(watch, folder, environment)
        except BlockedError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{watch.counted_s:7.1f} s  from nothing to a found line, after download (goal: {GOAL_S:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
