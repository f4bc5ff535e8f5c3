"""Style sheets, scripts, icons and fonts: served by ourselves, kept by browsers until their content changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent.parent / "static"
_KEEP = "public, max-age=31536000, immutable"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}


def version_of(folder: Path) -> str:
    """A short digest over names and contents of all files: a new one whenever anything changes."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Assets(StaticFiles):
    """Serves ``/<version>/<name>``: relative imports between modules stay within one version.

    An older version (a page opened before an upgrade) gets today's files, uncached.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder)
        self.version = version_of(folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, _, name = path.partition("/")
        suffix = Path(name).suffix
        if suffix not in _TYPES:
            raise HTTPException(404)
        response = await super().get_response(name, scope)
        # The types of a machine's own table differ; scripts with a wrong one do not run under nosniff.
        response.headers["Content-Type"] = _TYPES[suffix] + ("" if suffix == ".woff2" else "; charset=utf-8")
        response.headers["Cache-Control"] = _KEEP if version == self.version else "no-cache"
        return response
