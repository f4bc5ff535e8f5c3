"""FTP replies (RFC 959 section 4.2): a code and one or more lines of text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: ``code`` (100-599) and its lines without code and line end.

    Text is ``str`` decoded from the wire as UTF-8 with surrogate escapes, so every byte survives.
    """

    code: int
    lines: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        assert 100 <= self.code <= 599, self.code
        assert self.lines, "a reply has at least one line"
        assert not any("\r" in line or "\n" in line for line in self.lines), "a line holds no line end"

    @property
    def text(self) -> str:
        """The lines joined by line feeds."""
        return "\n".join(self.lines)

    @property
    def preliminary(self) -> bool:
        """1yz: another reply follows."""
        return self.code < 200

    @property
    def completed(self) -> bool:
        """2yz."""
        return 200 <= self.code < 300

    @property
    def intermediate(self) -> bool:
        """3yz: the next command completes the request."""
        return 300 <= self.code < 400

    @property
    def transient(self) -> bool:
        """4yz: not now; the same command may work later."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5yz: the same command will fail again."""
        return self.code >= 500

    def render(self) -> bytes:
        """The reply as it goes over the wire; continuation lines start with a space (RFC 959 4.2)."""
        if len(self.lines) == 1:
            return f"{self.code} {self.lines[0]}\r\n".encode("utf-8", "surrogateescape")
        first, *middle, last = self.lines
        parts = [f"{self.code}-{first}", *(f" {line}" for line in middle), f"{self.code} {last}"]
        return "".join(f"{part}\r\n" for part in parts).encode("utf-8", "surrogateescape")
