"""Print docs/reference/cli.md anew from the commands themselves. `make docs` writes it."""

from __future__ import annotations

import inspect

import click

from logferry.cli.main import logferry

HEAD = """# Commands

Made from the program by `make docs`; every command also answers to `--help`.

Results go to standard output, everything else to standard error. `--json` prints JSON for programs. Exit codes: 0 ok,
1 nothing found, 2 wrong use, 3 refused by the server, 4 partial, or worth trying again. A *place* is `AGENT:/PATH`.

Shell completion: `eval "$(logferry completion bash)"`, likewise `zsh`; how for fish, says `logferry completion --help`.
"""


def section(name: str, command: click.Command) -> str:
    """Heading with usage, what it does, a table of its options."""
    context = click.Context(command, info_name=name)
    arguments = " ".join(p.make_metavar(context) for p in command.params if isinstance(p, click.Argument))
    lines = [f"### `{name}{' ' * bool(arguments)}{arguments}`", "", prose(inspect.cleandoc(command.help or ""))]
    rows = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
    if rows:
        lines += ["", "| option | |", "|---|---|"]
        lines += [f"| `{cell(row[0])}` | {cell(row[1])} |" for row in rows if row]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


def prose(text: str) -> str:
    """A docstring as Markdown: what stands behind click's \\b mark is a block of code."""
    parts = text.strip().split("\n\n")
    made = []
    for part in parts:
        if part.startswith("\b"):
            made.append("```\n" + part.removeprefix("\b").strip("\n") + "\n```")
        else:
            made.append(" ".join(part.split()))
    return "\n\n".join(made)


def sections(group: click.Group, prefix: str) -> list[str]:
    """All commands below ``group``, groups opened up."""
    context = click.Context(group)
    found: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                found.append(section(f"{prefix} {name}", command))
            found += sections(command, f"{prefix} {name}")
        else:
            found.append(section(f"{prefix} {name}", command))
    return found


def main() -> None:
    """Print the page."""
    print(HEAD + "\n" + "\n".join(sections(logferry, "logferry")), end="")


if __name__ == "__main__":
    main()
