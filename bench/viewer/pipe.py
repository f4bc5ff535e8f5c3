"""A headless Chromium steered over its own pipe: nothing is switched on in it but what a step needs.

Playwright has Chromium keep every answer of the server, up to 100 MB, to be asked for it: in the memory of the page
that is to be measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.browser.harness import ARGUMENTS, CHROMIUM, DESKTOP

_END = b"\0"
_BECOME = """
import fcntl, os, sys
theirs, back = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(theirs, 3)
os.dup2(back, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from descriptor 3 and writes to 4."""
_BLOCK_BYTES = 1 << 20
_ENDED_S = 20.0


class Pipe:
    """Commands and answers of the DevTools protocol, one after the other."""

    def __init__(self, to: int, back: int) -> None:
        """File descriptors to write to and to read from."""
        self._to, self._back = to, back
        self._held = b""
        self._number = 0
        self.session = ""
        """That of the page, as soon as there is one."""

    def send(self, method: str, **what: Any) -> dict[str, Any]:
        """Do it, and wait for the answer; events are let pass. RuntimeError when Chromium says no or has ended."""
        self._number += 1
        told: dict[str, Any] = {"id": self._number, "method": method, "params": what}
        if self.session:
            told["sessionId"] = self.session
        left = memoryview(json.dumps(told).encode() + _END)
        while left:
            left = left[os.write(self._to, left) :]
        while (answer := self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def _next(self) -> dict[str, Any]:
        while _END not in self._held:
            block = os.read(self._back, _BLOCK_BYTES)
            if not block:
                raise RuntimeError("Chromium has ended")
            self._held += block
        message, _, self._held = self._held.partition(_END)
        told: dict[str, Any] = json.loads(message)
        return told


class PlainPage:
    """One page."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._mouse = (0.0, 0.0)

    def open(self, address: str, script: str, cookie: dict[str, str]) -> None:
        """``script`` runs there before those of the page."""
        target = self._pipe.send("Target.createTarget", url="about:blank")
        attached = self._pipe.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._pipe.session = attached["sessionId"]
        width, height = DESKTOP
        self._pipe.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self._pipe.send("Network.setCookie", **cookie)
        self._pipe.send("Page.enable")
        self._pipe.send("Page.addScriptToEvaluateOnNewDocument", source=script)
        self._pipe.send("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """Its value, or that of its promise. RuntimeError when it throws."""
        told = self._pipe.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def move(self, x: float, y: float) -> None:
        """The mouse, to there."""
        self._mouse = (x, y)
        self._mouse_event("mouseMoved")

    def press(self) -> None:
        """The mouse's left button, and let it go."""
        self._mouse_event("mousePressed", button="left", clickCount=1)
        self._mouse_event("mouseReleased", button="left", clickCount=1)

    def wheel(self, down: float) -> None:
        """So many pixels."""
        self._mouse_event("mouseWheel", deltaX=0, deltaY=down)

    def _mouse_event(self, kind: str, **more: Any) -> None:
        x, y = self._mouse
        self._pipe.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, name: str, text: str, code: int) -> None:
        """Press it and let it go; ``code`` is what Windows calls it."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if kind == "keyDown" else {}
            self._pipe.send("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **more)

    def write(self, text: str) -> None:
        """Into what has the focus."""
        self._pipe.send("Input.insertText", text=text)

    def collect(self) -> dict[str, float]:
        """Collect garbage; what Chromium counts of the page then."""
        self._pipe.send("HeapProfiler.enable")
        self._pipe.send("HeapProfiler.collectGarbage")
        self._pipe.send("HeapProfiler.disable")
        self._pipe.send("Performance.enable")
        metrics = self._pipe.send("Performance.getMetrics")["metrics"]
        return {one["name"]: float(one["value"]) for one in metrics}

    def renderers(self) -> list[int]:
        """Ids of the processes that pages live in."""
        session, self._pipe.session = self._pipe.session, ""
        try:
            found = self._pipe.send("SystemInfo.getProcessInfo")["processInfo"]
        finally:
            self._pipe.session = session
        return [int(one["id"]) for one in found if one["type"] == "renderer"]


@contextmanager
def plain_page() -> Iterator[PlainPage]:
    """A page in a Chromium of its own, with a fresh profile."""
    theirs, to = os.pipe()
    back, their_answers = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*ARGUMENTS, "--headless", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, str(theirs), str(their_answers), CHROMIUM, *flags],
            pass_fds=(theirs, their_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(their_answers)
        pipe = Pipe(to, back)
        try:
            yield PlainPage(pipe)
        finally:
            with suppress(RuntimeError, OSError):
                pipe.session = ""
                pipe.send("Browser.close")
            try:
                process.wait(_ENDED_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(to)
            os.close(back)
