"""Building indexes: what takes the frames of a segment and gives its index back, in this process or in one of its own.

The compiled kernels need memory that a process would keep for ever, and no kernel shall take the whole process with
it, whatever bytes it gets: so the server builds in a child process that ends when it has nothing to do.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Protocol

from logferry.archive.index.granules import Stretch
from logferry.clock import SYSTEM, Clock
from logferry.errors import Later
from logferry.limits import INDEX_S_MAX, INDEX_STEP_S_MAX, INDEX_WORDS_CHARS_MAX, INDEX_WORKER_IDLE_S
from logferry.names import shown

HEAD = struct.Struct("<cQ")
"""Every message between the two processes: what it is, and how many bytes follow."""
BEGIN, STRETCHES, FRAME, FINISH, INDEX = b"B", b"S", b"F", b"E", b"I"
_TOLD_BYTES = 4096
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""The kernels use one. numpy would start one for each core, and set memory aside for each, which counts as taken."""
_END_S = 10.0
_LOOK_S = 0.25
"""How exactly it is known that an exchange takes too long."""


class Making(Protocol):
    """The index of one segment under way."""

    def add(self, content: bytes, stretches: Sequence[Stretch], /) -> None:
        """Take the content of the next frame, which consists of ``stretches``. Raises Later when it cannot."""
        ...

    def finish(self) -> bytes:
        """The index. Raises Later when there is none."""
        ...


class IndexMaker(Protocol):
    """Builds one index at a time."""

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int]) -> Making:
        """Begin the index of a segment; whatever was under way is dropped.

        Args:
            segment_id: 16 bytes.
            arrivals: when each of its generations arrived, nanoseconds since 1970, by uid.

        Raises:
            Later: it cannot be begun.
        """
        ...

    def rest(self) -> None:
        """There is nothing to do just now."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class MakerHere:
    """Builds in this process, which loads the kernels for it and keeps them."""

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int]) -> Making:
        """See ``IndexMaker.begin``."""
        from logferry.archive.index.builder import IndexBuilder
        from logferry.archive.stamping import FileStamps
        from logferry.archive.timestamps import Reading

        return IndexBuilder(segment_id, stamps=FileStamps(lambda uid: Reading(arrivals[uid])))

    def rest(self) -> None:
        """See ``IndexMaker.rest``."""

    def close(self) -> None:
        """See ``IndexMaker.close``."""


class MakerApart:
    """Builds in a process of its own, started when it is needed. Not thread-safe."""

    def __init__(
        self,
        *,
        idle_s: float = INDEX_WORKER_IDLE_S,
        step_s: float = INDEX_STEP_S_MAX,
        index_s: float = INDEX_S_MAX,
        clock: Clock = SYSTEM,
    ) -> None:
        """For the process.

        Args:
            idle_s: after so long without work ``rest`` ends it.
            step_s: for one frame, at most.
            index_s: for one index, at most, the time that it waits for frames left out.
        """
        self._idle_s = idle_s
        self._step_s = step_s
        self._index_s = index_s
        self._clock = clock
        self._child: _Child | None = None
        self._used_s = 0.0

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.pid if self._child else None

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int]) -> Making:
        """See ``IndexMaker.begin``."""
        self._used_s = self._clock.monotonic_s()
        if self._child is not None and not (self._child.is_well and self._child.is_running):
            self.close()
        if self._child is None:
            self._child = _Child(self._step_s, self._index_s, self._clock)
        self._child.begin(segment_id, arrivals)
        return self._child

    def rest(self) -> None:
        """See ``IndexMaker.rest``."""
        if self._child is not None and self._clock.monotonic_s() - self._used_s >= self._idle_s:
            self.close()

    def close(self) -> None:
        """See ``IndexMaker.close``."""
        child, self._child = self._child, None
        if child is not None:
            child.end()


class _Child:
    """The process, and the index that it is making."""

    def __init__(self, step_s: float, index_s: float, clock: Clock) -> None:
        self._step_s = step_s
        self._index_s = index_s
        self._left_s = index_s
        self._clock = clock
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the folder somebody happens to be in, which may be one of the archive.
                [sys.executable, "-P", "-m", "logferry.archive.index_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._told,
                env={**os.environ, **_ONE_THREAD},
            )
        except OSError as error:
            self._told.close()
            raise Later(f"no process could be started to build an index: {error.strerror}") from error
        self.pid = self._process.pid
        self.is_well = True
        """Whether it waits for the next message: no exchange failed, or was broken off."""
        self._is_late = False
        self._watch = _Watch(self._end_late)

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int]) -> None:
        self._left_s = self._index_s
        self._step(lambda: self._send(BEGIN, segment_id + json.dumps(dict(arrivals)).encode()))

    def add(self, content: bytes, stretches: Sequence[Stretch], /) -> None:
        told = [(s.uid, s.offset, s.length, s.begins_line, s.ends_line, s.encoding) for s in stretches]

        def work() -> None:
            self._send(STRETCHES, json.dumps(told).encode())
            self._send(FRAME, content)

        self._step(work)

    def finish(self) -> bytes:
        answer = b""

        def work() -> None:
            nonlocal answer
            self._send(FINISH, b"")
            assert self._process.stdout is not None
            kind, answer = receive(self._process.stdout)
            if kind != INDEX:
                raise EOFError

        self._step(work)
        return answer

    def _send(self, kind: bytes, payload: bytes) -> None:
        assert self._process.stdin is not None
        send(self._process.stdin, kind, payload)

    def _step(self, work: Callable[[], None]) -> None:
        """One exchange. A process that takes for ever is ended, and says nothing then."""
        self.is_well = False
        if self._left_s <= 0:
            self._end_late()
            raise self._ended()
        began_s = self._clock.monotonic_s()
        try:
            with self._watch.within(min(self._step_s, self._left_s)):
                work()
            self.is_well = True
        except (OSError, EOFError) as error:
            raise self._ended() from error
        finally:
            self._left_s -= self._clock.monotonic_s() - began_s

    @property
    def is_running(self) -> bool:
        """Whether it has not ended meanwhile, by itself or by somebody else."""
        return self._process.poll() is None

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _ended(self) -> Later:
        code = self._code()
        how = "took too long and was ended" if self._is_late else "ended"
        return Later(
            f"the process that builds indexes {how} ({code}): {self._last_words()}",
            hint="the segment counts without an index; it is tried again later",
        )

    def _code(self) -> int:
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:  # it speaks nonsense
            self._process.kill()
            return self._process.wait()

    def _last_words(self) -> str:
        size = self._told.seek(0, io.SEEK_END)
        self._told.seek(max(0, size - _TOLD_BYTES))
        lines = self._told.read(_TOLD_BYTES).decode(errors="replace").strip().splitlines()
        return shown(lines[-1][:INDEX_WORDS_CHARS_MAX]) if lines else "it said nothing"

    def end(self) -> None:
        """It ends when it hears nothing more; at once, if an exchange was broken off: it may wait to be heard."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self.is_well:
            self._process.kill()
        try:
            with self._watch.within(self._step_s):
                self._process.stdin.close()
                self._process.wait()
        except BrokenPipeError:  # it is gone already, with something left in our buffer
            pass
        finally:
            self._process.wait()
            self._watch.close()
            self._process.stdout.close()
            self._told.close()


