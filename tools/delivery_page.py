"""Print docs/design/delivery.md anew: its tables are the cases of the crash walk and what was found in them.

`make docs` writes it. The cases are walked by tests/agent/crash; `python tools/crash_walk.py` records them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.agent.crash.walk import all_cases, in_flight, moments, recorded  # noqa: E402
from tests.agent.crash.works import WORKS  # noqa: E402

HEAD = """# How delivery works

What the agent promises, the steps it takes, and what is left when it, the server, the network or a disk fails between
two of them. The tables are made from the tests that break delivery at each of these places (`make docs`); words are
those of the [overview](overview.md).

## The promise

1. Every byte that a log had when the agent looked at it, or that an open handle of the agent still reaches, gets into
   the archive: once, in its order, under the path it has on the node, or as a kept generation of that path.
2. *Confirmed* means durable. An agent believes a slice to be there when the server answered `226` **and** its SIZE is
   what it must be now (for files in a bundle: when the server's report names no refusal). Our server says `226` when
   bytes, names and catalog are synced.
3. The registry moves after the confirmation, never before. So whatever dies, the registry knows at most what is true;
   what is true and not known is found out by asking, not by sending it a second time under another name.
4. Nothing that is confirmed is overwritten. Other content under the same path is the next generation.

What no agent can save: bytes that are truncated, replaced or deleted before it could look. It keeps the beginning that
it had sent, and the tests count such generations apart. A file that is truncated and filled anew *while* it is being
sent ends the upload at the last block that was read before: each block is read first, then head and tail of the file
are compared with what was verified, and only then does the block leave the node. (A new file that goes in one piece is
compared once, before the end of the data; nothing of it is published if it differs.) So a kept generation never ends in
bytes of the next one. The agent's log says `changed while it was being sent`, none of the slice counts as confirmed,
and the new content is stored whole as a generation of its own.

## The steps

For each file of a batch, in this order:

| step | what happens | dying here is safe, because |
|---|---|---|
| commit: seen | the file gets a row in the registry | the row claims nothing |
| open, verify | the confirmed bytes are compared with the row, the next slice is read | nothing has left the node |
| SIZE | at the first contact since the last (re)connect: what is really there? | it is a question |
| REST, STOR | the slice is announced, from byte *n* on | nothing is published before the end of the data |
| data, end of data | exactly the bytes there were at the look | a part that broke off is seen by nobody and continued |
| 226 | the server has synced | equal bytes sent again are known, different ones refused |
| reply to SIZE | *n* + length, or the slice is not confirmed | as before |
| commit: confirmed | the registry moves, synced | from here on nothing is sent again |
| RNFR, RNTO | a name changes on the server | it was recorded as begun: looking at both names tells |

A rename publishes a large file that travelled under a temporary name, follows a rename on the node, or moves an old
generation aside. It is recorded as begun before it is asked for and as done after it was answered; until both are on
disk, no other file gets one of its names. Where the server announces pipelining, the commands of a slice travel
together (`REST + STOR + SIZE + MFMT` is one step). Small new files go as one bundle.

A first upload whose reply was lost may have arrived. If meanwhile another file has taken the log's name and only an
open handle has its bytes, the agent looks under that name first: what is there is gone on with and filed as a
generation of it, and the file that has the name now waits for that. A file that a dying server has published, but not
yet entered in its catalog, is entered as soon as anybody asks for its path, so the answer to such a question is always
true.

When a connection ends, everything known about sizes on the server is asked again. A server that is away is tried again
after up to 60 s (full jitter, so a fleet does not come back at once), one without room (`452`, or
`552` in our quota) after at most 4 s, one that refuses the password after a minute and more.
"""

FULL = """
## Full disks

- **The server's disk**: `452`, nothing is confirmed, nothing half is seen. One connection asks again, at most 4 s after
  the last answer, for as long as it takes; with room, all go on. Twenty cycles on a disk of 10 MB: no wrong byte.
- **The registry's disk**: shipping of growth and new files goes on; what is confirmed is kept in memory and written
  within about a second of room being there. Renames wait, because only what is recorded tells their order. If the agent
  dies before that, the next one asks the server what it has. An agent that cannot open its registry for lack of room
  waits for it. One thing cannot be known then: a *new* file that was shipped while nothing could be recorded, of an
  agent that died, and that got another name before the next one started, is in the archive under both names.

## How it is tested

- `tests/agent/crash/test_walk.py`: the walk below; a sample in `make test`, all of it in `make crash`.
- `tests/agent/crash/test_machine.py`: a state machine draws what programs, rotation, agent, network and server do next;
  10^5 steps in `make crash`.
- `tests/voyage/test_kills.py`: random kills of the agent under load (1,000 in `make crash`) and of the server (300).
- `tests/agent/crash/test_disk_full.py`: the full disks above, twenty times each in `make crash`.

Each ends with the same question: is every byte that was ever written there once, under its path or as a kept
generation, and is nothing else there?
"""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Moments in a row that leave the same."""

    first: str
    last: str
    found: tuple[str, str, str]
    count: int

    def row(self) -> str:
        """As a row of the table."""
        when = self.first if self.count == 1 else f"{self.first} … {self.last}"
        return f"| {when} | {' | '.join(self.found)} |"


def _words(moment: str, found: dict[str, int]) -> tuple[str, str, str]:
    rows = f"{found['rows']} file{'s' * (found['rows'] != 1)}" if found["rows"] else "nothing"
    knows = f"{rows}, {found['confirmed']:,} bytes confirmed" if found["rows"] else rows
    if found["moves"]:
        knows += f", {found['moves']} to be renamed"
    if in_flight(moment):
        return knows, "what had arrived", "what is missing"
    return knows, f"{found['stored']:,} bytes", f"{found['again']:,} bytes"


def _stretches(facts: dict[str, Any]) -> Iterator[_Stretch]:
    held: _Stretch | None = None
    for moment in moments(facts["steps"]):
        words = _words(moment, facts["found"][moment])
        if held is not None and held.found == words:
            held = _Stretch(held.first, moment, words, held.count + 1)
            continue
        if held is not None:
            yield held
        held = _Stretch(moment, moment, words, 1)
    if held is not None:
        yield held


def _kills() -> Iterator[str]:
    yield "## Killed between two steps"
    yield (
        "The agent gets SIGKILL just before or just after each step, and is started again. What it had recorded,\n"
        "what the server showed then, and what the next agent sent (our archive; slices of 24 KiB). Also walked with\n"
        "the source grown, rotated or truncated and filled anew before the next agent starts."
    )
    for work, facts in recorded()["archive"].items():
        yield f"### {work[0].upper()}{work[1:]}"
        yield f"{WORKS[work].about}. Steps: {'; '.join(facts['steps'])}."
        head = "| killed | the registry knows | the server shows | the next agent sends |\n|---|---|---|---|"
        yield "\n".join([head, *(stretch.row() for stretch in _stretches(facts))])


def _counts() -> Iterator[str]:
    yield "## Every case"
    cases = all_cases()
    counts = Counter((case.server, case.work, case.fault) for case in cases)
    faults = list(dict.fromkeys(case.fault for case in cases))
    yield (
        f"{len(cases):,} cases, each one moment, one fault and one kind of work, each ending with the comparison of\n"
        "every byte. *agent killed* is walked with the source left alone, grown, rotated and filled anew;\n"
        "*server killed* and *server full* on the archive also at each durable step of the server (write, sync, link,\n"
        "rename, commit); *network* breaks at each command, each reply and within the data: by RST, by FIN, by silence."
    )
    rows = ["| server, work | " + " | ".join(faults) + " |", "|---|" + "---|" * len(faults)]
    for server in dict.fromkeys(case.server for case in cases):
        for work in WORKS:
            numbers = [counts[server, work, fault] for fault in faults]
            rows.append(f"| {server}: {work} | " + " | ".join(str(number or "–") for number in numbers) + " |")
    yield "\n".join(rows)


def page() -> str:
    """The whole page."""
    return "\n\n".join([HEAD.strip(), FULL.strip(), *_kills(), *_counts()]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
