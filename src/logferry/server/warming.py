"""A process that compiles what searches run natively, while nobody waits for it yet."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import structlog

from logferry.limits import WARMING_WORDS_BYTES_MAX
from logferry.names import shown

log = structlog.get_logger("logferry.care")


class Warming:
    """Starts once and ends by itself. What goes wrong is said; the first searches then compile what they need."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has ended

    def start(self) -> None:
        """Begin, as nice as this process is."""
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the folder somebody happens to be in, which may be one of the archive.
                [sys.executable, "-P", "-m", "logferry.search.warming"],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
            )
        except OSError as error:
            self._words.close()
            log.warning("what searches need could not be compiled beforehand", why=error.strerror)

    @property
    def is_over(self) -> bool:
        """Whether it has ended. If it failed, that is said, once."""
        if self._process is None:
            return True
        code = self._process.poll()
        if code is None:
            return False
        self._process = None
        if code:
            end = self._words.seek(0, 2)
            self._words.seek(max(0, end - WARMING_WORDS_BYTES_MAX))
            why = shown(self._words.read().decode("utf-8", "replace").strip())
            log.warning("what searches need could not be compiled beforehand", status=code, why=why)
        self._words.close()
        return True

    def stop(self) -> None:
        """End it if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._words.close()
