"""Style sheets, scripts, icons and fonts: served by ourselves, kept by browsers until their content changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent.parent / "static"
_KEEP = "public, max-age=31536000, immutable"
# The types of a machine's own table differ; scripts with a wrong one do not run under nosniff.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    kind: str
    tag: str


class Assets:
    """Serves ``/<version>/<name>``: relative imports between modules stay within one version.

    An older version (a page opened before an upgrade) gets today's files, which are asked for again each time. All of
    them are held in memory: a page asks for dozens at once.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._held: dict[str, _Asset] = {}
        whole = hashlib.blake2b(digest_size=6)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name, content = path.relative_to(folder).as_posix(), path.read_bytes()
                whole.update(name.encode() + b"\0" + content + b"\0")
                if path.suffix in _TYPES:
                    tag = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
                    self._held[name] = _Asset(content, _TYPES[path.suffix], tag)
        self.version = whole.hexdigest()
        """A short digest over names and contents of all files: a new one whenever anything changes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        version, _, name = scope["path"].removeprefix(scope["root_path"])[1:].partition("/")
        found = self._held.get(name)
        if found is None:
            raise HTTPException(404)
        headers = {
            "Content-Type": found.kind,
            "Cache-Control": _KEEP if version == self.version else "no-cache",
            "ETag": found.tag,
        }
        known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        if found.tag in known:
            await Response(status_code=304, headers=headers)(scope, receive, send)
        else:
            await Response(found.content, headers=headers)(scope, receive, send)
