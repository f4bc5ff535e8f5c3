"""Places as they are typed and as grep prints them."""

from __future__ import annotations

import pytest

from logferry.cli.place import Place, parse, parse_with_line
from logferry.errors import BadName


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("web-01", Place("web-01", "")),
        ("web-01:", Place("web-01", "")),
        ("web-01:/", Place("web-01", "")),
        ("web-01:/var/log/app.log", Place("web-01", "var/log/app.log")),
        ("web-01:var//log/", Place("web-01", "var/log")),
        ("web-01:/C/a:b.log", Place("web-01", "C/a:b.log")),
    ],
)
def test_an_agent_and_a_path_make_a_place(typed: str, place: Place) -> None:
    """With or without the leading slash; colons in the path are kept."""
    assert parse(typed) == place


@pytest.mark.parametrize("typed", ["", ":/var/log", "/var/log/app.log", "web-01:/a/../b", "web-01:/a\nb"])
def test_what_names_no_place_is_refused(typed: str) -> None:
    """No agent, or a path that climbs."""
    with pytest.raises(BadName):
        parse(typed)


def test_what_grep_prints_is_a_place_with_a_line() -> None:
    """A printed hit can be pasted behind `logferry link`."""
    assert parse_with_line("web-01:/var/log/error.log:118204") == (Place("web-01", "var/log/error.log"), 118204)
    assert parse_with_line("web-01:/var/log/error.log") == (Place("web-01", "var/log/error.log"), None)
    assert parse_with_line("web-01:5") == (Place("web-01", "5"), None)


def test_wildcards_make_a_pattern() -> None:
    """In the agent or in the path."""
    assert parse("db-*:/var/log/x").is_pattern
    assert parse("db-1:/var/**/x?.log").is_pattern
    assert not parse("db-1:/var/log/x").is_pattern