class _Watch:
    """Tells when an exchange takes too long: whoever waits for a pipe cannot look at a clock.

    One thread for all of them, as there are two for each MiB: it looks up now and then, and sleeps in between.
    """

    def __init__(self, late: Callable[[], None]) -> None:
        self._late = late
        self._steps = 0
        """Exchanges begun and ended: odd while one goes on."""
        self._most_s = 0.0
        self._busy = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._look, name="index-watch", daemon=True).start()

    @contextmanager
    def within(self, most_s: float) -> Iterator[None]:
        """Inside is one exchange. ``late`` is called when it has not ended after ``most_s`` seconds, about."""
        self._most_s = most_s
        self._steps += 1
        if not self._busy.is_set():
            self._busy.set()
        try:
            yield
        finally:
            self._steps += 1

    def _look(self) -> None:
        seen, waited_s = 0, 0.0
        while not self._closed.is_set():
            self._busy.wait()
            if self._steps != seen:
                seen, waited_s = self._steps, 0.0
            elif seen % 2 == 0:
                self._busy.clear()
                if self._steps != seen:  # one began a moment ago, and took us for awake
                    self._busy.set()
                continue
            elif waited_s >= self._most_s:
                self._late()
            pause_s = min(_LOOK_S, self._most_s)
            self._closed.wait(pause_s)
            waited_s += pause_s

    def close(self) -> None:
        """No more looking."""
        self._closed.set()
        self._busy.set()


def send(to: IO[bytes], kind: bytes, payload: bytes) -> None:
    """Write one message."""
    to.write(HEAD.pack(kind, len(payload)))
    to.write(payload)
    to.flush()


def receive(source: IO[bytes]) -> tuple[bytes, bytes]:
    """Read one message. Raises EOFError when there is no whole one."""
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    kind, length = HEAD.unpack(head)
    payload = source.read(length)
    if len(payload) < length:
        raise EOFError
    return kind, payload
