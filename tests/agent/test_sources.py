"""Which files are seen, under which names, and what is said about the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.agent.config import SourceSettings
from logferry.agent.patterns import Patterns
from logferry.agent.scan import Scanner
from logferry.agent.sources import Source, archive_component
from logferry.errors import BadConfig, BadName
from logferry.names import checked_component, escape


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.log", [b"a.log", b"x/y/a.log", b".log"], [b"a.log.1", b"a.LOG", b"log"]),
        ("*.log.*", [b"a.log.1", b"d/a.log.2.gz"], [b"a.log"]),
        ("nginx/*.log", [b"nginx/a.log"], [b"x/nginx/a.log", b"nginx/b/a.log"]),
        ("**/cache/**", [b"cache/x", b"a/cache/b/c"], [b"cachex/y", b"a/b"]),
        ("a?[0-9]", [b"ab1", b"a\xff7"], [b"ab", b"abx", b"a/1"]),
        ("[!.]*", [b"a"], [b".hidden"]),
        ("line\nbreak*", [b"line\nbreak.log"], [b"linebreak"]),
    ],
)
def test_patterns_match_names_or_whole_paths(pattern: str, matching: list[bytes], others: list[bytes]) -> None:
    """Without a slash the name counts, with one the path below the source."""
    patterns = Patterns.of([pattern])
    assert [p for p in matching if not patterns.match(p, p.rpartition(b"/")[2])] == []
    assert [p for p in others if patterns.match(p, p.rpartition(b"/")[2])] == []


@pytest.mark.parametrize("pattern", ["", "/", "[abc"])
def test_a_wrong_pattern_is_named(pattern: str) -> None:
    """With what to do."""
    with pytest.raises(BadConfig):
        Patterns.of([pattern])


def test_names_too_long_to_be_escaped_are_cut_and_stay_apart() -> None:
    """200 bytes of invalid UTF-8 would be 600; two such names do not meet."""
    one, two = archive_component(b"\xff" * 200), archive_component(b"\xff" * 199 + b"\xfe")
    assert one != two
    assert checked_component(one) == one
    assert archive_component(b"app.log") == escape(b"app.log")
    with pytest.raises(BadName):
        archive_component(b"..")


def source(folder: Path, **more: object) -> Source:
    """A source of everything below ``folder``."""
    return Source.of(SourceSettings(path=str(folder), to="/logs", **more))  # type: ignore[arg-type]


def seen(scanner: Scanner) -> list[str]:
    """Look once; paths below the first source, remembered as planned for."""
    found = []
    for look in scanner.walk():
        for one in look.seen:
            scanner.note(one.path, one.stat.mark)
            found.append(one.source.archive_path(one.path))
        found += [f"missing {os.path.basename(path).decode()}" for path in look.missing]
        found += [f"finding {finding.why}" for finding in look.findings]
        for path in look.missing:
            scanner.forget(path)
    return sorted(found)


def test_a_look_reports_only_what_differs_from_the_last(tmp_path: Path) -> None:
    """New, grown, vanished; unchanged files are not mentioned."""
    for name in ("a.log", "b.log", "sub/c.log", "sub/skip.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    scanner = Scanner([source(tmp_path, include=("*.log",), exclude=("*.tmp",))])
    assert seen(scanner) == ["logs/a.log", "logs/b.log", "logs/sub/c.log"]
    assert seen(scanner) == []
    (tmp_path / "a.log").write_text("grown a.log")
    (tmp_path / "sub/c.log").unlink()
    assert seen(scanner) == ["logs/a.log", "missing c.log"]
    (tmp_path / "sub/skip.tmp").unlink()
    (tmp_path / "sub").rmdir()
    (tmp_path / "b.log").rename(tmp_path / "b.old")
    assert seen(scanner) == ["missing b.log"]


def test_what_the_registry_knows_is_not_reported_unless_a_look_is_due(tmp_path: Path) -> None:
    """Marks survive a restart."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    first = Scanner([source(tmp_path)])
    stats = {one.path: one.stat for look in first.walk() for one in look.seen}
    path_a, path_b = sorted(stats)
    second = Scanner([source(tmp_path)])
    assert second.load([(path_a, stats[path_a].mark), (path_b, 0)]) == 2
    assert seen(second) == ["logs/b"]


