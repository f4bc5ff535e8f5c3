"""The query language: what parses, what is refused where, and that the canonical text is one and stable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.errors import BadQuery
from logferry.limits import QUERY_CHARS_MAX, QUERY_DEPTH_MAX, QUERY_LEAVES_MAX
from logferry.search.query import Everything, Glob, Literal, Text, Wild, canonical, chips, parse
from logferry.search.query.nodes import all_of, any_of, negated
from tests.search.strategies import leaves
from tests.security.amounts import amount, dice

GOOD = [
    ("", ""),
    ("   ", ""),
    ("error", "error"),
    ("a b", "a b"),
    ("a AND b", "a b"),
    ("a OR b c", "a OR b c"),
    ("(a OR b) c", "(a OR b) c"),
    ("((a))", "a"),
    ("a (b c)", "a b c"),
    ("NOT a", "-a"),
    ("!a", "-a"),
    ("-(a b)", "-(a b)"),
    ("NOT NOT a", "a"),
    ("NOT -a", "a"),
    ("-NOT a", "a"),
    ("--verbose", '"--verbose"'),
    ("a - b", 'a "-" b'),
    ("- a", '"-" a'),
    ("or and not", "or and not"),
    ('"AND"', '"AND"'),
    ("ANDROID ORDER NOTICE", "ANDROID ORDER NOTICE"),
    ("NOT(a)", "-a"),
    ("10.1.2.3:8080", "10.1.2.3:8080"),
    ("http://x/y?z", "http://x/y?z"),
    ("C:\\x", '"C:\\\\x"'),
    ("it's", "it's"),
    ("'it is'", '"it is"'),
    ("'say \"x\"'", "'say \"x\"'"),
    ('"a\\"b\\\\c\\d"', "'a\"b\\\\c\\\\d'"),
    ("agent\\:x*", "agent\\:x*"),
    ("a\\ b", '"a b"'),
    ("a\\*b", '"a*b"'),
    ("con*ed", "con*ed"),
    ("a**b", "a*b"),
    ("\\-x*", "\\-x*"),
    ("/var/log", '"/var/log"'),
    ("/a b/", "/a b/"),
    ("/a\\/b/ic".replace("c", ""), "/a\\/b/i"),
    ("/[0-9]+/sm", "/[0-9]+/ms"),
    ("//", '"//"'),
    ("agent:web* x", "agent:web* x"),
    ("agent:(a OR b)", "agent:a OR agent:b"),
    ("agent:(a OR b) x", "(agent:a OR agent:b) x"),
    ("path:/var/log/", "path:/var/log/"),
    ("path:=web-01/x", "path:=web-01/x"),
    ('file:"a..b"', 'file:"a..b"'),
    ("size:>10k", "size:>10k"),
    ("size:(>10k <1MB)", "size:>10k size:<1MB"),
    ("size:10k..2MB", "size:10k..2MB"),
    ("size:..5", "size:..5"),
    ("size:5..", "size:5.."),
    ("(size:5..)", "size:5.."),
    ("modified:2026-11", "modified:2026-11"),
    ("modified:>=2026-11-23T08:15", "modified:>=2026-11-23T08:15"),
    ("received:yesterday..now-15m", "received:yesterday..now-15m"),
    ("time:08:15", "time:08:15"),
    ("level:>=WARNING", "level:>=WARNING"),
    ("@a.b-c:>5 @x", '@a.b-c:>5 "@x"'),
    ("@user:joe", "@user:joe"),
    ("@@timestamp:>=2026-11", "@@timestamp:>=2026-11"),
    ("@@@x:1", '"@@@x:1"'),
    ("@x:(>=1 <5)", "@x:>=1 @x:<5"),
    ("@x:(1..5 OR -a*)", "@x:1..5 OR -@x:a*"),
    ("@x:a\\.\\.b", '@x:"a\\\\.\\\\.b"'),
    ("time:2026-11-23T08:15:30.25..", "time:2026-11-23T08:15:30.25.."),
    ("time:(2026-11-23 OR >=now-5m)", "time:2026-11-23 OR time:>=now-5m"),
    ("level:info..ERR", "level:info..ERR"),
    ("-@x:1", "-@x:1"),
    ("-agent:a !b", "-agent:a -b"),
    ("a!b a-b", "a!b a-b"),
    ("agent:/x y/ path:/x", "agent:/x y/ path:/x"),
    ("/x/z /x/)".replace(")", ""), '"/x/z" /x/'),
    ("\\/x/", '"/x/"'),
    ("a\\b", '"a\\\\b"'),
    ("\\a", '"\\\\a"'),
    ("Agent:x", "Agent:x"),
    ("agnt:x", "agnt:x"),
    ('"agent:x"', '"agent:x"'),
    ("agent\\:x", '"agent:x"'),
    ("a\u00a0b", "a b"),
    ("naïve 日本", "naïve 日本"),
]


@pytest.mark.parametrize(("text", "wanted"), GOOD)
def test_a_query_has_one_canonical_text_that_means_the_same(text: str, wanted: str) -> None:
    """Parsing the canonical text gives an equal tree and the same text again."""
    root = parse(text).root
    assert canonical(root) == wanted
    assert parse(wanted).root == root
    assert canonical(parse(wanted).root) == wanted


BAD = [
    ('"abc', 1, "never closed"),
    ("x 'abc", 3, "never closed"),
    ("(a", 1, "never closed"),
    ("a (b (c)", 3, "never closed"),
    ("a)", 2, "closes nothing"),
    (")", 1, "closes nothing"),
    ("()", 2, "nothing between"),
    ("a AND", 6, "after AND"),
    ("AND a", 1, "before AND"),
    ("a OR", 5, "after OR"),
    ("OR a", 1, "before OR"),
    ("a OR OR b", 6, "after OR"),
    ("NOT", 4, "after NOT"),
    ("a NOT OR b", 7, "after NOT"),
    ("(a OR )", 7, "after OR"),
    ('x ""', 3, "between the quotes"),
    ("a agent:", 3, "no value"),
    ("agent: x", 1, "no value"),
    ("size:>", 1, "no value"),
    ("size:big", 1, "not a size"),
    ("x size:1..big", 3, "not a size"),
    ("size:1*", 1, "no wildcards"),
    ("agent:a..b", 1, "knows no"),
    ("file:>x", 1, "knows no"),
    ("level:loud", 1, "not a level"),
    ("modified:2026-13", 1, "not a time"),
    ("modified:2026-02-30", 1, "not a time"),
    ("time:25:00", 1, "not a time"),
    ("@x:", 1, "no value"),
    ("a @x:>5*", 3, "neither more nor less"),
    ("@x:>/a/", 1, "neither more nor less"),
    ("@x:1../a/", 1, "neither more nor less"),
    ("@x:..a*", 1, "neither more nor less"),
    ("time:>=2026-11-23T08:15:30.1234567890", 1, "not a time"),
    ("level:>w*", 1, "no wildcards"),
    ("/a(/", 2, "missing )"),
    ("x /b[/", 5, "missing ]"),
    ("/(?=a)b/", 2, "not possible"),
    ("/(a)\\1/", 5, "not possible"),
    ("/a**/", 3, "not possible"),
    ("/a/ci", 1, "exclude each other"),
    ("/((a{100}){100}){100}/", 5, "not possible"),
]


@pytest.mark.parametrize(("text", "column", "words"), BAD)
def test_a_bad_query_is_refused_with_its_column_and_a_hint(text: str, column: int, words: str) -> None:
    """The column is where the mistake is, not where the parser noticed."""
    with pytest.raises(BadQuery) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.column == column
    assert caught.value.hint


def test_length_depth_and_terms_are_bounded() -> None:
    """Each limit names itself."""
    with pytest.raises(BadQuery, match="characters"):
        parse("x" * (QUERY_CHARS_MAX + 1))
    with pytest.raises(BadQuery, match="inside one another"):
        parse("(" * (QUERY_DEPTH_MAX + 1) + "a" + ")" * (QUERY_DEPTH_MAX + 1))
    with pytest.raises(BadQuery, match="terms"):
        parse(" ".join("x" * (QUERY_LEAVES_MAX + 1)))
    deepest = "(" * QUERY_DEPTH_MAX + "a" + ")" * QUERY_DEPTH_MAX
    assert canonical(parse(deepest).root) == "a"


def test_wildcards_and_escapes_become_parts() -> None:
    """``*`` is a run, ``?`` one character, a backslash makes either plain."""
    assert parse("a*b?\\*").root == Text(Glob(("a", Wild.RUN, "b", Wild.ONE, "*")))
    assert parse("\\(x\\)").root == Text(Literal("(x)"))
    assert parse("").root == Everything()


def test_an_unknown_field_is_text_with_a_hint() -> None:
    """The hint names the near field, or how fields of lines are written; addresses and paths get none."""
    (hint,) = parse("x agnt:web").hints
    assert hint.column == 3
    assert "agent" in hint.text
    (hint,) = parse("status:500").hints
    assert "@status:" in hint.text
    assert parse("10.1.2.3:80 http://x C:\\x").hints == ()


def test_chips_show_each_term_for_people() -> None:
    """One chip per term that must hold; a chip's text parses by itself."""
    found = chips(parse("agent:web* size:>=1k..".replace("..", "") + ' "two words" -healthz (a OR b) /x+/').root)
    assert [(c.kind, c.negated, c.label) for c in found] == [
        ("field", False, "agent=web*"),
        ("field", False, "size≥1k"),
        ("text", False, '"two words"'),
        ("text", True, 'not "healthz"'),
        ("group", False, '"a" or "b"'),
        ("regex", False, "/x+/"),
    ]
    for chip in found:
        parse(chip.text)
    assert chips(parse("").root) == ()


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(negated),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=12,
)


