"""The pure script modules, as tables: imported in the browser from the server's own files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from logferry.search.query import Filter, Literal, all_of, leaves, parse
from logferry.search.query.nodes import FILE_FIELDS
from logferry.server.disk import shown_bytes
from tests.browser.conftest import Site
from tests.browser.harness import visitor

pytestmark = pytest.mark.browser


class Modules:
    """Calls exported functions of a module."""

    def __init__(self, page: Page, root: str) -> None:
        self._page = page
        self._root = root

    def call(self, module: str, name: str, *arguments: Any) -> Any:
        """``module`` relative to the static folder."""
        return self._page.evaluate(
            "async ([module, name, args]) => (await import(module))[name](...args)",
            [f"{self._root}/{module}", name, list(arguments)],
        )

    def lines_of(self, batches: list[list[dict[str, Any]]], more: int = 0) -> list[str]:
        """The lines of one file's hits as the page shows them: ``:n`` hits, ``-n`` lines around them, ``--`` gaps.

        Drawn after each batch; at the end "Show more" is pressed ``more`` times.
        """
        found: list[str] = self._page.evaluate(
            """async ([root, batches, more]) => {
                const { Group } = await import(`${root}/search/hits.js`);
                const group = new Group(batches[0][0], "q");
                for (const batch of batches) {
                    for (const hit of batch) group.add(hit);
                    group.draw();
                }
                for (let i = 0; i < more; i += 1) group.element.querySelector(".more").click();
                const sign = (line) => (line.classList.contains("around") ? "-" : ":");
                return [...group.element.querySelectorAll(".hit-line")].map((line) =>
                    (line.classList.contains("gap") ? "--" : `${sign(line)}${line.querySelector(".hn").textContent}`));
            }""",
            [self._root, batches, more],
        )
        return found

    def tail_of(self, kept: int, steps: list[int | str]) -> tuple[list[str], int]:
        """What a tail shows that keeps so many, each line as its byte, after lines (numbers) and notes (texts)."""
        shown, count = self._page.evaluate(
            """async ([root, kept, steps]) => {
                const { Lines } = await import(`${root}/tail/lines.js`);
                const list = document.createElement("ol");
                const lines = new Lines(list, new Map([[1, { agent: "a", path: "p", name: "p", band: "0" }]]), kept);
                for (const step of steps) {
                    if (typeof step === "string") lines.say(step);
                    else lines.add([{ fid: 1, gen: 1, row: { b: step, s: `line ${step}` } }]);
                }
                lines.filter("line");
                return [[...list.children].map((each) => (each.querySelector(".t") ?? each).textContent), lines.count];
            }""",
            [self._root, kept, steps],
        )
        return shown, count


@pytest.fixture(scope="module")
def modules(browser: Browser, site: Site) -> Iterator[Modules]:
    """The modules, loaded by a page of the server."""
    context, page, watch = visitor(browser, site.base)
    page.goto("/login")
    icon = page.locator("link[rel=icon]").get_attribute("href") or ""
    yield Modules(page, icon.rpartition("/")[0])
    context.close()
    watch.check()


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a\tb", "a\tb"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;2;1;2;3mx", "x"),
        ("\x1b[38;5;208mx", "x"),
        ("\x1b[2J\x1b[10;10Hx\x1b[?25l", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://e/\x1b\\x", "x"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("\x1b]8;;never ends", "\u241b]8;;never ends"),
        ("\x1b[", "\u241b["),
        ("\x1b", "\u241b"),
        ("\x00\x7f", "\u2400\u2421"),
        ("\x85\x9b31m", "\\x85\\x9B31m"),
        ("\u202ex\u2066", "<U+202E>x<U+2066>"),
        ("a\U000e0041b\U000e0100\U0001f6a2", "a<U+E0041>b<U+E0100>\U0001f6a2"),
        ("a\r", "a\u240d"),
    ],
)
def test_pieces_drop_escapes_and_mark_the_rest(modules: Modules, text: str, visible: str) -> None:
    """Colours and moves leave no piece; whatever else would act becomes a mark; nothing readable is lost."""
    pieces = modules.call("log/ansi.js", "pieces", text)
    assert "".join(piece["text"] for piece in pieces) == visible


def test_pieces_say_where_they_stand(modules: Modules) -> None:
    """Offsets are those of the given text, so that search spans can be laid over."""
    pieces = modules.call("log/ansi.js", "pieces", "ab\x1b[1mcd\x00e")
    assert [(p["from"], p["to"], p["text"]) for p in pieces] == [
        (0, 2, "ab"),
        (6, 8, "cd"),
        (8, 9, "\u2400"),
        (9, 10, "e"),
    ]
    assert [p["look"]["classes"] for p in pieces] == ["", "a-bold", "a-bold", "a-bold"]
    pieces = modules.call("log/ansi.js", "pieces", "\U000e0041b")
    assert [(p["from"], p["to"]) for p in pieces] == [(0, 2), (2, 3)]


@pytest.mark.parametrize(
    ("query", "anchor", "place"),
    [
        ("", "", {"kind": "start"}),
        ("", "#L12", {"kind": "line", "from": 12, "to": 12}),
        ("?gen=3", "#L20-L10", {"kind": "line", "from": 10, "to": 20}),
        ("?at=b734003200", "", {"kind": "byte", "byte": 734003200}),
        ("?at=end", "", {"kind": "end"}),
        ("?at=bx", "#L0", {"kind": "start"}),
        ("", "#L99999999999999999999", {"kind": "start"}),
    ],
)
def test_addresses_name_places(modules: Modules, query: str, anchor: str, place: dict[str, Any]) -> None:
    """What is no place is the start."""
    assert modules.call("log/address.js", "readAddress", query, anchor)["place"] == place


def test_addresses_survive_the_round_trip(modules: Modules) -> None:
    """Generation, place, words, what is shown of the file, encoding, wrap and zone are all in the address."""
    state = {
        "gen": "3",
        "place": {"kind": "line", "from": 10, "to": 20},
        "find": "a&b #c",
        "exactCase": True,
        "regex": True,
        "wrap": True,
        "times": "utc",
        "fold": True,
        "only": True,
        "context": 3,
        "level": "warn",
        "enc": "gb18030",
    }
    written = modules.call("log/address.js", "writeAddress", state)
    query, _, anchor = written.partition("#")
    assert modules.call("log/address.js", "readAddress", query, f"#{anchor}") == state


@pytest.mark.parametrize(
    ("kept", "rules"),
    [
        (None, []),
        ("no JSON", []),
        ('{"word": "a"}', []),
        ('[{"word": ""}, {"word": 1}, null, {"word": "a"}]', [("a", "yellow", False)]),
        ('[{"word": "a", "colour": "url(x)", "exactCase": "yes"}]', [("a", "yellow", False)]),
        ('[{"word": "b", "colour": "red", "exactCase": true}]', [("b", "red", True)]),
        ('[{"word": "b", "colour": "red", "exact_case": true}]', [("b", "red", True)]),
    ],
)
def test_rules_that_are_kept_are_read_whatever_is_there(
    modules: Modules, kept: str | None, rules: list[tuple[str, str, bool]]
) -> None:
    """What another version or a hand left in the browser is no rule, or one with a colour that there is."""
    found = modules.call("log/rules.js", "rulesOf", kept)
    assert [(rule["word"], rule["colour"], rule["exactCase"]) for rule in found] == rules


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("6,123 456", {"kind": "line", "from": 6123456, "to": 6123456}),
        ("42 %", {"kind": "fraction", "fraction": 0.42}),
        ("b734003200", {"kind": "byte", "byte": 734003200}),
        ("End", {"kind": "end"}),
        ("0", None),
        ("nonsense", None),
        ("400%", {"kind": "fraction", "fraction": 1}),
    ],
)
def test_typed_places(modules: Modules, typed: str, place: dict[str, Any] | None) -> None:
    """What a person may type after the colon."""
    assert modules.call("log/address.js", "readJump", typed) == place


@pytest.mark.parametrize(
    ("line", "letter"),
    [
        ("2026-11-23 08:14:01 ERROR x", "E"),
        ("2026-11-23 08:14:01 WARN x", "W"),
        ('{"time": "…", "level": "error"}', "E"),
        ("ts=1 level=warning msg=x", "W"),
        ("[Sun Dec 04 04:47:44 2005] [error] mod_jk", "E"),
        ("no errors here, the terror is over", ""),
        ("GET /error/WARNING_SIGN 200", ""),
        ("x" * 200 + " ERROR", ""),
    ],
)
def test_levels(modules: Modules, line: str, letter: str) -> None:
    """Only words that stand where levels stand."""
    assert modules.call("log/levels.js", "level", line) == letter


@pytest.mark.parametrize(
    ("text", "spans", "units"),
    [("abc", [[1, 2]], [[1, 2]]), ("\U0001f6a2\U0001f6a2x", [[2, 3]], [[4, 5]]), ("\U0001f6a2", [[0, 1]], [[0, 2]])],
)
def test_spans_of_characters_become_units(modules: Modules, text: str, spans: list[Any], units: list[Any]) -> None:
    """The server counts characters, the browser UTF-16 units."""
    assert modules.call("log/row.js", "unitSpans", text, spans) == units


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (12, "12 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (90_500, "90.5 KB"),
        (176_400, "176 KB"),
        (6_100_000_000, "6.1 GB"),
    ],
)
def test_sizes_read_as_the_server_writes_them(modules: Modules, bytes_: int, text: str) -> None:
    """One way to write a size, on both sides."""
    assert modules.call("text.js", "size", bytes_) == text == shown_bytes(bytes_)


def test_find_text_becomes_a_query(modules: Modules) -> None:
    """A phrase with quotes and backslashes escaped, or a regular expression with slashes escaped."""
    assert modules.call("log/find.js", "asQuery", 'a "b" \\c', False) == '"a \\"b\\" \\\\c"'
    assert modules.call("log/find.js", "asQuery", "a/b\\/c", True) == "/a\\/b\\/c/"


HOUR_MS = 3_600_000
NOON_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("histogram", "step", "counts"),
    [
        ({"step_s": 3600, "buckets": []}, 3600, []),
        ({"step_s": 3600, "buckets": [(0, 5)]}, 3600, [0] * 12 + [5] + [0] * 11),
        ({"step_s": 3600, "buckets": [(0, 5), (3, 1)]}, 3600, [0] * 10 + [5, 0, 0, 1] + [0] * 10),
        ({"step_s": 3600, "buckets": [(1, 5)], "from": 0}, 3600, [0, 5] + [0] * 22),
        ({"step_s": 3600, "buckets": [(1, 5)], "from": 0, "to": 4}, 3600, [0, 5, 0, 0]),
        ({"step_s": 3600, "buckets": [(0, 5), (1, 2)], "from": 0, "to": 24 * 100}, 43200, [7] + [0] * 199),
    ],
)
def test_bars_fill_the_time_that_was_asked_for(
    modules: Modules, histogram: dict[str, Any], step: int, counts: list[int]
) -> None:
    """Empty ones included; wider ones where there would be too many, and empty time around few."""

    def iso(hours: int) -> str:
        return datetime.fromtimestamp(NOON_MS / 1000 + hours * 3600, UTC).isoformat().replace("+00:00", "Z")

    given = {"from": None, "to": None} | histogram
    given = {key: iso(value) if key in ("from", "to") and value is not None else value for key, value in given.items()}
    given["buckets"] = [{"at": iso(hours), "count": count} for hours, count in histogram["buckets"]]
    found = modules.call("search/histogram.js", "bars", given)
    assert found["step"] == step
    assert [bar["count"] for bar in found["list"]] == counts


def test_a_range_of_bars_is_a_time_that_means_exactly_them(modules: Modules) -> None:
    """``to`` is the last second within; the order of the two ends does not matter."""
    bars = [{"at": NOON_MS + n * HOUR_MS, "count": 1} for n in range(4)]
    expected = {"from": "2026-11-23T13:00:00Z", "to": "2026-11-23T14:59:59Z"}
    assert modules.call("search/histogram.js", "range", bars, 3600, 1, 2) == expected
    assert modules.call("search/histogram.js", "range", bars, 3600, 2, 1) == expected


@pytest.mark.parametrize(
    ("q", "field", "value", "no", "expected"),
    [
        ("", "agent", "web-01", False, "agent:web-01"),
        ("error", "agent", "web-01", True, "error -agent:web-01"),
        ("a OR b", "level", "warn", False, "(a OR b) level:warn"),
        ("a OR(b)", "agent", "x", False, "(a OR(b)) agent:x"),
        ("a\tOR\tb", "agent", "x", True, "(a\tOR\tb) -agent:x"),
        ("(a)OR (b)", "agent", "x", False, "((a)OR (b)) agent:x"),
        ("FOR x", "agent", "x", False, "FOR x agent:x"),
        ("x", "path", "a/b c/d.log", False, 'x path:="a/b c/d.log"'),
        ("x", "path", 'a/"q"\\w', False, 'x path:="a/\\"q\\"\\\\w"'),
        ("x", "path", "a/b..c", False, 'x path:="a/b..c"'),
        ("x", "agent", "-odd", False, 'x agent:"-odd"'),
        ("x", "path", "a/*.log", False, 'x path:="a/*.log"'),
    ],
)
def test_a_facet_becomes_a_term_that_the_language_reads_back(
    modules: Modules, q: str, field: str, value: str, no: bool, expected: str
) -> None:
    """The parser of the server finds the very value in it."""
    term = modules.call("search/address.js", "facetTerm", field, value, no)
    assert modules.call("search/address.js", "withTerm", q, term) == expected
    (leaf,) = [leaf for leaf in leaves(parse(expected).root) if isinstance(leaf, Filter)]
    assert (leaf.name, leaf.value) == (field, Literal(value))
    root = parse(expected).root
    assert not q or root == all_of([parse(q).root, parse(term).root]), "nothing of the query changed its meaning"


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("agent:web-01 error", "error"),
        ('error path:="a b" -agent:"x\\"y" warn', "error warn"),
        ("error", "error"),
        ("myagent:x", "myagent:x"),
        ("agent:web-01", ""),
        ("  error   warn ", "error   warn"),
        ('"two  spaces" path:x', '"two  spaces"'),
        ("sha256:ab tag:prod size:>1MB modified:now-2h..now error", "error"),
        ("path:/var/log/nginx level:error @status:500", "level:error @status:500"),
        ("path:/a b/ error", "b/ error"),
        (r"a\ agent:x path:y", r"a\ agent:x"),
        ('x "say agent:web1 now"', 'x "say agent:web1 now"'),
        ('x "say agent:web1 now" path:y', 'x "say agent:web1 now"'),
        ("/say agent:web1 now/ path:y", "/say agent:web1 now/"),
        (r"/a\/ agent:x b/i path:y", r"/a\/ agent:x b/i"),
        ("agent:(web1 OR web2) error", ""),
        ("error NOT path:nginx", ""),
        ("agent:web1 OR error", ""),
        ("agent:web1 AND error", ""),
        ("error -(agent:web1)", ""),
        ("path:'a b' error", ""),
        ('path:"a b', ""),
    ],
)
def test_terms_that_choose_files_can_be_taken_away(modules: Modules, q: str, expected: str) -> None:
    """What is left asks all files; a query in which they cannot just be left out has no such button."""
    assert modules.call("search/address.js", "withoutFiles", q) == expected
    if expected:
        kept = [leaf for leaf in leaves(parse(q).root) if not (isinstance(leaf, Filter) and leaf.name in FILE_FIELDS)]
        assert list(leaves(parse(expected).root)) == kept


def row(number: int) -> dict[str, Any]:
    """A line of ten bytes."""
    return {"n": number, "b": number * 10, "len": 10, "s": f"line {number}", "cut": False}


def hit(number: int, context: int = 2, lines: int = 1) -> dict[str, Any]:
    """A hit, or an entry of several lines, with as many lines on either side."""
    place = {"agent": "w", "path": "a.log", "fid": 1, "gen": 1, "s_from": 0, "spans": []}
    text = "\n".join(f"line {number + n}" for n in range(lines))
    behind = number + lines
    return {
        **place,
        **row(number),
        "s": text,
        "len": 10 * lines,
        "before": [row(n) for n in range(max(number - context, 1), number)],
        "after": [row(n) for n in range(behind, behind + context)],
    }


def shown(text: str) -> list[str]:
    """The lines of a block, by their numbers."""
    return text.split()


@pytest.mark.parametrize(
    ("hits", "lines"),
    [
        ([hit(6), hit(5), hit(4)], "-2 -3 :4 :5 :6 -7 -8"),
        ([hit(4), hit(5), hit(6)], "-2 -3 :4 :5 :6 -7 -8"),
        ([hit(20), hit(6)], "-18 -19 :20 -21 -22 -- -4 -5 :6 -7 -8"),
        ([hit(11), hit(6)], "-4 -5 :6 -7 -8 -9 -10 :11 -12 -13"),
        ([hit(12), hit(6)], "-10 -11 :12 -13 -14 -- -4 -5 :6 -7 -8"),
        ([hit(6, 0), hit(5, 0), hit(4, 0)], ":6 :5 :4"),
        ([hit(8), hit(4, lines=3)], "-2 -3 :4 :5 :6 -7 :8 -9 -10"),
        ([hit(4, lines=3), hit(8)], "-2 -3 :4 :5 :6 -7 :8 -9 -10"),
    ],
)
def test_hits_whose_lines_touch_are_one_block_with_each_line_once(
    modules: Modules, hits: list[dict[str, Any]], lines: str
) -> None:
    """In the order of the file, whether they come together or one by one."""
    assert modules.lines_of([hits]) == shown(lines)
    assert modules.lines_of([[each] for each in hits]) == shown(lines)


def test_lines_around_hits_that_are_hits_themselves_are_shown_as_such(modules: Modules) -> None:
    """Also those whose turn has not come, known before or found later; "Show more" shows none twice."""
    first, late = [hit(n) for n in range(20, 14, -1)], [hit(14), hit(13)]
    five = "-14 :15 :16 :17 :18 :19 :20 -21 -22"
    assert modules.lines_of([first]) == shown(five)
    assert modules.lines_of([first, late]) == shown(five.replace("-14", ":14"))
    assert modules.lines_of([first, late], more=1) == shown("-11 -12 :13 :14 :15 :16 :17 :18 :19 :20 -21 -22")


@pytest.mark.parametrize(
    ("steps", "shown", "count"),
    [
        ([1, 2, "a gap", 3], ["line 2", "a gap", "line 3"], 2),
        (["one", "two", "three", "four"], ["two", "three", "four"], 0),
        (["one", 1, 2, 3, 4], ["line 2", "line 3", "line 4"], 3),
    ],
)
def test_a_tail_keeps_so_many_lines_and_notes_together(
    modules: Modules, steps: list[int | str], shown: list[str], count: int
) -> None:
    """A server that sends new generations alone does not fill the page; a filter leaves notes as they are."""
    assert modules.tail_of(3, steps) == (shown, count)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"b":{"c":[]}}', 'x {"big":12345678901234567890,"a":1,"a":2.50}', '[1,{"s":"{,}:[\\"]"}]'],
)
def test_json_is_spread_out_and_stays_what_it_is(modules: Modules, text: str) -> None:
    """Every literal as written, also numbers that no script can hold and keys that are there twice."""
    found = modules.call("log/json.js", "spread", text)
    assert "".join(line.strip() for line in found).replace(" ", "") == text.replace(" ", "")
    assert len(found) > 3


@pytest.mark.parametrize("text", ["no json", '{"a":', "[]x", ""])
def test_what_is_no_json_is_left_alone(modules: Modules, text: str) -> None:
    """Half of it, too."""
    assert modules.call("log/json.js", "spread", text) is None


def test_of_a_long_line_the_part_around_its_first_match_is_shown(modules: Modules) -> None:
    """Spans move with it; a character of two units is never cut in half; a short line is as it is."""
    assert modules.call("search/hits.js", "excerpt", "short", [[0, 2]]) == ["short", [[0, 2]]]
    text, spans = modules.call("search/hits.js", "excerpt", "a" * 3000 + "needle" + "b" * 3000, [[3000, 3006]])
    assert text == "…" + "a" * 100 + "needle" + "b" * 894 + "…"
    assert [text[at:to] for at, to in spans] == ["needle"]
    text, spans = modules.call("search/hits.js", "excerpt", "x" + "\U0001f6a2" * 2000, [[0, 4001]])
    assert text == "x" + "\U0001f6a2" * 500 + "…"
    text, spans = modules.call("search/hits.js", "excerpt", "c" * 1001, [])
    assert (text, spans) == ("c" * 1000 + "…", [])
