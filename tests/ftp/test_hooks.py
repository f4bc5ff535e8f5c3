"""Hooks before a login and before an upload, over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.errors import BadName, Busy, Full, LogferryError, NotPermitted, Refused, TooLarge
from logferry.ftp import Incomplete, LoggedIn, LoginFailed, LoginRequest, Received, SessionEnded, UploadRequest
from tests.ftp.kit import serving


class Asked:
    """A hook that notes what it is asked, and raises what it is told to."""

    def __init__(self, answer: BaseException | None = None) -> None:
        self.uploads: list[UploadRequest] = []
        self.logins: list[LoginRequest] = []
        self.answer = answer

    def upload(self, request: UploadRequest) -> None:
        self.uploads.append(request)
        if self.answer is not None:
            raise self.answer

    def login(self, request: LoginRequest) -> None:
        self.logins.append(request)
        if self.answer is not None:
            raise self.answer


def test_a_hook_is_asked_before_each_upload(tmp_path: Path) -> None:
    """With what is known of it; ALLO counts for the next upload, whatever is listed between, and for no other."""
    hook = Asked()
    with serving(tmp_path, before_upload=hook.upload) as at, at.client() as client:
        session = at.event(LoggedIn).session
        assert client.command("ALLO 5").startswith("202")
        client.download("LIST")
        assert client.upload("STOR a", b"12345").startswith("226")
        assert client.command("REST 5").startswith("350")
        assert client.upload("STOR /a", b"678").startswith("226")
        assert client.command("ALLO 3 R 512").startswith("202")
        assert client.upload("APPE a", b"9").startswith("226")
        reply = client.upload("STOU b", b"0")
        assert client.command("ALLO many").startswith("501")
    who = (session, "ann", "127.0.0.1")
    assert hook.uploads == [
        UploadRequest(*who, path="/a", offset=0, verb="STOR", size=5),
        UploadRequest(*who, path="/a", offset=5, verb="STOR"),
        UploadRequest(*who, path="/a", offset=0, verb="APPE", size=3),
        UploadRequest(*who, path=reply.removeprefix("226 FILE: "), offset=0, verb="STOU"),
    ]


class Teapot(Refused):
    """A program's own refusal."""

    ftp_reply = 504


class Granted(Refused):
    """A refusal that would read like a success."""

    ftp_reply = 226


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (Refused("not on Sundays"), "550 not on Sundays"),
        (NotPermitted("no", hint="ask\r\n226 me"), "550 no (ask 226 me)"),
        (BadName("bad name"), "553 bad name"),
        (TooLarge("too large"), "552 too large"),
        (Full("full"), "452 full"),
        (Busy("busy"), "450 busy"),
        (Teapot("short and stout"), "504 short and stout"),
        (Granted("yes"), "451 Not possible just now; try again later."),
        (RuntimeError("a defect"), "451 Not possible just now; try again later."),
        (OSError("a defect"), "451 Not possible just now; try again later."),
    ],
)
def test_a_hook_refuses_an_upload_before_it_begins(
    tmp_path: Path, answer: Exception, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its code and words; what is no refusal is logged and "later". Nothing is created, the session goes on."""
    hook = Asked(answer)
    with serving(tmp_path, before_upload=hook.upload) as at:
        with at.client() as client:
            client.port()
            assert client.command("STOR a") == reply
            hook.answer = None
            assert client.upload("STOR b", b"x").startswith("226")
        at.event(SessionEnded)
        assert not [event for event in at.seen if isinstance(event, Incomplete)]
        assert [event.path for event in at.seen if isinstance(event, Received)] == ["/b"]
        assert [found.name for found in at.home.iterdir()] == ["b"]
    assert ("a hook" in caplog.text) is reply.startswith("451")


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (Refused("come back on Monday"), "530 come back on Monday"),
        (RuntimeError("a defect"), "530 Not possible just now; try again later."),
    ],
)
def test_a_hook_refuses_a_login(tmp_path: Path, answer: Exception, reply: str) -> None:
    """After the password was checked, so that guessing learns nothing; told as a failed login."""
    hook = Asked(answer)
    with serving(tmp_path, before_login=hook.login, tls="explicit") as at, at.client(login=False) as client:
        client.command("USER ann")
        assert client.command("PASS wrong") == "530 Wrong user name or password."
        assert at.event(LoginFailed).reason == "wrong password"
        assert hook.logins == []
        client.command("USER ann")
        assert client.command("PASS secret") == reply
        failed = at.event(LoginFailed)
        assert failed.reason == f"refused by the program: {reply[4:]}"
        assert client.command("PWD").startswith("530")
        hook.answer = None
        client.login()
        assert hook.logins == [LoginRequest(failed.session, "ann", "127.0.0.1", secure=False)] * 2


def test_the_codes_are_those_of_the_errors() -> None:
    """Every refusal among Logferry's errors has a code that refuses."""
    kinds = [LogferryError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert kind in (Granted, Teapot) or 400 <= kind.ftp_reply <= 599