@settings(max_examples=1000)
@given(root=trees)
def test_every_tree_survives_the_way_through_its_text(root: object) -> None:
    """Text made from a tree parses to an equal tree."""
    assert parse(canonical(root)).root == root  # type: ignore[arg-type]


_PIECES = [
    *' ()"\'*?:-!/\\.<>=@ab1~', "AND", "OR", "NOT", "agent:", "path:", "size:", "time:", "level:", "@a.b:", "10k",
    "now-5m", "2026-11-23", "error", "..", "é", "\n", "/x+/i", "/a\\/b/c", "(?i)", "[", "]", "\\b", "\x00", "\ud800",
    "𝔘", "{1,2}",
]  # fmt: skip


@settings(max_examples=2000)
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=16).map("".join)))
def test_no_input_raises_anything_but_a_bad_query_within_its_text(text: str) -> None:
    """Whatever is typed: a tree whose canonical text is stable, or a BadQuery with a column in or right behind it."""
    _is_parsed_or_refused(text)


def test_random_inputs_are_parsed_or_refused() -> None:
    """The same, many times (``HEAVY_PARSER_INPUTS=n``)."""
    random_ = dice("parser inputs")
    parsed = 0
    for _ in range(inputs := amount("parser_inputs", 10_000, 1_000_000)):
        text = "".join(random_.choices(_PIECES, k=random_.randint(0, 14)))
        if random_.random() < 0.2:
            at = random_.randint(0, len(text))
            text = text[:at] + chr(random_.randrange(0x110000)) + text[at:]
        parsed += _is_parsed_or_refused(text)
    assert 0 < parsed < inputs


def _is_parsed_or_refused(text: str) -> bool:
    """Whether it was parsed."""
    try:
        root = parse(text).root
    except BadQuery as error:
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017 - many inputs, some refused
        return False
    shown = canonical(root)
    again = parse(shown, chars_max=10 * QUERY_CHARS_MAX).root
    assert again == root
    assert canonical(again) == shown
    chips(root)
    return True
