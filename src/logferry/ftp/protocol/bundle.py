"""What client and server agree on about bundles: the folder, the formats, the names of members, the final reply.

See docs/reference/bundle.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from logferry.errors import BadName, LogferryError
from logferry.ftp.protocol import paths
from logferry.ftp.protocol.replies import Reply
from logferry.limits import BUNDLE_REFUSALS_SHOWN_MAX, BUNDLE_REPORT_BYTES_MAX, PATH_BYTES_MAX

FOLDER = "/.bundles"
"""Where bundles are stored to. It need not exist."""
FEATURE = "BUNDLE"

_SHOWN = re.compile("[\x00-\x1f\x7f]")
_UNCLEAR = re.compile("[\x00-\x1f\x7f%:]|^ | $")
_CODE = re.compile(rb"%([0-9A-F]{2})")
_REFUSED = re.compile(r"refused ([45][0-9]{2}) ([^:]*):(?: (.*))?", re.DOTALL)
_SUMMARY = re.compile(
    r"Bundle: members=([0-9]{1,12}) files=([0-9]{1,12}) folders=([0-9]{1,12}) bytes=([0-9]{1,20}) refused=([0-9]{1,12})"
    r"(?: sha256=([0-9a-f]{64}))?"
)


def bundle_format(path: str, formats: tuple[str, ...]) -> str | None:
    """Which of ``formats`` a file stored at ``path`` has as a bundle, by its name; None for any other upload."""
    folder, name = paths.split(path)
    if folder != FOLDER:
        return None
    return next((form for form in sorted(formats, key=len, reverse=True) if name.lower().endswith(f".{form}")), None)


def is_bundle_folder(path: str, formats: tuple[str, ...]) -> bool:
    """Whether ``path`` is the folder of bundles, which clients enter and list though it need not exist."""
    return path == FOLDER and bool(formats)


def member_path(name: bytes) -> str:
    """Where the member ``name`` belongs: an absolute path as the FTP commands have it; ``/`` for the home itself.

    ``.`` and empty components inside are skipped, as ``tar`` writes ``./a``.

    Raises:
        BadName: it is empty, absolute, leads up, holds NUL, CR or LF, or is too long or too deep.
    """
    if not name:
        raise BadName("a member without a name")
    text = name.decode("utf-8", "surrogateescape")
    if text[0] == "/":
        raise BadName("an absolute name", hint="names are relative to the home")
    if ".." in text and ".." in text.split("/"):
        raise BadName("a name that leads up", hint="leave out ..")
    if len(text) > 2 * PATH_BYTES_MAX:
        raise BadName(f"a name of {len(name)} bytes", hint=f"at most {PATH_BYTES_MAX}")
    return paths.resolve("/", text)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A member that was left out: its raw name, the FTP code that a STOR of it would have had, and why."""

    name: bytes
    code: int
    reason: str


@dataclass(slots=True)
class Report:
    """What became of a bundle. ``members`` counts those that are decided: the first so many of the bundle.

    Each of them is stored, or a folder that is there now, or refused.
    """

    members: int = 0
    files: int = 0
    folders: int = 0
    count: int = 0
    """Bytes of the files."""
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    """Those refused, as far as the reply names them."""
    retry: bool = False
    """Some were refused for a moment only."""
    lost: int = 0
    """How many of the refused had content, or might have."""
    shown_bytes: int = 0
    sha256: str = ""
    """Of all that came, packed as it was; empty unless the client asked for digests (OPTS STOR SHA-256)."""

    def refuse(self, name: bytes, error: LogferryError | Reply, *, loses_bytes: bool = True) -> None:
        """Note a member that is left out."""
        self.refused += 1
        self.lost += loses_bytes
        code = error.code if isinstance(error, Reply) else error.ftp_reply
        self.retry = self.retry or (loses_bytes and code < 500)
        one = Refusal(name, code, shown(error.text if isinstance(error, Reply) else str(error)))
        size = len(name) + len(one.reason) + 20
        if len(self.refusals) < BUNDLE_REFUSALS_SHOWN_MAX and self.shown_bytes + size <= BUNDLE_REPORT_BYTES_MAX:
            self.refusals.append(one)
            self.shown_bytes += size

    def reply(self, code: int = 0, reason: str = "") -> Reply:
        """The final reply: ``code`` and ``reason`` when the bundle broke off, else what the refusals ask for."""
        if not code:
            code = 226 if not self.lost else 450 if self.retry else 550
        lines = [f"refused {one.code} {_escaped(one.name)}: {one.reason}" for one in self.refusals]
        if self.refused > len(self.refusals):
            lines.append(f"not named: {self.refused - len(self.refusals)}")
        if reason:
            lines.insert(0, shown(reason))
        last = (
            f"Bundle: members={self.members} files={self.files} folders={self.folders} bytes={self.count} "
            f"refused={self.refused}"
        )
        if self.sha256:
            last += f" sha256={self.sha256}"
        return Reply(code, (*lines, last))


def read_report(reply: Reply) -> Report | None:
    """The report in a final reply, or None when it has none."""
    found = _SUMMARY.fullmatch(reply.lines[-1].strip())
    if found is None:
        return None
    members, files, folders, count, left_out = (int(number) for number in found.groups()[:5])
    report = Report(members, files, folders, count, left_out, sha256=found[6] or "")
    for line in reply.lines[:-1]:
        # The first line of a reply stands right behind the code, others may be indented.
        refused = _REFUSED.fullmatch(line.strip(" "))
        if refused is not None:
            report.refusals.append(Refusal(_unescaped(refused[2]), int(refused[1]), refused[3] or ""))
    return report


def shown(text: str) -> str:
    """``text`` fit for a line of a reply."""
    return _SHOWN.sub(" ", text)[:1000]


def _escaped(name: bytes) -> str:
    """A member's name on one line, so that it can be told from what follows: ``%``, controls and ``:`` as ``%XX``."""
    text = name[: 2 * PATH_BYTES_MAX].decode("utf-8", "surrogateescape")
    return _UNCLEAR.sub(lambda one: f"%{ord(one.group()):02X}", text)


def _unescaped(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return _CODE.sub(lambda code: bytes([int(code[1], 16)]), raw)