def test_folders_are_not_followed_through_links_and_a_loop_ends(tmp_path: Path) -> None:
    """A link to a folder is passed over."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("a")
    (tmp_path / "d/loop").symlink_to(tmp_path)
    assert seen(Scanner([source(tmp_path)])) == ["logs/d/a"]


def test_a_linked_file_is_taken_only_inside_the_sources_and_only_once(tmp_path: Path) -> None:
    """Not one that is sent under its own name, never one outside: a link must not open the rest of the machine."""
    outside = tmp_path / "secret"
    outside.write_text("secret")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app-7.log").write_text("seven")
    (logs / "data.bin").write_text("data")
    (logs / "current.log").symlink_to("app-7.log")
    (logs / "data.log").symlink_to("data.bin")
    (logs / "stolen.log").symlink_to(outside)
    (logs / "dangling.log").symlink_to(logs / "nothing.bin")
    scanner = Scanner([source(logs, include=("*.log",))])
    found = seen(scanner)
    assert [name for name in found if not name.startswith("finding")] == ["logs/app-7.log", "logs/data.log"]
    assert any(name.startswith("finding link to") for name in found)
    (logs / "data.bin").write_text("more data")
    assert [name for name in seen(scanner) if not name.startswith("finding")] == ["logs/data.log"]


def test_a_source_that_does_not_exist_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """What was known below it is not taken for deleted."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    (good / "a").write_text("a")
    (bad / "b").write_text("b")
    sources = [source(good), Source.of(SourceSettings(path=str(bad), to="/bad"))]
    scanner = Scanner(sources)
    assert seen(scanner) == ["bad/b", "logs/a"]
    bad.rename(tmp_path / "elsewhere")
    assert seen(scanner) == ["finding source folder does not exist"]
    (tmp_path / "elsewhere").rename(bad)
    assert seen(scanner) == []


def test_the_agents_own_files_are_never_seen(tmp_path: Path) -> None:
    """Whatever the patterns say."""
    (tmp_path / "agent.toml").write_text("[agent]")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/registry.db").write_text("x")
    (tmp_path / "app.log").write_text("x")
    never = [os.fsencode(tmp_path / name) for name in ("agent.toml", "state")]
    assert seen(Scanner([source(tmp_path)], never=never)) == ["logs/app.log"]


def test_only_names_a_watcher_gave_are_looked_at(tmp_path: Path) -> None:
    """Files, vanished files, new folders."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    scanner = Scanner([source(tmp_path)])
    seen(scanner)
    (tmp_path / "a").write_text("aa")
    (tmp_path / "b").unlink()
    (tmp_path / "new").mkdir()
    folder = os.fsencode(tmp_path)
    look = scanner.look_names(folder, [b"a", b"b", b"new", b"never-there"])
    assert [one.path for one in look.seen] == [folder + b"/a"]
    assert look.missing == [folder + b"/b"]
    assert look.folders == [folder + b"/new"]


INSIDE = {
    "other patterns": [("", {"include": ("*.log",)}), ("app", {"include": ("*.txt",), "to": "/app"})],
    "excluded by the outer one": [("", {"exclude": ("app",)}), ("app", {"to": "/app"})],
    "inner one first": [("app", {"include": ("*.txt",), "to": "/app"}), ("", {"include": ("*.log",)})],
    "the same folder twice": [("", {"include": ("*.log",)}), ("", {"include": ("*.txt",), "to": "/app"})],
    "excluded deeper": [("", {"exclude": ("deep",), "include": ("*.log",)}), ("app", {"to": "/app"})],
}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("other patterns", ["app/deep/b.txt", "app/t.txt", "logs/a.log", "logs/app/b.log", "logs/app/deep/c.log"]),
        ("excluded by the outer one", ["app/b.log", "app/deep/b.txt", "app/deep/c.log", "app/t.txt", "logs/a.log"]),
        ("inner one first", ["app/deep/b.txt", "app/t.txt", "logs/a.log", "logs/app/b.log", "logs/app/deep/c.log"]),
        (
            "the same folder twice",
            ["app/app/deep/b.txt", "app/app/t.txt", "logs/a.log", "logs/app/b.log", "logs/app/deep/c.log"],
        ),
        ("excluded deeper", ["app/deep/b.txt", "app/deep/c.log", "app/t.txt", "logs/a.log", "logs/app/b.log"]),
    ],
)
def test_sources_inside_each_other_lose_no_file(tmp_path: Path, how: str, expected: list[str]) -> None:
    """Each file belongs to the first source that looks into its folder and wants it; also once it is known, and when a
    watcher tells of it."""
    names = ("a.log", "app/b.log", "app/t.txt", "app/deep/b.txt", "app/deep/c.log")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    sources = [
        Source.of(SourceSettings(path=str(tmp_path / below), **{"to": "/logs", **more}))  # type: ignore[arg-type, dict-item]
        for below, more in INSIDE[how]
    ]
    scanner = Scanner(sources)
    assert seen(scanner) == expected
    assert seen(scanner) == []
    for name in names:
        (tmp_path / name).write_text(name * 2)
    assert seen(scanner) == expected
    told = Scanner(sources)
    looks = [told.look_names(os.fsencode(tmp_path / name).rpartition(b"/")[0], [os.path.basename(os.fsencode(name))])
             for name in names]  # fmt: skip
    assert sorted(one.source.archive_path(one.path) for look in looks for one in look.seen) == expected


def test_a_renamed_file_stays_with_the_inner_source(tmp_path: Path) -> None:
    """Its new name matches no pattern: of the sources that look there the innermost has it."""
    outer = source(tmp_path, include=("*.txt",))
    inner = Source.of(SourceSettings(path=str(tmp_path / "app"), to="/app", include=("*.log",)))
    scanner = Scanner([outer, inner])
    path = os.fsencode(tmp_path) + b"/app/a.log.1"
    assert (scanner.source_of(path), scanner.source_at(path)) == (None, inner)
    assert not scanner.wants(os.fsencode(tmp_path) + b"/app.log")
