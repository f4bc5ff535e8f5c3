"""Telling a program: one POST with a JSON body, signed if there is a secret. Redirects are not followed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import logferry
from logferry.archive.alert_records import MessageRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig
from logferry.limits import ALERT_REPLY_BYTES_MAX, ALERT_SEND_S_MAX
from logferry.server.alerts.channels import Outcome, first_line, said, trust, within

SIGNATURE = "Logferry-Signature"


@dataclass(frozen=True, slots=True)
class Webhook:
    """``url_file``: its first line is the address, which may have a secret in it; ``secret_file``: of the signature."""

    name: str
    url_file: str
    secret_file: str = ""
    ca_file: str = ""
    clock: Clock = SYSTEM
    seconds: float = ALERT_SEND_S_MAX
    kind: str = "webhook"

    @property
    def where(self) -> str:
        """Scheme and host alone: the rest of such an address is often a secret."""
        try:
            address = webhook_address(first_line(self.url_file, "webhook_file"))
        except BadConfig as error:
            return error.message
        return f"{address.scheme}://{address.netloc}/…"

    def send(self, message: MessageRecord, attempt: int) -> Outcome:
        """POST it once. Taken is what is answered 2xx."""
        try:
            address = webhook_address(first_line(self.url_file, "webhook_file"))
            return self._post(address, message, attempt)
        except BadConfig as error:
            return Outcome(False, said(str(error)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Outcome(False, said(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))

    def _post(self, address: SplitResult, message: MessageRecord, attempt: int) -> Outcome:
        body = message.body.encode()
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        with self._connected(address) as connection:
            connection.request("POST", path, body, self._headers(message, body, attempt))
            answer = connection.getresponse()
            text = answer.read(ALERT_REPLY_BYTES_MAX).decode("utf-8", "replace")
            reply = f"{answer.status} {answer.reason} {text}"
            if 300 <= answer.status < 400:
                reply = f"{answer.status} {answer.reason}: redirects are not followed; write the address it leads to"
            return Outcome(200 <= answer.status < 300, said(reply))

    @contextlib.contextmanager
    def _connected(self, address: SplitResult) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut when time is up, whatever the other side drips into it."""
        host, port = address.hostname or "", address.port
        connection: http.client.HTTPConnection
        if address.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=self.seconds, context=trust(self.ca_file))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.seconds)
        wire: socket.socket | None = None
        try:
            # Of an answer that ends with the connection, http.client lets go of the socket before it is read.
            with within(self.seconds, lambda: connection.sock or wire):
                connection.connect()
                wire = connection.sock
                yield connection
        finally:
            connection.close()

    def _headers(self, message: MessageRecord, body: bytes, attempt: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"logferry/{logferry.__version__}",
            "Logferry-Event": message.event,
            "Logferry-Delivery": message.uid,
            "Logferry-Attempt": str(attempt),
        }
        if self.secret_file:
            secret = first_line(self.secret_file, "secret_file")
            headers[SIGNATURE] = signature(secret, body, self.clock.now_ns() // 1_000_000_000)
        return headers


def signature(secret: str, body: bytes, at_s: int) -> str:
    """``t=<seconds since 1970>,v1=<hex>``: HMAC-SHA256 with the secret over ``<seconds>.<body>``."""
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def webhook_address(text: str) -> SplitResult:
    """The parts of an address. Raises BadConfig; the address itself is not in the message."""
    hint = "for example https://chat.example/hooks/abc"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadConfig("the webhook's address is no URL", hint=hint) from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise BadConfig("the webhook's address is no http(s) URL", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise BadConfig("the webhook's address has a name or password in it", hint="use secret_file for a signature")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadConfig("the webhook's address has characters that no URL has", hint=hint)
    return parts
