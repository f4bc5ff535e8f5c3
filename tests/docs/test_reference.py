"""The reference lags behind nothing: commands, options, settings and routes are all there."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from logferry.agent.config import AgentConfig
from logferry.cli.main import logferry
from logferry.search.query import parse
from logferry.server.config import ServerConfig

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
CONFIG = (DOCS / "reference" / "config.md").read_text()


def test_the_page_of_commands_is_fresh() -> None:
    """cli.md is what the program's own commands and options say; `make docs` writes it anew."""
    made = subprocess.run(
        [sys.executable, ROOT / "tools" / "cli_reference.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (DOCS / "reference" / "cli.md").read_text(), "run: make docs"


def test_commands_that_pages_show_exist() -> None:
    """Every `logferry …` line of README and tutorial names a command of the program."""
    for page in (ROOT / "README.md", DOCS / "tutorial.md"):
        for line in re.findall(r"^(?:\$ )?logferry (.+)$", page.read_text(), re.MULTILINE):
            command: click.Command | None = logferry
            for word in line.split():
                if not isinstance(command, click.Group):
                    break
                command = command.get_command(click.Context(command), word)
                assert command, f"{page.name}: logferry {line}"
            known = {option for p in (command.params if command else ()) for option in p.opts}
            for option in re.findall(r"(?<= )--?[a-zA-Z][a-z-]*(?= |$)", line):
                assert option in known | {"-healthz", "-C1"}, f"{page.name}: logferry {line}: {option}"


def _examples() -> list[str]:
    """Command lines that the help of commands shows, pipelines taken apart."""
    page = (DOCS / "reference" / "cli.md").read_text() + (DOCS / "how-to" / "search.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split(" | ") if part.strip().startswith("logferry ")]


def test_help_has_examples() -> None:
    """Each in a line of its own."""
    assert len(_examples()) > 10
    assert any(line.startswith("logferry grep -C2 ") for line in _examples())


@pytest.mark.parametrize("line", _examples())
def test_examples_of_commands_are_understood(line: str) -> None:
    """Their options exist and take such values; their queries parse."""
    _, *words = shlex.split(line)
    command: click.Command | None = logferry
    while isinstance(command, click.Group):
        name, *words = words
        command = command.get_command(click.Context(command), name)
    assert command is not None, line
    with command.make_context(line, words) as context:
        given = context.params.get("query") or ""
    if command.name in ("grep", "count", "histogram", "find"):
        parse(given if isinstance(given, str) else " ".join(given))


def names(kind: Any, prefix: str = "") -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for each in dataclasses.fields(kind):
        hint = hints[each.name]
        inner = next((a for a in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(a)), None)
        if inner is None:
            yield prefix + each.name
        else:
            yield from names(inner, f"{prefix}{each.name}.")


@pytest.mark.parametrize("kind", [ServerConfig, AgentConfig])
def test_every_setting_is_documented_and_every_documented_one_exists(kind: Any) -> None:
    """The tables of config.md have exactly the settings of the program."""
    part = CONFIG.split("## agent.toml")[kind is AgentConfig].split("## Variables")[0]
    documented = [name.replace("<name>.", "") for name in re.findall(r"^\| `([a-z_.<>]+)`", part, re.MULTILINE)]
    assert sorted(documented) == sorted(names(kind))


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link in README or docs names a file that is there."""
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
