"""LIST, NLST, MLSD and STAT with the options and patterns people send, over a real folder; every bound with its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.errors import NotFound, Refused
from logferry.ftp import LocalFilesystem, Permissions, listings
from logferry.ftp.listings import Listing, rows, status_rows
from logferry.ftp.protocol.list_options import read_options
from logferry.ftp.protocol.state import State, Terms
from tests.ftp.kit import serving

NOW_NS = 1_800_000_000 * 10**9


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Files in three folders, with ages and sizes that make every order another one."""
    for age, (name, size) in enumerate([("b", 3), ("a", 1), (".c", 2), ("logs/x.log", 5), ("logs/deep/y.log", 6)]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, ns=(NOW_NS - age * 10**9,) * 2)
    (tmp_path / "logs/[1]").mkdir()
    (tmp_path / "logs/[1]/z.log").write_bytes(b"")
    os.utime(tmp_path / "logs", ns=(NOW_NS - 9 * 10**9,) * 2)
    return tmp_path


def in_state() -> State:
    """That of somebody who may do everything."""
    return State(Terms(), permissions=Permissions())


class Fenced(State):
    """That of somebody who may list everything but ``/logs/deep``."""

    def letters(self, path: str) -> Permissions:
        return Permissions("") if path == "/logs/deep" else Permissions()


def listed(home: Path, argument: str, verb: str = "NLST", folder: str = "/", state: State | None = None) -> Listing:
    """The listing for what a client sends."""
    options, path = read_options(argument)
    absolute = path if path.startswith("/") else f"{folder.rstrip('/')}/{path}".rstrip("/") or "/"
    files = LocalFilesystem(str(home))
    return rows(verb, absolute, path, options, files, state or in_state(), lambda: NOW_NS)


NAMES = {
    "": [".c", "a", "b", "logs"],
    "-a": [".c", "a", "b", "logs"],
    "-t": ["b", "a", ".c", "logs"],
    "-tr": ["logs", ".c", "a", "b"],
    "-r": ["logs", "b", "a", ".c"],
    "-SF *": ["logs/", "b", ".c", "a"],
    "-F": [".c", "a", "b", "logs/"],
    "-d": ["."],
    "-d logs": ["logs"],
    "-dF logs/deep": ["logs/deep/"],
    "logs": ["logs/[1]", "logs/deep", "logs/x.log"],
    "logs/": ["logs/[1]", "logs/deep", "logs/x.log"],
    "/logs": ["/logs/[1]", "/logs/deep", "/logs/x.log"],
    "a": ["a"],
    "logs/x.log": ["logs/x.log"],
    "[ab]": ["a", "b"],
    "x*": [],
    "logs/*.log": ["logs/x.log"],
    "/logs/*.log": ["/logs/x.log"],
    "*/*.log": ["logs/x.log"],
    "*/*/*.log": ["logs/[1]/z.log", "logs/deep/y.log"],
    "logs/*/y.log": ["logs/deep/y.log"],
    "l*/de?p": ["logs/deep"],
    "logs/[1]": ["logs/[1]/z.log"],
    "logs/[1]/*": ["logs/[1]/z.log"],
    "-R": [".c", "a", "b", "logs", "logs/[1]", "logs/deep", "logs/x.log", "logs/[1]/z.log", "logs/deep/y.log"],
    "-R logs": ["logs/[1]", "logs/deep", "logs/x.log", "logs/[1]/z.log", "logs/deep/y.log"],
    "-Rr logs": ["logs/x.log", "logs/deep", "logs/[1]", "logs/deep/y.log", "logs/[1]/z.log"],
    "-R a": ["a"],
}


@pytest.mark.parametrize("argument", NAMES)
def test_nlst_gives_names_that_can_be_sent_back(home: Path, argument: str) -> None:
    """Each as the client wrote it, in the order it asked for, by name otherwise; none is left out."""
    made = listed(home, argument)
    assert list(made) == NAMES[argument]
    assert made.cut == ""


def test_names_are_relative_to_the_working_folder(home: Path) -> None:
    """Which may look like a pattern itself."""
    assert list(listed(home, "*", folder="/logs/[1]")) == ["z.log"]
    assert list(listed(home, "", folder="/logs")) == ["[1]", "deep", "x.log"]


def test_list_has_long_lines(home: Path) -> None:
    """Bare names in them; NLST -l has them too; -R has a head for each folder."""
    assert [line.rsplit(" ", 1)[1] for line in listed(home, "logs", "LIST")] == ["[1]", "deep", "x.log"]
    assert list(listed(home, "-l logs")) == list(listed(home, "logs", "LIST"))
    assert [line.rsplit(" ", 1)[-1] for line in listed(home, "-lR logs", "LIST")] == [
        "[1]", "deep", "x.log", "", "logs/[1]:", "z.log", "", "logs/deep:", "y.log",
    ]  # fmt: skip
    assert next(iter(listed(home, "-d logs", "LIST"))).startswith("d")


