"""Telling people by mail: SMTP with TLS, by name and password where the server wants them."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from typing import Any

from logferry.archive.alert_records import MessageRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig
from logferry.limits import ALERT_SEND_S_MAX
from logferry.server.alerts.channels import Outcome, first_line, said, trust, within
from logferry.server.alerts.messages import body_of


class _Held(smtplib.SMTP):
    """Is in ``held`` before it connects: making one waits for the server's greeting, which may be dripped, too."""

    def __init__(self, held: list[smtplib.SMTP], *args: Any, **named: Any) -> None:
        held.append(self)
        super().__init__(*args, **named)


class _HeldEncrypted(_Held, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


@dataclass(frozen=True, slots=True)
class Mail:
    """``host`` and ``port`` of an SMTP server; ``tls``: ``starttls``, ``tls`` from the first byte, or ``off``."""

    name: str
    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    tls: str = "starttls"
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    clock: Clock = SYSTEM
    seconds: float = ALERT_SEND_S_MAX
    kind: str = "mail"

    @property
    def where(self) -> str:
        """To whom."""
        return ", ".join(self.to)

    def send(self, message: MessageRecord, attempt: int) -> Outcome:  # noqa: ARG002 - the protocol's name
        """Hand it over once. Taken is what the server takes for at least one of those it is for; the rest is said."""
        try:
            password = first_line(self.password_file, "smtp_password_file") if self.password_file else ""
            with self._connected() as server:
                if self.user:
                    server.login(self.user, password)
                refused = server.send_message(self.written(message), self.sender, list(self.to))
        except BadConfig as error:
            return Outcome(False, said(str(error)))
        except smtplib.SMTPRecipientsRefused as error:
            return Outcome(False, said(_refusals(error.recipients)))
        except smtplib.SMTPResponseException as error:
            return Outcome(False, said(f"{error.smtp_code} {_text(error.smtp_error)}"))
        except (OSError, ValueError) as error:  # SMTP's own errors are among the first
            return Outcome(False, said(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))
        return Outcome(True, said(f"taken by {self.host}" + (f", but not for {_refusals(refused)}" if refused else "")))

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        context = None if self.tls == "off" else trust(self.ca_file)
        held: list[smtplib.SMTP] = []
        try:
            with within(self.seconds, lambda: held[0].sock if held else None):
                server: smtplib.SMTP
                if self.tls == "tls":
                    server = _HeldEncrypted(held, self.host, self.port, timeout=self.seconds, context=context)
                else:
                    server = _Held(held, self.host, self.port, timeout=self.seconds)
                if self.tls == "starttls":
                    server.starttls(context=context)  # a server that offers none is refused, not told in clear text
                yield server
                try:
                    server.quit()
                except OSError:  # SMTP's own errors are such
                    return  # it has taken the mail; how it says goodbye is its own affair
        finally:
            for one in held:
                one.close()

    def written(self, message: MessageRecord) -> EmailMessage:
        """The mail. Nothing that comes from nodes gets into its head but on one line, marked where it is odd."""
        body = body_of(message)
        mail = EmailMessage(policy=POLICY)
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail["Subject"] = said(f"[logferry {body['server']['name']}] {message.title}")
        mail["Date"] = format_datetime(datetime.fromtimestamp(message.made_ns // 1_000_000_000, UTC))
        mail["Message-ID"] = f"<{message.uid}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Logferry-Event"] = message.event
        mail.set_content(f"{body['text']}\n\n-- \nSent by Logferry on {body['server']['name']}, channel {self.name}\n")
        return mail


def _refusals(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{who}: {code} {_text(why)}" for who, (code, why) in refused.items())


def _text(why: bytes | str) -> str:
    return why.decode("utf-8", "replace") if isinstance(why, bytes) else why
