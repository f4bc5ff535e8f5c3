"""What a mirror would do, and which names may become local ones. Pure: no file, no server."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadName, Refused
from logferry.ftp.tree import SECOND_NS, Node, Tree, check_name, clashes, make_plan, same_file

FILE = Node("file", 5, 1_000 * SECOND_NS)
FOLDER = Node("folder")
SAME = partial(same_file, keeps_times=True)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\x00b", "a\nb", "a\rb", "x" * 256, "ü" * 128, "\ud800"],
)
def test_names_that_lead_elsewhere_never_become_local(name: str) -> None:
    """On any system."""
    with pytest.raises(BadName, match="the server lists the name"):
        check_name(name)


@pytest.mark.parametrize("name", ["a:b", "CON", "con.txt", "lpt1", "a.", "a ", "x|y", "a\\b", "C:", "tab\t", "NUL .x"])
def test_names_that_windows_forbids_are_refused_there(name: str) -> None:
    """And are names like others elsewhere."""
    check_name(name)
    with pytest.raises(BadName, match=r"Windows|sign"):
        check_name(name, windows=True)


@pytest.mark.parametrize(
    "name", ["a", "...", ".hidden", "-dash", "~", "x" * 255, "\udcff", "a b", "console", "\x1b[2J"]
)
def test_odd_names_are_names(name: str) -> None:
    """Bytes that are no text among them."""
    check_name(name)


def test_names_that_differ_by_case_or_form_clash() -> None:
    """The later one, in order, is told with the earlier one."""
    found = clashes(["a/B", "a/b", "A/b", "ß", "SS", "e\u0301", "é"])
    assert found == {"a/B": "A/b", "a/b": "A/b", "é": "e\u0301", "ß": "SS"}


@pytest.mark.parametrize(
    ("local", "remote", "keeps", "same"),
    [
        (Node("file", 5, 10), Node("file", 6, 10), True, False),
        (Node("file", 5, 10), Node("file", None, 10), True, False),
        (Node("file", 5, 10 * SECOND_NS + 123), Node("file", 5, 10 * SECOND_NS, SECOND_NS), True, True),
        (Node("file", 5, 11 * SECOND_NS), Node("file", 5, 10 * SECOND_NS, SECOND_NS), True, False),
        (Node("file", 5, 10), Node("file", 5, None), True, True),
        (Node("file", 5, 90 * SECOND_NS), Node("file", 5, 60 * SECOND_NS, 60 * SECOND_NS), True, True),
        (Node("file", 5, 10), Node("file", 5, 99 * SECOND_NS, SECOND_NS), True, False),
        (Node("file", 5, 10), Node("file", 5, 99 * SECOND_NS, SECOND_NS), False, True),
        (Node("file", 5, 99 * SECOND_NS), Node("file", 5, 10, SECOND_NS), False, False),
    ],
)
def test_files_are_compared_as_exactly_as_both_sides_know(local: Node, remote: Node, keeps: bool, same: bool) -> None:
    """By size, then time; where uploads keep no time, what is not older there will do."""
    assert same_file(local, remote, keeps_times=keeps) is same


def test_what_stands_in_the_way_blocks_what_is_below() -> None:
    """Each file is named, none is lost silently."""
    source = Tree({"a": FOLDER, "a/b": FILE, "a/c": FOLDER, "a/c/d": FILE, "l": Node("link"), "x": FILE})
    target = Tree({"a": FILE, "x": FOLDER})
    plan = make_plan(source, target, same=SAME, delete=True)
    assert sorted(plan.blocked) == ["a", "a/b", "a/c", "a/c/d", "x"]
    assert (plan.copies, plan.folders, plan.deletes, plan.skipped) == ([], [], [], ["l"])


def test_nothing_is_deleted_when_the_source_was_not_read_whole() -> None:
    """A folder that could not be listed looks empty."""
    source = Tree({"a": FILE}, problems=[("b", Refused("no"))])
    assert make_plan(source, Tree({"b/c": FILE}), same=SAME, delete=True).deletes == []


def test_a_folder_with_something_excluded_stays() -> None:
    """With all above it; what else is superfluous goes, the deepest first."""
    target = Tree({"a": FOLDER, "a/b": FOLDER, "a/b/c": FILE, "d": FOLDER, "d/e": FILE}, partly={"a/b"})
    assert make_plan(Tree(), target, same=SAME, delete=True).deletes == ["d/e", "d", "a/b/c"]


PATHS = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/p", "b/x/p"])
NODES = st.sampled_from([FILE, Node("file", 6, 7), FOLDER, Node("link")])


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Trees whose folders are there for all that is below them."""
    nodes = draw(st.dictionaries(PATHS, NODES))
    for path in list(nodes):
        while "/" in path:
            path = path.rpartition("/")[0]
            nodes[path] = FOLDER
    return Tree(nodes)


@given(trees(), trees())
def test_a_plan_makes_the_target_like_the_source(source: Tree, target: Tree) -> None:
    """Carried out on names alone: what is not blocked is the same afterwards, and a second plan is empty."""
    plan = make_plan(source, target, same=SAME, delete=True)
    result = dict(target.nodes)
    for path in [*plan.folders, *plan.copies]:
        above = path.rpartition("/")[0]
        assert not above or result[above].kind == "folder", "folders come first"
        result[path] = source.nodes[path]
    for path in plan.deletes:
        assert not [p for p in result if p.startswith(path + "/")], "the deepest come first"
        del result[path]
    if not plan.blocked:
        wanted = {path: node for path, node in source.nodes.items() if node.kind != "link"}
        assert {path: node for path, node in result.items() if path not in plan.skipped} == wanted
    again = make_plan(source, Tree(result), same=SAME, delete=True)
    assert (again.copies, again.folders, again.deletes) == ([], [], [])
