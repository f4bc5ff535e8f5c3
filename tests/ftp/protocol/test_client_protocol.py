"""The client's half of a control connection, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadName, Busy, Unreachable
from logferry.ftp.protocol.client import GREETING, Answer, ClientProtocol
from logferry.ftp.protocol.replies import Reply


def greeted() -> ClientProtocol:
    """A protocol behind its greeting."""
    protocol = ClientProtocol()
    protocol.receive(b"220 hello\r\n")
    return protocol


def test_the_first_reply_is_the_greeting() -> None:
    """120 may come before it."""
    protocol = ClientProtocol()
    assert protocol.receive(b"120 soon\r\n") == [Answer(GREETING, Reply(120, ("soon",)))]
    assert protocol.waiting == 1
    assert protocol.receive(b"220 now\r\n") == [Answer(GREETING, Reply(220, ("now",)))]
    assert protocol.waiting == 0


@given(st.integers(1, 40))
def test_pipelined_commands_get_their_answers_in_order(step: int) -> None:
    """Whatever the pieces in which the replies come."""
    protocol = greeted()
    sent = protocol.send(("EPSV", ""), ("STOR", "/a"), ("SIZE", "/a"), ("noop", ""))
    assert sent == b"EPSV\r\nSTOR /a\r\nSIZE /a\r\nnoop\r\n"
    wire = b"229 (|||5|)\r\n150 go\r\n226 stored\r\n213 7\r\n200 ok\r\n"
    answers = [a for n in range(0, len(wire), step) for a in protocol.receive(wire[n : n + step])]
    assert [(a.verb, a.reply.code) for a in answers] == [
        ("EPSV", 229),
        ("STOR", 150),
        ("STOR", 226),
        ("SIZE", 213),
        ("NOOP", 200),
    ]
    assert protocol.waiting == 0


def test_a_bad_name_among_commands_leaves_none_of_them_waiting() -> None:
    """Or all later answers would belong to the wrong command."""
    protocol = greeted()
    with pytest.raises(BadName):
        protocol.send(("EPSV", ""), ("STOR", "/a\nDELE /b"))
    assert protocol.waiting == 0


def test_an_unasked_reply_ends_the_connection() -> None:
    """Who belongs to whom is lost; 421 at least says why."""
    with pytest.raises(Unreachable):
        greeted().receive(b"226 surprise\r\n")
    with pytest.raises(Busy):
        greeted().receive(b"421 idle too long\r\n")


def test_plain_text_behind_auth_tls_is_refused() -> None:
    """A reply injected before the handshake would be believed after it."""
    protocol = greeted()
    protocol.send(("AUTH", "TLS"))
    protocol.receive(b"234 go\r\n230 inj")
    with pytest.raises(Unreachable, match="plain text"):
        protocol.begin_tls()


@pytest.mark.parametrize(
    ("commands", "replies", "doubtful"),
    [
        ([("REST", "5"), ("STOR", "/a")], b"350 ok\r\n150 go\r\n226 ok\r\n", False),
        ([("REST", "5"), ("EPSV", ""), ("STOR", "/a")], b"350 ok\r\n229 (|||5|)\r\n150 go\r\n226 ok\r\n", False),
        ([("REST", "5"), ("STOR", "/a")], b"350 ok\r\n553 no\r\n", True),
        ([("REST", "5"), ("RETR", "/a")], b"350 ok\r\n150 go\r\n426 cut\r\n", True),
        ([("REST", "5"), ("APPE", "/a")], b"350 ok\r\n450 no\r\n", True),
        ([("REST", "5")], b"501 no\r\n", True),
        ([("STOR", "/a")], b"553 no\r\n", False),
        ([("REST", "5"), ("STOR", "/a"), ("STOR", "/b")], b"350 ok\r\n226 ok\r\n553 no\r\n", False),
    ],
)
def test_an_error_behind_rest_makes_the_connection_doubtful(
    commands: list[tuple[str, str]], replies: bytes, doubtful: bool
) -> None:
    """Some servers apply the position to the next transfer then (pyftpdlib after APPE)."""
    protocol = greeted()
    protocol.send(*commands)
    protocol.receive(replies)
    assert protocol.restart_doubtful is doubtful