@pytest.mark.parametrize("argument", ["missing", "missing/*", "-R missing", "a/*"])
def test_what_is_missing_is_told_before_the_transfer(home: Path, argument: str) -> None:
    """When asked, not while lines are read."""
    with pytest.raises(NotFound):
        listed(home, argument)


def test_mlsd_of_a_file_is_refused(home: Path) -> None:
    """MLST is for that."""
    with pytest.raises(Refused, match="no folder"):
        listed(home, "a", "MLSD")


def test_folders_that_may_not_be_listed_stay_closed(home: Path) -> None:
    """Neither -R nor a pattern leads into them; their names are those of the folder above."""
    state = Fenced(Terms(), permissions=Permissions())
    assert list(listed(home, "-R logs", state=state)) == ["logs/[1]", "logs/deep", "logs/x.log", "logs/[1]/z.log"]
    assert list(listed(home, "*/*/*.log", state=state)) == ["logs/[1]/z.log"]
    assert list(listed(home, "*/deep/y.log", state=state)) == []


def test_a_circle_of_links_ends(home: Path) -> None:
    """A folder within itself is named, not entered again."""
    (home / "logs/again").symlink_to("..")
    made = listed(home, "-R")
    assert "logs/again" in list(made)
    assert made.cut == ""


def test_bounds_end_a_listing_and_say_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries, entries of a tree, depth, sorting: never a short listing that looks whole."""
    monkeypatch.setattr(listings, "FTP_LIST_ENTRIES_MAX", 3)
    for argument, verb in (("", "NLST"), ("", "MLSD"), ("*", "LIST"), ("*/*", "NLST")):
        made = listed(home, argument, verb)
        assert len(list(made)) <= 4
        assert "too many entries" in made.cut
    monkeypatch.setattr(listings, "FTP_LIST_RECURSIVE_ENTRIES_MAX", 6)
    made = listed(home, "-R")
    assert len(list(made)) == 6
    assert "too many entries" in made.cut
    monkeypatch.setattr(listings, "FTP_LIST_RECURSIVE_ENTRIES_MAX", 100)
    monkeypatch.setattr(listings, "FTP_LIST_DEPTH_MAX", 1)
    made = listed(home, "-R")
    assert "logs/deep" in list(made)
    assert "too deep" in made.cut
    monkeypatch.setattr(listings, "FTP_LIST_ENTRIES_MAX", 100)
    monkeypatch.setattr(listings, "FTP_LIST_SORTED_ENTRIES_MAX", 3)
    with pytest.raises(Refused, match="sort"):
        listed(home, "-t")
    assert len(list(listed(home, ""))) == 4


def test_a_large_folder_is_listed_whole_though_not_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound for tidying, names come as the disk has them."""
    monkeypatch.setattr(listings, "FTP_LIST_TIDY_ENTRIES_MAX", 2)
    assert sorted(listed(home, "")) == [".c", "a", "b", "logs"]


def test_stat_has_a_bound_of_its_own(home: Path) -> None:
    """A reply is held in memory by clients."""
    options, _ = read_options("")
    files = LocalFilesystem(str(home))
    assert len(status_rows("/", options, files, in_state(), lambda: NOW_NS, 4)) == 4
    with pytest.raises(Refused, match="more than 3"):
        status_rows("/", options, files, in_state(), lambda: NOW_NS, 3)


def test_a_cut_listing_is_451_on_the_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets what there is and hears that it is not all."""
    monkeypatch.setattr(listings, "FTP_LIST_ENTRIES_MAX", 2)
    with serving(tmp_path) as at:
        for name in ("a", "b", "c"):
            (at.home / name).touch()
        with at.client() as client:
            data = client.data("NLST")
            assert len(data.makefile().readlines()) == 2
            data.close()
            assert client.reply().startswith("451 The listing ends here")


def test_stat_lists_over_the_control_connection(tmp_path: Path) -> None:
    """With options and patterns, names that would forge lines left out."""
    with serving(tmp_path) as at:
        for name in ("a.log", "b.log", "c", "d\n226 forged"):
            (at.home / name).touch()
        with at.client() as client:
            lines = client.command("STAT -r *.log").split("\n")
            assert [line.rsplit(" ", 1)[1] for line in lines[1:-1]] == ["b.log", "a.log"]
            assert "forged" not in client.command("STAT /")
            assert client.command("STAT missing").startswith("550")
