"""What a server announces with FEAT (RFC 2389)."""

from __future__ import annotations

from dataclasses import dataclass, field

from logferry.ftp.protocol import bundle
from logferry.ftp.protocol.replies import Reply

LOGFERRY_FEATURE = "X-LOGFERRY"
"""Announces how uploads are published: ``atomic`` (never visible before whole), ``pipelining`` (commands may wait),
``guards`` (what was said for an upload ends with it: when it fails, its REST is forgotten and a MFMT for its path right
behind it is refused), ``digests`` (after OPTS STOR SHA-256 the reply to a small STOR tells the digest of what came, in
the words of HASH), ``keeps`` (what is overwritten stays as a generation, and bytes that differ from stored ones are
refused), ``mark=…`` (what is there was restored from a copy, which may lack what was confirmed before; each restore has
another mark)."""
MARK = "mark="


@dataclass(frozen=True, slots=True)
class Features:
    """Feature names in capitals with what follows each of them in the FEAT reply."""

    parameters: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the server announced ``name`` (any case)."""
        return name.upper() in self.parameters

    def words(self, name: str) -> tuple[str, ...]:
        """The words behind ``name``, split at spaces and semicolons."""
        return tuple(self.parameters.get(name.upper(), "").replace(";", " ").split())

    @property
    def atomic(self) -> bool:
        """An upload to its final name is invisible until it is whole and on disk."""
        return "atomic" in self.words(LOGFERRY_FEATURE)

    @property
    def pipelining(self) -> bool:
        """Commands sent during a transfer wait and are answered in order."""
        return "pipelining" in self.words(LOGFERRY_FEATURE)

    @property
    def guards(self) -> bool:
        """An upload that fails takes along its REST and the MFMT behind it."""
        return "guards" in self.words(LOGFERRY_FEATURE)

    @property
    def digests(self) -> bool:
        """The reply to a small upload can tell its digest."""
        return "digests" in self.words(LOGFERRY_FEATURE)

    @property
    def keeps(self) -> bool:
        """What is overwritten stays as a generation; bytes sent again are compared with those that are there."""
        return "keeps" in self.words(LOGFERRY_FEATURE)

    @property
    def mark(self) -> str:
        """Of which restore the server's files come; empty: of none."""
        words = self.words(LOGFERRY_FEATURE)
        return next((word.removeprefix(MARK) for word in words if word.startswith(MARK)), "")

    @property
    def bundle_folder(self) -> str:
        """Where bundles are stored to be unpacked; empty when the server takes none."""
        return self._bundle[0]

    @property
    def bundle_formats(self) -> tuple[str, ...]:
        """What a bundle may be: ``tar``, ``tar.gz``, ``tar.zst``."""
        return tuple(form for form in self._bundle[1].lower().split(";") if form)

    @property
    def _bundle(self) -> tuple[str, str]:
        folder, _, formats = self.parameters.get(bundle.FEATURE, "").rpartition(" ")
        return (folder, formats) if folder.startswith("/") else ("", "")

    @property
    def hash_algorithms(self) -> tuple[str, ...]:
        """Names after HASH, the selected one first (marked ``*`` on the wire)."""
        words = self.words("HASH")
        chosen = [word.rstrip("*") for word in words if word.endswith("*")]
        return (*chosen, *(word for word in words if not word.endswith("*")))

    @property
    def facts(self) -> tuple[str, ...]:
        """Names of the facts in MLST listings, lower case."""
        return tuple(word.rstrip("*").lower() for word in self.words("MLST"))


def read_features(reply: Reply) -> Features:
    """Features out of a reply to FEAT; a server that knows no FEAT (5yz) or has nothing to say has none."""
    if not reply.completed:
        return Features()
    found: dict[str, str] = {}
    for line in reply.lines[1:-1]:
        name, _, rest = line.strip().partition(" ")
        # AUTH and the like may stand on several lines; keep all they say.
        found[name.upper()] = f"{found.get(name.upper(), '')} {rest}".strip()
    found.pop("", None)
    return Features(found)
