"""Style sheets, scripts, icons and fonts: served by ourselves, kept by browsers until their content changes."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from logferry.web.pages.bundles import bundled, is_entry, joined

FOLDER = Path(__file__).parent.parent / "static"
SHELL = ("tokens.css", "base.css", "layout.css", "parts.css")
"""The style sheets of every page, in their order: served as one, ``shell.css``."""
_KEEP = "public, max-age=31536000, immutable"
# The types of a machine's own table differ; scripts with a wrong one do not run under nosniff.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_PACKED_TYPES = frozenset({".css", ".js", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class _Asset:
    """``packed``: with gzip, made once; None for what is compressed already."""

    content: bytes
    packed: bytes | None
    kind: str
    tag: str

    def as_taken(self, accepted: str) -> tuple[bytes, dict[str, str]]:
        """Its bytes for whoever accepts these encodings, and the headers that tell of them."""
        headers = {"Content-Type": self.kind, "ETag": f'"{self.tag}"'}
        if self.packed is None:
            return self.content, headers
        headers["Vary"] = "Accept-Encoding"
        if not _takes_gzip(accepted):
            return self.content, headers
        return self.packed, headers | {"Content-Encoding": "gzip", "ETag": f'"{self.tag}-gzip"'}


class Assets:
    """Serves ``/<version>/<name>``: relative imports between modules stay within one version.

    A script that others do not import comes with all that it imports. An older version (a page opened before an
    upgrade) gets today's files, which are asked for again each time. All of them are held in memory, text compressed,
    too.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        held = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        held |= {name: text.encode() for name, text in _made(held).items()}
        whole = hashlib.blake2b(digest_size=6)
        for name, content in sorted(held.items()):
            whole.update(name.encode() + b"\0" + content + b"\0")
        self.version = whole.hexdigest()
        """A short digest over names and contents of all files: a new one whenever anything changes."""
        self._held = {name: _asset(name, content) for name, content in held.items() if Path(name).suffix in _TYPES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        version, _, name = scope["path"].removeprefix(scope["root_path"])[1:].partition("/")
        found = self._held.get(name)
        if found is None:
            raise HTTPException(404)
        asked = Headers(scope=scope)
        content, headers = found.as_taken(asked.get("accept-encoding", ""))
        headers["Cache-Control"] = _KEEP if version == self.version else "no-cache"
        if headers["ETag"] in asked.get("if-none-match", ""):
            headers.pop("Content-Encoding", None)
            await Response(status_code=304, headers=headers)(scope, receive, send)
        else:
            await Response(content, headers=headers)(scope, receive, send)


def _made(files: dict[str, bytes]) -> dict[str, str]:
    """What is served instead of single files, or beside them."""
    texts = {name: content.decode() for name, content in files.items() if name.endswith((".css", ".js"))}
    entries = [name for name, text in texts.items() if name.endswith(".js") and is_entry(text)]
    return {name: bundled(name, texts.__getitem__) for name in entries} | {
        "shell.css": joined(SHELL, texts.__getitem__)
    }


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip, or else everything, at a weight above 0 (RFC 9110, section 12.5.3)."""
    weights: dict[str, str] = {}
    for part in accepted.lower().split(","):
        name, _, parameter = part.partition(";")
        weights[name.strip()] = parameter.partition("=")[2].strip() or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""


def _asset(name: str, content: bytes) -> _Asset:
    suffix = Path(name).suffix
    packed = gzip.compress(content, mtime=0) if suffix in _PACKED_TYPES else None
    return _Asset(content, packed, _TYPES[suffix], hashlib.blake2b(content, digest_size=8).hexdigest())
