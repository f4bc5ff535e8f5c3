"""The tutorial of the FTP library, worked through as a reader would: every block runs and prints what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import Reader, blocks, commands, matches

PAGE = Path(__file__).parents[2] / "docs" / "ftp" / "tutorial.md"


@pytest.mark.peers
def test_every_block_runs_and_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty folder, in the order of the page; servers end with Ctrl-C and without a trace."""
    if missing := [program for program in ("curl", "lftp", "zstd", "tar") if shutil.which(program) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed (tools/programs.sh)")
    monkeypatch.chdir(tmp_path)
    reader = Reader(PAGE.name, tmp_path)
    try:
        reader.read(PAGE.read_text())
    finally:
        reader.close()


def test_it_keeps_its_word_about_lengths() -> None:
    """A server in ten lines, an upload in five (without blank lines and the name of the file)."""
    found = {block.text.splitlines()[0]: block.text for block in blocks(PAGE.read_text())}
    for name, most in (("# serve.py", 10), ("# upload.py", 5)):
        assert sum(bool(line.strip()) for line in found[name].splitlines()[1:]) <= most, name


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a…c\n", "abc\n", True),
        ("a…c\n", "abd\n", False),
        ("a\n…\nc\n", "a\nc\n", True),
        ("a\n…\nc\n", "a\nb\nb\nc\n", True),
        ("a\n…\nc\n", "a\nb\n", False),
        ("", "a\n", False),
        ("a\n", "", False),
        ("(a)\n", "(a)  \n", True),
    ],
)
def test_what_is_shown_is_compared_with_what_was_printed(shown: str, printed: str, same: bool) -> None:
    """… is anything within a line, or any lines; nothing else is."""
    assert matches(shown, printed) is same


def test_commands_are_cut_from_what_they_print() -> None:
    """A line may go on after a backslash."""
    assert list(commands("$ a \\\n    b\nout\n$ c\n")) == [("a b", "out\n"), ("c", "")]
