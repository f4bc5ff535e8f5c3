"""``logferry completion``: what a shell reads to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from logferry.cli import failures, text
from logferry.errors import Refused

_HOW = """\
# bash: put this into ~/.bashrc     eval "$(logferry completion bash)"
# zsh:  put this into ~/.zshrc      eval "$(logferry completion zsh)"
# fish: once                        logferry completion fish > ~/.config/fish/completions/logferry.fish
"""


@click.command(epilog="\b\n" + _HOW.replace("# ", ""))
@click.argument("shell", metavar="SHELL", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """The script with which SHELL (bash, zsh or fish) completes logferry's commands and options."""
    from logferry.cli.main import logferry

    found = get_completion_class(shell)
    if found is None:
        raise Refused(f"there is no completion for {shell}", hint="bash, zsh or fish")
    text.out(found(logferry, {}, "logferry", "_LOGFERRY_COMPLETE").source())
    return failures.OK
