"""One signed-in session: from connecting to a state in which transfers can start, and the way to a data connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from logferry.clock import Clock
from logferry.errors import LogferryError, NotSignedIn, Refused, TimedOut, Unreachable
from logferry.ftp.client_control import ControlConnection
from logferry.ftp.client_data import DataConnection
from logferry.ftp.client_tls import ClientTls
from logferry.ftp.cut import Cutter
from logferry.ftp.protocol.features import Features, read_features
from logferry.ftp.protocol.passive_reader import extended_passive_port, passive_port
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.throttle import Pacer

TlsMode = Literal["required", "explicit", "implicit", "off"]


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect and as whom.

    ``tls``: ``required``, ``explicit`` (when the server offers it), ``implicit`` (before the first word) or ``off``.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: TlsMode
    timeout_s: float
    introduction: str = ""
    """What the client calls itself (CLNT), where the server wants to know."""

    keep_alive_s: float = 0.0
    """During a transfer a NOOP goes out on the control connection that often; 0: never."""

    def __post_init__(self) -> None:
        assert self.tls in ("required", "explicit", "implicit", "off"), self.tls
        assert self.keep_alive_s >= 0, self.keep_alive_s
        assert self.timeout_s > 0, self.timeout_s
        assert 0 < self.port < 65536, self.port


class ClientSession:
    """Everything that belongs to one control connection. Made signed in; ends with ``quit`` or ``cut``."""

    def __init__(
        self, login: Login, tls: ClientTls | None, *, cutter: Cutter, clock: Clock, rate: Pacer | None
    ) -> None:
        """Connect and sign in.

        Raises Unreachable, TimedOut, Busy, NotSignedIn, Refused (certificate; no TLS although required), Aborted.
        """
        self.login = login
        self.features = Features()
        self._tls = tls
        self._cutter = cutter
        self._clock = clock
        self._rate = rate
        self._extended = True
        self.digest_algorithm = ""
        """What OPTS HASH chose on this connection; empty: the server's first choice."""
        self.upload_digests = False
        """Replies to small uploads tell their digests."""

        self.control = ControlConnection(login.host, login.port, timeout_s=login.timeout_s, cutter=cutter, clock=clock)
        try:
            self._sign_in()
        except BaseException:
            self.control.cut()
            raise

    def _sign_in(self) -> None:
        where = self.control.where
        if self.login.tls == "implicit":
            self._encrypt_first()
        _expect(self.control.final(), f"connecting to {where}")
        if self.login.tls in ("required", "explicit"):
            self._encrypt()
        reply = self.control.command("USER", self.login.user)
        if reply.code == 331:
            reply = self.control.command("PASS", self.login.password)
        if not reply.completed:
            raise _not_signed_in(reply, f"signing in to {where} as {self.login.user}")
        self.features = read_features(self.control.command("FEAT"))
        if self.features.guards:
            self.control.trust_restarts()
        if self.login.introduction and self.features.has("CLNT"):
            self.control.command("CLNT", self.login.introduction)  # whatever the answer, nothing hangs on it
        if self.features.has("UTF8"):
            self.control.command("OPTS", "UTF8 ON")  # many have it on anyway and refuse the question: no matter
        if self.control.encrypted:
            _expect(self.control.command("PBSZ", "0"), "PBSZ 0")
            _expect(self.control.command("PROT", "P"), "PROT P")
        _expect(self.control.command("TYPE", "I"), "TYPE I")

    def _encrypt_first(self) -> None:
        """Implicit TLS: the handshake comes before the greeting."""
        assert self._tls is not None
        try:
            self.control.start_tls(self._tls)
        except (Unreachable, TimedOut) as error:
            error.hint = 'is this a port of implicit TLS (usually 990)? with others use tls = "required"'
            raise

    def _encrypt(self) -> None:
        assert self._tls is not None
        reply = self.control.command("AUTH", "TLS")
        if reply.code == 234:
            self.control.start_tls(self._tls)
            return
        if reply.transient:
            raise failure(reply, "AUTH TLS")
        if self.login.tls == "required" or self._tls.pins:
            raise Refused(
                f"{self.control.where} does not offer TLS: {reply.code} {reply.text[:200]}",
                hint='switch TLS on there, or set tls = "off" here and send passwords and logs in the clear',
            )

    @property
    def worn(self) -> bool:
        """No transfer may start any more; make a new session."""
        return self.control.worn

    def open_data(self) -> DataConnection:
        """A connected data connection, not yet encrypted. Raises Refused, Later and their kinds."""
        if self._extended:
            reply = self.control.command("EPSV")
            if reply.completed:
                return self.connect_data(extended_passive_port(reply))
            if not reply.permanent or reply.code == 530:
                raise failure(reply, "EPSV")
            self._extended = False
        reply = self.control.command("PASV")
        if not reply.completed:
            raise failure(reply, "PASV")
        return self.connect_data(passive_port(reply))

    def connect_data(self, port: int, *, wait_for_it: bool = True) -> DataConnection:
        """Connect to ``port`` of the server, see DataConnection. Raises Unreachable, TimedOut, Aborted."""
        return DataConnection(
            self.control,
            port,
            timeout_s=self.login.timeout_s,
            cutter=self._cutter,
            clock=self._clock,
            rate=self._rate,
            wait_for_it=wait_for_it,
            keep_alive_s=self.login.keep_alive_s,
        )

    @contextmanager
    def transfer(self, verb: str, path: str, *, rest: int) -> Iterator[DataConnection]:
        """A data connection for ``verb path`` from byte ``rest`` on, the server being ready for it (1yz).

        Inside, move the bytes and read the final reply. An error resets the connection. Raises Refused, Later and
        their kinds.
        """
        data = self.open_data()
        try:
            self._begin(verb, path, rest)
            yield data
        except BaseException:
            data.reset()
            raise
        data.close()

    def _begin(self, verb: str, path: str, rest: int) -> None:
        doing = f"{verb} {path}".rstrip()
        if rest:
            reply = self.control.command("REST", str(rest))
            if not reply.intermediate:
                raise failure(reply, f"REST {rest} before {doing}")
        self.control.send((verb, path))
        reply = self.control.next().reply
        if reply.code >= 400:
            raise failure(reply, doing)
        if not reply.preliminary:
            raise Unreachable(f"{doing}: the server answered {reply.code} {reply.text[:200]} before any byte went over")

    def ask_for_digests(self) -> None:
        """Have the replies to small uploads and bundles tell digests, where the server can."""
        if self.features.digests and not self.upload_digests:
            self.upload_digests = self.control.command("OPTS", "STOR SHA-256").completed

    def secure(self, data: DataConnection) -> None:
        """Encrypt ``data`` when the session is. Raises Unreachable, TimedOut, Refused, Refusal."""
        if self.control.encrypted:
            assert self._tls is not None
            data.secure(self._tls)

    def quit(self) -> None:
        """End it politely."""
        self.control.quit()

    def cut(self) -> None:
        """End it at once."""
        self.control.cut()


def _expect(reply: Reply, doing: str) -> None:
    if not reply.completed:
        raise failure(reply, doing)


def _not_signed_in(reply: Reply, doing: str) -> LogferryError:
    error = failure(reply, doing)
    if reply.permanent and not isinstance(error, NotSignedIn):
        return NotSignedIn(error.message, hint=error.hint or "check user name and password")
    return error
