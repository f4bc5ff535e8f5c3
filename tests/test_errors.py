"""The tree of errors: what each one tells a person, a shell, a browser and an FTP client."""

from __future__ import annotations

import pytest

from logferry import errors
from logferry.errors import BadQuery, Busy, Damaged, Later, LogferryError, Refused


def _all(kind: type[LogferryError]) -> list[type[LogferryError]]:
    return [kind] + [deeper for direct in kind.__subclasses__() for deeper in _all(direct)]


EVERY = [kind for kind in _all(LogferryError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_says_what_to_do_next_and_has_its_codes(kind: type[LogferryError]) -> None:
    """A docstring for the caller, an exit code, an HTTP status and an FTP reply that fit together."""
    assert kind.__doc__
    assert 1 <= kind.exit_code <= 4
    assert 400 <= kind.http_status < 600
    assert 400 <= kind.ftp_reply < 600
    temporary = issubclass(kind, Later)
    assert not temporary or kind.ftp_reply < 500, "what may be tried again is 4xx for an FTP client"
    assert not issubclass(kind, Refused) or kind.http_status < 500, "a wrong request is the caller's"


def test_the_text_of_an_error_carries_its_hint() -> None:
    """Whoever prints the error alone still gets the next step."""
    assert str(Refused("no agent 'x'", hint="list them")) == "no agent 'x' (list them)"
    assert str(Refused("no agent 'x'")) == "no agent 'x'"


def test_errors_carry_what_their_handling_needs() -> None:
    """Column, waiting time and the two digests are attributes, not text."""
    assert BadQuery("bad", column=7).column == 7
    assert Busy("full", retry_after_s=2.5).retry_after_s == 2.5
    damaged = Damaged("bytes differ", where="a.log", expected="00", found="ff")
    assert (damaged.where, damaged.expected, damaged.found) == ("a.log", "00", "ff")
