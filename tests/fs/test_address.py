"""Addresses of archived files, and the generation behind them."""

from __future__ import annotations

import pytest

from logferry.errors import BadName
from logferry.fs.address import Address, parse, server_of, stripped


@pytest.mark.parametrize(
    ("url", "path", "server"),
    [
        ("logferry://logs.example:8443/web-01/var/log/app.log", "/web-01/var/log/app.log", "logs.example:8443"),
        ("logferry://logs.example", "/", "logs.example"),
        ("logferry:///web-01/x", "/web-01/x", ""),
        ("web-01/x/", "/web-01/x", ""),
        ("/web-01//x", "/web-01/x", ""),
        ("", "/", ""),
    ],
)
def test_server_and_path_are_told_apart(url: str, path: str, server: str) -> None:
    """Host and port go, what names the file stays; stripping twice changes nothing."""
    assert (stripped(url), server_of(url)) == (path, server)
    assert stripped(path) == path


@pytest.mark.parametrize(
    ("path", "first", "older"),
    [
        ("/", Address("", ""), None),
        ("/web-01", Address("web-01", ""), None),
        ("/web-01/a/b.log", Address("web-01", "a/b.log"), None),
        ("/web-01/a/b.log?generation=12", Address("web-01", "a/b.log", 12), None),
        ("/web-01/a/b.log~3", Address("web-01", "a/b.log~3"), Address("web-01", "a/b.log", 3)),
        ("/web-01/~3", Address("web-01", "~3"), None),
        ("/web-01/b~03", Address("web-01", "b~03"), None),
        ("/web-01/what?.log", Address("web-01", "what?.log"), None),
    ],
)
def test_a_generation_is_a_query_or_a_tilde(path: str, first: Address, older: Address | None) -> None:
    """A name that really ends in ~3 is the first choice."""
    assert parse(path) == (first, older)


@pytest.mark.parametrize("path", ["/a/b?generation=", "/a/b?generation=0", "/a/b?generation=x", "/a/b?generation=1&x"])
def test_a_query_that_is_no_generation_is_refused(path: str) -> None:
    """Not taken for a part of the name."""
    with pytest.raises(BadName):
        parse(path)
