"""A process that compiles what searches run natively, while nobody waits for it yet."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import structlog

from logferry.errors import LogferryError
from logferry.limits import WARMING_WORDS_BYTES_MAX
from logferry.names import shown
from logferry.server.runfiles import read_json, run_path, write_json

log = structlog.get_logger("logferry.care")


def is_compiled(data_dir: str, identity: str) -> bool:
    """Whether what searches of this ``identity`` run natively was compiled, and only has to be loaded."""
    return (read_json(_told(data_dir)) or {}).get("identity") == identity


def _told(data_dir: str) -> str:
    return run_path(data_dir, "compiled.json")


class Warming:
    """Starts once and ends by itself, at the latest when this process does, however that comes about.

    What goes wrong is said; the first searches then compile what they need.
    """

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has ended

    def start(self) -> None:
        """Begin, as nice as this process is."""
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the folder somebody happens to be in, which may be one of the archive.
                [sys.executable, "-P", "-m", "logferry.search.warming", "--held"],
                stdin=subprocess.PIPE,
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
        self._let_go()
        end = self._words.seek(0, 2)
        self._words.seek(max(0, end - WARMING_WORDS_BYTES_MAX))
        words = self._words.read().decode("utf-8", "replace").strip()
        self._words.close()
        if code:
            log.warning("what searches need could not be compiled beforehand", status=code, why=shown(words))
        else:
            self._tell(words.rpartition("\n")[2])
        return True

    def _tell(self, identity: str) -> None:
        try:
            write_json(_told(self._data_dir), {"identity": identity})
        except LogferryError as error:  # first searches then load what they need
            log.warning("that all is compiled could not be told", why=str(error))

    def stop(self) -> None:
        """End it if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._let_go()
            self._words.close()

    def _let_go(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None
