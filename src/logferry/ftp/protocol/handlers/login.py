"""Who the client is and how the connection is protected: login (RFC 959 4.1.1), TLS (RFC 2228, 4217), HOST."""

from __future__ import annotations

import re

from logferry.ftp.protocol.actions import Action, CheckPassword, HangUp, StartTls
from logferry.ftp.protocol.handlers.replying import reply
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State
from logferry.limits import FTP_CLIENT_CHARS_MAX

# RFC 7151 3.1: a DNS name, a dotted IPv4 address, or an IPv6 address in brackets; never a port.
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\]")


def user(state: State, argument: str) -> Reply:
    """USER (RFC 959 4.1.1): the name, of which nobody is told whether it exists."""
    if state.tls_required and not state.secure:
        return reply(530, "TLS is required here: send AUTH TLS first.")
    state.forget_user()
    state.offered_user = argument
    return reply(331, "Password please.")


def password(state: State, argument: str) -> Reply | Action:
    """PASS (RFC 959 4.1.1): the password; a wrong one gets 530 after a pause."""
    if not state.offered_user:
        return reply(503, "Send USER first.")
    return CheckPassword(state.offered_user, argument)


def account(_state: State, _argument: str) -> Reply:
    """ACCT (RFC 959 4.1.1): no user needs one, which is what 202 says."""
    return reply(202, "No account is needed.")


def host(state: State, argument: str) -> Reply:
    """HOST (RFC 7151 3): which virtual host is meant; before USER only.

    220 when it is one of the server's names (with none configured, any is), 504 when not, 501 for what is no host
    name, 503 once USER was sent. Asked again before USER, the last one counts.
    """
    if state.user or state.offered_user:
        return reply(503, "HOST goes before USER.")
    if not _HOST.fullmatch(argument):
        return reply(501, "HOST needs a name, an IPv4 address or an [IPv6 address], without a port.")
    name = argument.lower().rstrip(".")
    if state.terms.hosts and name not in state.terms.hosts:
        return reply(504, "This host is unknown here.")
    state.host = name
    return reply(220, f"{name} it is.")


def auth(state: State, argument: str) -> Reply | Action:
    """AUTH (RFC 4217 4): only TLS, only once."""
    if state.terms.tls == "off":
        return reply(502, "TLS is switched off on this server.")
    if state.secure:
        return reply(503, "This connection is protected already.")
    if argument.upper() not in ("TLS", "TLS-C", "SSL", "TLS-P"):
        return reply(504, "Only AUTH TLS is understood.")
    return StartTls()


def pbsz(state: State, argument: str) -> Reply:
    """PBSZ (RFC 4217 8): a formality that must precede PROT; over TLS it is always 0."""
    if not state.secure:
        return reply(503, "Send AUTH TLS first.")
    if not argument.strip().isdigit():
        return reply(501, "PBSZ needs a number.")
    state.pbsz = True
    return reply(200, "PBSZ=0")


def prot(state: State, argument: str) -> Reply:
    """PROT (RFC 4217 9): whether data connections go through TLS; C is refused (534) where TLS is required."""
    level = argument.strip().upper()
    if not state.secure:
        return reply(503, "Send AUTH TLS first.")
    if not state.pbsz:
        return reply(503, "Send PBSZ 0 first.")
    if level in ("S", "E"):
        return reply(536, "Only PROT P and PROT C go with TLS.")
    if level not in ("P", "C"):
        return reply(504, "PROT P or PROT C.")
    if level == "C" and state.tls_required:
        return reply(534, "TLS is required here, on data connections too: PROT P.")
    state.private_data = level == "P"
    return reply(200, f"Data connections are {'protected' if state.private_data else 'clear'} now.")


def ccc(state: State, _argument: str) -> Reply:
    """CCC (RFC 2228 3, RFC 4217 6): going back to clear is refused."""
    if not state.secure:
        return reply(533, "The control connection is not protected.")
    return reply(534, "The control connection stays protected.")


def clnt(state: State, argument: str) -> Reply:
    """CLNT (no RFC; many clients send it): what the client calls itself."""
    state.client = argument[:FTP_CLIENT_CHARS_MAX]
    return reply(200, "Noted.")


def quit_(_state: State, _argument: str) -> Action:
    """QUIT (RFC 959 4.1.1): goodbye."""
    return HangUp()
