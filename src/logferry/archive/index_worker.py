"""The process that builds indexes: frames come in on standard input, indexes go out on standard output.

It ends when standard input does, so it never outlives the process that started it by more than one frame; and when one
message takes it longer than ``INDEX_STEP_S_MAX``, so that a frame which never comes to an end is no exception.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import signal
import sys
from typing import IO

from logferry.archive.index import SegmentIndex, Stretch
from logferry.archive.index_making import BEGIN, FINISH, FRAME, INDEX, STRETCHES, MakerHere, Making, receive, send
from logferry.limits import INDEX_MEMORY_BYTES_MAX, INDEX_STEP_S_MAX

_ID_BYTES = 16


def serve(source: IO[bytes], to: IO[bytes]) -> None:
    """Until there is nothing more to read."""
    making: Making | None = None
    stretches: list[Stretch] = []
    while True:
        signal.alarm(0)
        try:
            kind, payload = receive(source)
        except EOFError:
            return
        signal.alarm(math.ceil(INDEX_STEP_S_MAX))  # the kernel keeps it, also in compiled code and when nobody is left
        if kind == BEGIN:
            making = MakerHere().begin(payload[:_ID_BYTES], *json.loads(payload[_ID_BYTES:]))
        elif kind == STRETCHES:
            stretches = [Stretch(*values) for values in json.loads(payload)]
        elif kind == FRAME:
            assert making is not None
            making.add(payload, stretches)
        elif kind == FINISH:
            assert making is not None
            data = making.finish()
            making = None  # its memory is of use to the check
            _check(data)
            send(to, INDEX, data)


def _check(data: bytes) -> None:
    """No index leaves that its reader would refuse. Raises Damaged."""
    found = SegmentIndex.open(data, where="the new index")
    found.verify()
    assert found.runs is not None


def bound() -> None:
    """Whatever bytes come: this process gets so much memory, and is the first to go where there is too little of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = min([INDEX_MEMORY_BYTES_MAX, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    # Linux alone has this, and a container may keep it closed: then the machine decides.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


if __name__ == "__main__":
    bound()
    # Whoever stops the server stops all its processes at once; this one finishes what its parent waits for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
