"""The page about ``logferry.ftp`` is what its docstrings say, and they say something about every public name."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import logferry.ftp as library
from logferry import errors
from logferry.ftp.protocol.commands import ALIASES, RULES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "ftp.md").read_text()


def test_the_page_is_fresh() -> None:
    """ftp.md is what the docstrings say; `make docs` writes it anew."""
    made = subprocess.run(
        [sys.executable, ROOT / "tools" / "ftp_reference.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == PAGE, "run: make docs"


def test_the_page_lists_every_public_name_and_every_command() -> None:
    """Each has its heading, or its row."""
    for name in library.__all__:
        assert f"\n### `{name}`\n" in PAGE, name
    for verb in [*RULES, *ALIASES]:
        assert f"`{verb}`" in PAGE or f"| `{verb} " in PAGE, verb


def public() -> Iterator[tuple[str, Any]]:
    """Every public class and function of the library, and what is public in the classes."""
    for name in library.__all__:
        found = getattr(library, name)
        if not inspect.isclass(found) and not inspect.isfunction(found):
            continue  # a name for a type, explained on the page
        yield name, found
        for inner, raw in vars(found).items() if inspect.isclass(found) else ():
            member = raw.fget if isinstance(raw, property) else getattr(raw, "__func__", raw)
            if not inner.startswith("_") and inspect.isfunction(member):
                yield f"{name}.{inner}", member


@pytest.mark.parametrize(("name", "found"), [pytest.param(name, found, id=name) for name, found in public()])
def test_everything_public_has_a_docstring_of_its_own(name: str, found: Any) -> None:
    """Not an inherited one, and not the signature that dataclasses put there."""
    text = found.__doc__ or ""
    assert text.strip(), f"{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{name} has no docstring of its own"


def test_pydoc_begins_with_an_overview_that_names_what_is_there() -> None:
    """`python -m pydoc logferry.ftp` shows the package's docstring first; nothing in it is out of date."""
    shown = subprocess.run(
        [sys.executable, "-m", "pydoc", "logferry.ftp"], capture_output=True, text=True, check=True
    ).stdout
    overview = shown.partition("PACKAGE CONTENTS")[0]
    assert "What is there:" in overview
    assert max(len(line) for line in overview.splitlines()) <= 124
    for group in re.findall(r"^## (.+)$", PAGE.partition("\n## The wire")[0], re.MULTILINE):
        assert f"\n    {group}\n" in overview
    for name in re.findall(r"``([A-Z]\w+)``", overview):
        assert hasattr(library, name) or hasattr(errors, name), name
