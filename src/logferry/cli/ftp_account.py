"""What a copying FTP command did, for people and as JSON, and the exit code that goes with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from logferry.cli import failures, text
from logferry.errors import BadConfig, LogferryError, Refused
from logferry.ftp import FileResult, Mirrored

FAILURES_TOLD_MAX = 20
"""Failures printed one by one; ``--json`` has all of them."""


@contextmanager
def server_answers() -> Iterator[None]:
    """What is refused inside was refused by the server: exit 3, not 2, which is for wrong use."""
    try:
        yield
    except Refused as error:
        if isinstance(error, BadConfig) or error.exit_code != failures.USAGE:
            raise
        failures.say(error.message, error.hint)
        raise click.exceptions.Exit(failures.REFUSED) from error


@dataclass(slots=True)
class Account:
    """Collects results. ``done`` is the word for a file that was copied: ``put`` or ``got``."""

    done: str
    dry_run: bool = False
    files: int = 0
    bytes: int = 0
    same: int = 0
    digests: int = 0
    folders: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, LogferryError]] = field(default_factory=list)
    _began_s: float = field(default_factory=time.monotonic)

    def add(self, results: Sequence[FileResult], *, name_remote: bool = False) -> None:
        """Count files; those that failed are named by their path here or there."""
        for result in results:
            if result.error is None:
                self.files += 1
                self.bytes += result.size
                self.digests += bool(result.digest)
            else:
                self.failed.append((result.remote if name_remote else result.local, result.error))

    def add_mirror(self, mirrored: Mirrored) -> None:
        """Count what a mirror did; its failures hold those of its files."""
        self.add([file for file in mirrored.files if file.error is None])
        self.same += mirrored.same
        self.folders += mirrored.folders
        self.deleted += mirrored.deleted
        self.skipped += mirrored.skipped
        self.failed += [(path or "/", error) for path, error in mirrored.failed]

    def tell(self, *, as_json: bool) -> int:
        """Print it; return the exit code."""
        seconds = time.monotonic() - self._began_s
        if as_json:
            text.out_json(self._json(seconds))
        else:
            for name, error in self.failed[:FAILURES_TOLD_MAX]:
                failures.say(f"{name}: {error.message}", error.hint)
            if (more := len(self.failed) - FAILURES_TOLD_MAX) > 0:
                text.note(f"and {more:,} more failed; --json names all of them")
            text.note(self._line(seconds))
        return self._code()

    def _code(self) -> int:
        if not self.failed:
            return failures.OK if self.files or self.same or self.deleted or self.folders else failures.NOTHING
        if self.files or self.same:
            return failures.PARTIAL
        code = self.failed[0][1].exit_code
        return failures.REFUSED if code == failures.USAGE else code

    def _line(self, seconds: float) -> str:
        parts = [f"{self.done} {_count(self.files, 'file')}, {text.size(self.bytes)}"]
        if self.dry_run:
            parts[0] = f"would copy {_count(self.files, 'file')}, {text.size(self.bytes)}"
        elif self.bytes and seconds > 0.05:
            parts[0] += f" in {seconds:.1f} s ({text.size(round(self.bytes / seconds))}/s)"
        if self.digests:
            every = "every file" if self.digests == self.files else _count(self.digests, "file")
            parts.append(f"digest of {every} compared")
        if self.same:
            parts.append(f"{self.same:,} the same already")
        if self.deleted:
            parts.append(f"{'would delete' if self.dry_run else 'deleted'} {len(self.deleted):,}")
        if self.skipped:
            parts.append(f"{_count(len(self.skipped), 'link')} and the like skipped")
        if self.failed:
            parts.append(f"{len(self.failed):,} failed")
        return "; ".join(parts)

    def _json(self, seconds: float) -> dict[str, Any]:
        return {
            "files": self.files,
            "bytes": self.bytes,
            "same": self.same,
            "digests_compared": self.digests,
            "folders": self.folders,
            "deleted": self.deleted,
            "skipped": self.skipped,
            "failed": [{"path": name, "error": e.message, "hint": e.hint} for name, e in self.failed],
            "seconds": round(seconds, 3),
        }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
