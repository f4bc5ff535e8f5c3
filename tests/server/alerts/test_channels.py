"""Webhooks and mail against real receivers: what comes, how it is signed, what is said of what does not."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from logferry.archive.alert_records import AlertRecord, MessageRecord
from logferry.clock import ManualClock
from logferry.errors import BadConfig
from logferry.limits import ALERT_REPLY_BYTES_MAX
from logferry.server.alerts.mail import Mail
from logferry.server.alerts.messages import Sender, compose, title_of
from logferry.server.alerts.signs import DISK
from logferry.server.alerts.webhook import Webhook, webhook_address
from tests.server.alerts.receivers import certificate, dripping, http_receiver, mail_server

SENDER = Sender("logs", "https://logs.example/logferry")
ALERT = AlertRecord(
    "silence", "web-01", "web", "not heard for 5 h", "built in", 1_760_000_000 * 10**9, 1_760_000_001 * 10**9, id=7
)


def message(*alerts: AlertRecord, event: str = "raised", fleet: int = 0) -> MessageRecord:
    """As it stands in the catalog."""
    assert event in ("raised", "resolved", "test")
    return compose(
        event,  # type: ignore[arg-type]
        alerts or (ALERT,), channel="ops", uid="ab" * 16, now_ns=1_760_000_061 * 10**9, sender=SENDER, fleet=fleet,
    )  # fmt: skip


def webhook(folder: Path, url: str, *, secret: str = "", ca_file: str = "", seconds: float = 10.0) -> Webhook:
    """A channel whose address and secret lie in files."""
    (folder / "url").write_text(f"{url}\nnot this line\n")
    (folder / "secret").write_text(f"{secret}\n")
    return Webhook(
        "ops", str(folder / "url"), str(folder / "secret") if secret else "", ca_file, ManualClock(), seconds
    )


def mail(port: int, **values: object) -> Mail:
    """A channel to the loopback."""
    given: dict[str, object] = {"tls": "off", "seconds": 10.0} | values
    to = ("ops@example.org", "night@example.org")
    return Mail("people", "127.0.0.1", port, "logferry@example.org", to, **given)  # type: ignore[arg-type]


# Webhooks ------------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_the_documented_body(tmp_path: Path) -> None:
    with http_receiver() as inbox:
        outcome = webhook(tmp_path, inbox.url).send(message(), 1)
    assert outcome.taken
    assert outcome.reply.startswith("204")
    headers, body = inbox.got[0]
    told = json.loads(body)
    assert {name: headers[name] for name in ("Logferry-Event", "Logferry-Delivery", "Logferry-Attempt")} == {
        "Logferry-Event": "raised", "Logferry-Delivery": "ab" * 16, "Logferry-Attempt": "1",
    }  # fmt: skip
    assert headers["Content-Type"] == "application/json"
    assert "Logferry-Signature" not in headers
    assert set(told) == {"version", "id", "event", "at", "server", "title", "text", "count", "alerts"}
    assert (told["version"], told["id"], told["title"], told["count"]) == (1, "ab" * 16, "web-01 is silent", 1)
    assert told["server"] == {"name": "logs", "url": "https://logs.example/logferry"}
    assert told["alerts"] == [
        {
            "id": 7, "kind": "silence", "agent": "web-01", "group": "web", "title": "web-01 is silent",
            "reason": "not heard for 5 h", "raised_at": "2025-10-09T08:53:21.000Z", "resolved_at": None,
            "link": "https://logs.example/logferry/agents/web-01?tab=health",
        }
    ]  # fmt: skip


def test_a_signature_is_over_time_and_body(tmp_path: Path) -> None:
    with http_receiver() as inbox:
        channel = webhook(tmp_path, inbox.url, secret="pa$$ wörd")
        assert channel.send(message(), 1).taken
    headers, body = inbox.got[0]
    at, _, digest = headers["Logferry-Signature"].partition(",")
    seconds = at.removeprefix("t=")
    assert int(seconds) == channel.clock.now_ns() // 10**9
    expected = hmac.new("pa$$ wörd".encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == f"v1={expected}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(tmp_path: Path, status: int) -> None:
    with http_receiver() as inside, http_receiver() as inbox:
        inbox.answers = [(status, {"Location": inside.url}, b"")]
        outcome = webhook(tmp_path, inbox.url).send(message(), 1)
    assert not outcome.taken
    assert "redirects are not followed" in outcome.reply
    assert inside.got == []


def test_what_the_receiver_says_is_kept_inert_and_short(tmp_path: Path) -> None:
    with http_receiver() as inbox:
        inbox.answers = [(500, {}, b"no\r\nSet-Cookie: x\x1b[31m <b>\xff" + b"z" * 100_000)]
        outcome = webhook(tmp_path, inbox.url).send(message(), 1)
    assert not outcome.taken
    assert outcome.reply.startswith("500 ")
    assert outcome.reply.isprintable()
    assert len(outcome.reply) <= 500
    assert "s3cret" not in webhook(tmp_path, inbox.url).where


def test_who_drips_is_cut_off(tmp_path: Path) -> None:
    """A time-out for each byte would never end."""
    with http_receiver() as inbox:
        inbox.drip = True
        outcome = webhook(tmp_path, inbox.url, seconds=0.3).send(message(), 1)
    assert not outcome.taken
    assert len(inbox.got) == 1


def test_who_drips_an_answer_that_ends_with_the_connection_is_cut_off(tmp_path: Path) -> None:
    """Such an answer is read when http.client has let go of the socket already."""
    with http_receiver() as inbox:
        inbox.drips_body = True
        webhook(tmp_path, inbox.url, seconds=1.0).send(message(), 1)
        assert 0 < inbox.dripped < ALERT_REPLY_BYTES_MAX


def test_who_is_not_there_or_not_known_is_said(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/"
    assert "refused" in webhook(tmp_path, nobody).send(message(), 1).reply.lower()
    made = certificate(tmp_path / "tls")
    with http_receiver(made) as inbox:
        stranger = webhook(tmp_path, inbox.url).send(message(), 1)
        friend = webhook(tmp_path, inbox.url, ca_file=made.certificate_path).send(message(), 1)
    assert not stranger.taken
    assert "certificate" in stranger.reply.lower()
    assert friend.taken
    assert len(inbox.got) == 1


@pytest.mark.parametrize(
    "address",
    ["", "ftp://x/", "file:///etc/passwd", "http://", "http://user:pw@x/", "http://x:0/", "http://x:99999/",
     "http://x/\x00", "http://x/ y", "javascript:alert(1)", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_telling_it(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadConfig) as caught:
        webhook_address(address)
    assert not address or address not in str(caught.value.message)
    outcome = webhook(tmp_path, address).send(message(), 1)
    assert not outcome.taken


def test_missing_files_are_said() -> None:
    for channel in (Webhook("ops", "/nowhere/url"), mail(1, user="x", password_file="/nowhere/password")):
        outcome = channel.send(message(), 1)
        assert not outcome.taken
        assert "/nowhere/" in outcome.reply


# Mail ----------------------------------------------------------------------------------------------------------------


def read(raw: bytes) -> EmailMessage:
    """A mail as a program reads it."""
    found = message_from_bytes(raw, policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


def test_a_mail_says_what_and_comes_to_everybody_it_is_for() -> None:
    with mail_server() as box:
        outcome = mail(box.port).send(message(), 1)
    assert outcome.taken, outcome.reply
    envelope = box.got[0]
    assert envelope.rcpt_tos == ["ops@example.org", "night@example.org"]
    got = read(envelope.content)
    assert got["Subject"] == "[logferry logs] web-01 is silent"
    assert got["From"] == "logferry@example.org"
    assert got["Message-ID"] == f"<{'ab' * 16}@example.org>"
    assert got["Auto-Submitted"] == "auto-generated"
    text = got.get_content()
    assert "not heard for 5 h" in text
    assert "https://logs.example/logferry/agents/web-01?tab=health" in text


def test_mail_goes_over_starttls_with_a_password_and_never_without(tmp_path: Path) -> None:
    made = certificate(tmp_path / "tls")
    (tmp_path / "password").write_text("geheim\n")
    secret = {"user": "logferry", "password_file": str(tmp_path / "password"), "ca_file": made.certificate_path}
    with mail_server(made, password="geheim") as box:
        assert mail(box.port, tls="starttls", **secret).send(message(), 1).taken
        assert box.got[0].was_encrypted
        assert (
            not mail(box.port, tls="starttls", user="logferry", password_file=secret["password_file"])
            .send(message(), 1)
            .taken
        ), "an unknown authority"
        (tmp_path / "password").write_text("falsch\n")
        wrong = mail(box.port, tls="starttls", **secret).send(message(), 1)
        assert not wrong.taken
        assert "535" in wrong.reply
        assert "falsch" not in wrong.reply
    with mail_server() as plain:
        refused = mail(plain.port, tls="starttls", ca_file=made.certificate_path).send(message(), 1)
        assert not refused.taken
        assert plain.got == []
    with mail_server(made, implicit=True) as box:
        assert mail(box.port, tls="tls", ca_file=made.certificate_path).send(message(), 1).taken


def test_a_refused_mail_has_the_servers_words() -> None:
    with mail_server() as box:
        box.refuse = "550 no such user here"
        outcome = mail(box.port).send(message(), 1)
    assert not outcome.taken
    assert "550 no such user here" in outcome.reply


@pytest.mark.parametrize("first", [b"", b"220-one\r\n220-"])
def test_a_mail_server_that_drips_its_greeting_is_cut_off(first: bytes) -> None:
    """It is waited for before there is anything to send."""
    with dripping(first) as port:
        outcome = mail(port, seconds=1.0).send(message(), 1)
    assert not outcome.taken


def test_nothing_that_comes_from_a_node_gets_into_a_mails_head() -> None:
    evil = "x\r\nBcc: victim@example.org\r\n\r\n.\r\nMAIL FROM:<evil@example.org>"
    alert = ALERT._replace(subject=evil, reason=evil, group=evil)
    with mail_server() as box:
        assert mail(box.port).send(message(alert), 1).taken
    assert len(box.got) == 1
    assert box.got[0].rcpt_tos == ["ops@example.org", "night@example.org"]
    got = read(box.got[0].content)
    assert got["Bcc"] is None
    assert "\n" not in got["Subject"]
    assert sorted(got.keys()).count("Subject") == 1


# What is said --------------------------------------------------------------------------------------------------------


def test_many_are_counted_and_the_first_are_named() -> None:
    many = [ALERT._replace(id=n, subject=f"agent-{n:04}") for n in range(1000)]
    told = json.loads(message(*many, fleet=1100).body)
    assert told["title"] == "1,000 agents are silent"
    assert (told["count"], len(told["alerts"])) == (1000, 50)
    assert "1,000 of 1,100 agents at once: look at the network" in told["text"]
    assert "and 950 more: https://logs.example/logferry/alerts" in told["text"]
    assert "at once" not in json.loads(message(*many[:10], fleet=1100).body)["text"]


def test_titles_say_what_began_and_what_ended() -> None:
    disk = AlertRecord("disk", DISK)
    quota = AlertRecord("quota", "db-01")
    assert title_of("raised", [ALERT, disk]) == "web-01 is silent; the archive's disk is nearly full"
    assert title_of("resolved", [ALERT]) == "web-01 is heard again"
    named_so = quota._replace(subject="silence")
    assert title_of("raised", [named_so]) == "the quota of silence is nearly used up", "a name is no kind"
    assert title_of("raised", [quota, quota._replace(subject="db-02"), disk]) == (
        "the quotas of 2 agents are nearly used up; the archive's disk is nearly full"
    )
