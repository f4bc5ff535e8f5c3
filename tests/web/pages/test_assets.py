"""Assets: small, our own, cached by content; templates and scripts keep to what the security policy allows."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from logferry.web.pages.assets import FOLDER, Assets

TEMPLATES = FOLDER.parent / "pages" / "templates"
SCRIPTS = sorted(FOLDER.rglob("*.js"))
SCRIPT_BYTES_MAX = 60 * 1024
MARKUP_MAKERS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser")


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_the_scripts_of_a_page_are_small_and_import_nothing(path: Path, stranger: TestClient) -> None:
    """At most 60 KiB compressed; a file each, that asks for no other."""
    version = Assets().version
    needed = {"app.js", *re.findall(r"asset\('([^']+\.js)'\)", path.read_text())}
    served = [stranger.get(f"/static/{version}/{name}") for name in needed]
    assert not any(re.search(r"^\s*import\b", one.text, re.MULTILINE) for one in served)
    assert sum(int(one.headers["content-length"]) for one in served) <= SCRIPT_BYTES_MAX


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_build_no_markup_from_text(path: Path) -> None:
    """Log text can only become text: nothing parses strings as HTML or code."""
    text = path.read_text()
    for word in MARKUP_MAKERS:
        assert word not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_nothing_inline_and_escape_everything(path: Path) -> None:
    """No inline script, style or handler, no way around escaping, nothing from elsewhere."""
    text = path.read_text()
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|https?://|javascript:", text)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.css")), ids=lambda path: path.name)
def test_styles_load_nothing_from_elsewhere(path: Path) -> None:
    """Fonts are our own files."""
    text = path.read_text()
    assert "@import" not in text
    assert set(re.findall(r'url\("?([^")]+)', text)) <= {"fonts/inter.woff2", "fonts/jetbrains-mono.woff2"}


def test_icons_that_are_used_exist() -> None:
    """Every icon("…") of templates and scripts is a symbol of the sprite."""
    sprite = (FOLDER / "icons.svg").read_text()
    symbols = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    used: set[str] = set()
    for path in (*TEMPLATES.glob("*.html"), *SCRIPTS):
        used |= set(re.findall(r'icon\("([a-z]+)"\)', path.read_text()))
    assert used <= symbols


def _as_sent(client: TestClient, method: str, path: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    with client.stream(method, path, headers={"Accept-Encoding": accepted}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*", "deflate, gzip; q=1.0"])
def test_text_comes_compressed_to_who_takes_it(accepted: str, stranger: TestClient) -> None:
    """The same bytes once unpacked, under a tag of their own; caches are told that it depends."""
    path = f"/static/{Assets().version}/log/ansi.js"
    plain, content = _as_sent(stranger, "GET", path, "identity")
    packed, stored = _as_sent(stranger, "GET", path, accepted)
    assert packed["content-encoding"] == "gzip"
    assert gzip.decompress(stored) == content == (FOLDER / "log" / "ansi.js").read_bytes()
    assert packed["content-length"] == str(len(stored))
    assert len(stored) < len(content) / 2
    assert plain["vary"] == packed["vary"] == "Accept-Encoding"
    assert packed["etag"] != plain["etag"]
    assert _as_sent(stranger, "HEAD", path, accepted)[0]["content-length"] == str(len(stored))
    tag = {"If-None-Match": packed["etag"], "Accept-Encoding": accepted}
    assert stranger.get(path, headers=tag).status_code == 304


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000, br", "*, gzip;q=0", "xgzip"])
def test_text_comes_as_it_is_to_who_takes_nothing_else(accepted: str, stranger: TestClient) -> None:
    """And so do fonts, which are compressed already."""
    version = Assets().version
    headers, content = _as_sent(stranger, "GET", f"/static/{version}/log/ansi.js", accepted)
    assert "content-encoding" not in headers
    assert content == (FOLDER / "log" / "ansi.js").read_bytes()
    font, _ = _as_sent(stranger, "GET", f"/static/{version}/fonts/inter.woff2", "gzip")
    assert "content-encoding" not in font
    assert "vary" not in font


def test_assets_are_kept_until_they_change(stranger: TestClient) -> None:
    """The right version for a year, another one not at all; types are exact; folders and odd names are not served."""
    version = Assets().version
    answer = stranger.get(f"/static/{version}/log/ansi.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert stranger.get("/static/older/log/ansi.js").headers["cache-control"] == "no-cache"
    assert stranger.get(f"/static/{version}/fonts/inter.woff2").headers["content-type"] == "font/woff2"
    tag = {"If-None-Match": f'"other", {answer.headers["etag"]}'}
    assert stranger.get("/static/older/log/ansi.js", headers=tag).status_code == 304
    assert stranger.get("/static/older/log/keys.js", headers=tag).status_code == 200
    assert stranger.post(f"/static/{version}/log/ansi.js").status_code == 405
    for path in ("", "/log", "/nosuch.js", "/..%2f__init__.py", "/%2e%2e/pages/templates/base.html"):
        assert stranger.get(f"/static/{version}{path}").status_code == 404


def test_pages_are_not_stored_and_keep_the_policy(stranger: TestClient) -> None:
    """Only our own scripts and styles may run, and no cache keeps a page."""
    answer = stranger.get("/login")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
