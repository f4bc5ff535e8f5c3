"""The table of commands and states on the protocol core, whole and one byte at a time."""

from __future__ import annotations

import pytest

from logferry.ftp.protocol.commands import ALIASES, RULES
from logferry.ftp.protocol.handlers import HANDLERS
from tests.ftp.conformance.core import reply_of
from tests.ftp.conformance.states import STATES
from tests.ftp.conformance.table import ROWS


@pytest.mark.parametrize("single", [False, True], ids=["whole", "bytes"])
@pytest.mark.parametrize("state", STATES)
def test_every_command_is_answered_as_the_table_says(state: str, single: bool) -> None:
    """Each row in this state; the client's bytes come in one piece or one by one, which changes nothing."""
    found = {command: reply_of(command, state, single=single) for command in ROWS}
    assert found == {command: codes[state] for command, codes in ROWS.items()}


def test_the_table_has_every_command() -> None:
    """Also the older names, so that nobody adds a command without saying what it answers when."""
    assert {command.partition(" ")[0] for command in ROWS} == {*RULES, *ALIASES, "FOO"}


@pytest.mark.parametrize("verb", HANDLERS)
def test_every_handler_names_its_command_and_where_it_is_specified(verb: str) -> None:
    """The docstring begins with the verb and names an RFC section, a draft, or that there is none."""
    text = HANDLERS[verb].__doc__ or ""
    assert text.startswith(verb)
    assert "RFC " in text or "draft-" in text or "no RFC" in text, text


def test_help_has_a_usage_for_every_command() -> None:
    """Which names the command itself, and what it needs."""
    for verb, rule in RULES.items():
        assert rule.usage.split()[0] == verb
        assert (rule.argument == "none") == (rule.usage == verb), rule.usage
