"""The first lines of a log come with its page: as text, to whoever may see them, and the audit is told."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable

import pytest
from starlette.testclient import TestClient

from logferry.limits import FIRST_SCREEN_CHARS_MAX, FIRST_SCREEN_LINES
from logferry.server.audit import AuditFilter
from logferry.web.pages.first_lines import level_of, pieces_of
from tests.browser.fleet import HOSTILE, Fleet
from tests.web.pages.conftest import as_person

MANY = [b"%d of many\n" % number for number in range(1, 1001)]


@pytest.fixture(scope="module")
def with_logs(fleet: Fleet) -> Fleet:
    """The fleet with logs whose beginnings are known."""
    fleet.put("db-01", "first/many.log", MANY)
    fleet.put("db-01", "first/hostile.log", [b"\n".join(HOSTILE)])
    fleet.put("db-01", "first/long.log", [b"x" * 50_000 + b"\nshort\n"])
    fleet.put("db-01", "first/latin.log", ["Gerät gestört\n".encode("cp1252") * 3])
    return fleet


def shown(client: TestClient, address: str) -> list[str]:
    """The lines within the page, as they are read."""
    rows = re.findall(r'<span class="t" role="cell">(.*?)</span></div>\n', client.get(address).text, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", row)) for row in rows]


def reads(fleet: Fleet, path: str) -> list[tuple[str, object]]:
    """Who read a file of db-01, by the audit, and which generation."""
    rows: Iterable[object] = fleet.catalog.auditing.each(AuditFilter())
    return [
        (row.who, json.loads(row.detail).get("gen"))  # type: ignore[attr-defined]
        for row in rows
        if (row.action, row.target) == ("file.read", f"db-01/{path}")  # type: ignore[attr-defined]
    ]


def test_the_first_lines_are_within_the_page(admin: TestClient, with_logs: Fleet) -> None:
    """From the start or up to the end, with their numbers."""
    assert shown(admin, "/view/db-01/first/many.log") == [f"{n} of many" for n in range(1, FIRST_SCREEN_LINES + 1)]
    assert shown(admin, "/view/db-01/first/many.log?at=end")[-1] == "1000 of many"
    assert 'href="#L1000">1000</a>' in admin.get("/view/db-01/first/many.log?at=end").text
    assert shown(admin, "/view/db-01/first/latin.log") == ["Gerät gestört"] * 3
    assert shown(admin, "/view/db-01/first/long.log") == ["x" * FIRST_SCREEN_CHARS_MAX, "short"]


@pytest.mark.parametrize("query", ["at=b40", "lv=warn", "only=1&hl=x", "fold=1", "tz=utc", "enc=nonsense"])
def test_other_lines_are_left_to_the_script(admin: TestClient, with_logs: Fleet, query: str) -> None:
    """Where the address asks for another place, for some lines only, or for more than the lines."""
    assert shown(admin, f"/view/db-01/first/many.log?{query}") == []
    assert "log-skeleton" in admin.get(f"/view/db-01/first/many.log?{query}").text


def test_what_is_in_the_lines_is_text(admin: TestClient, with_logs: Fleet) -> None:
    """No markup comes of it, and no character that acts or is not seen."""
    page = admin.get("/view/db-01/first/hostile.log").text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", page)
    assert "&lt;script&gt;alert(&#39;line&#39;)&lt;/script&gt;" in page


def test_who_read_lines_within_a_page_is_in_the_audit_once(stranger: TestClient, with_logs: Fleet) -> None:
    """Going on through the API is no other reading; a page that brought no lines is none, nor is a stranger's."""
    with_logs.put("db-01", "first/read.log", MANY)
    stranger.get("/view/db-01/first/read.log")
    assert reads(with_logs, "first/read.log") == []
    as_person(stranger, with_logs, "narrow")
    page = stranger.get("/view/db-01/first/read.log?at=b40").text
    assert reads(with_logs, "first/read.log") == []
    stranger.get("/view/db-01/first/read.log")
    assert reads(with_logs, "first/read.log") == [("narrow", 1)]
    found = re.search(r'data-fid="(\d+)"', page)
    assert found is not None
    assert stranger.get(f"/api/v1/files/{found[1]}/lines", params={"gen": 1}).status_code == 200
    assert reads(with_logs, "first/read.log") == [("narrow", 1)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb", "a\tb"),
        ("\x1b[31mred\x1b[0m \x1b]8;;http://e/\x1b\\x\x1b(B", "red x"),
        ("\x1b]8;;never ends", "\u241b]8;;never ends"),
        ("\x00\x7f\x85\u202ex\u2066\U000e0041", "\u2400\u2421\\x85<U+202E>x<U+2066><U+E0041>"),
    ],
)
def test_pieces_drop_escapes_and_mark_what_acts(text: str, seen: str) -> None:
    """As the script does."""
    assert "".join(piece.text for piece in pieces_of(text)) == seen


@pytest.mark.parametrize(
    ("line", "letter"),
    [
        ("2026-11-23 08:14:01 ERROR x", "E"),
        ('{"level": "warning"}', "W"),
        ("[Sun Dec 04 04:47:44 2005] [error] mod_jk", "E"),
        ("no errors here, the terror is over", ""),
        ("x" * 200 + " ERROR", ""),
    ],
)
def test_levels_have_a_letter(line: str, letter: str) -> None:
    """As the script gives them."""
    assert level_of(line) == letter
