"""Style sheets, scripts, icons and fonts: served by ourselves, kept by browsers until their content changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    kind: str
    tag: str


class Assets:
    """Serves ``/<version>/<name>``: relative imports between modules stay within one version.

    A script that others do not import comes with all that it imports. An older version (a page opened before an
    upgrade) gets today's files, which are asked for again each time. All of them are held in memory.
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


def _made(files: dict[str, bytes]) -> dict[str, str]:
    """What is served instead of single files, or beside them."""
    texts = {name: content.decode() for name, content in files.items() if name.endswith((".css", ".js"))}
    entries = [name for name, text in texts.items() if name.endswith(".js") and is_entry(text)]
    return {name: bundled(name, texts.__getitem__) for name in entries} | {
        "shell.css": joined(SHELL, texts.__getitem__)
    }


def _asset(name: str, content: bytes) -> _Asset:
    return _Asset(content, _TYPES[Path(name).suffix], f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"')
