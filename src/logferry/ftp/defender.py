"""Against guessing of passwords across connections: addresses collect points for what they do wrong, and are banned.

Points leak away over ``window_s``. An address that reaches ``threshold`` is banned, for longer each time. One from
which somebody has logged in well lately bears ``trusted_factor`` times as much: many people may stand behind one
address, and one who mistypes a password must not shut out the others. That is a factor and no pardon, or whoever has
an account could guess at others' for ever, with a good login of their own in between.

IPv6 addresses count by their /64, which is what one customer gets. The table has a fixed size; when a set of it is
full, whoever has the fewest points makes room, a banned address never. It lies on the ``Board``, so a ban holds in all
processes.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass, field, replace

from logferry.clock import Clock
from logferry.errors import BadConfig
from logferry.ftp.board import Board
from logferry.ftp.slots import Row, Slots
from logferry.limits import (
    FTP_BAN_GROWTH,
    FTP_BAN_S,
    FTP_BAN_S_MAX,
    FTP_DEFENDER_ADDRESSES_MAX,
    FTP_DEFENDER_THRESHOLD,
    FTP_DEFENDER_TRUST_FACTOR,
    FTP_DEFENDER_TRUST_S,
    FTP_DEFENDER_WINDOW_S,
    FTP_LOGIN_DELAY_S_MAX,
)

_WAYS = 16
_LEAKED = 0.5
"""What has leaked while somebody guesses quickly: 15 guesses in a row are 15, though the first is seconds old."""
_V4 = b"\x00" * 10 + b"\xff\xff"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Offence(enum.Enum):
    """What costs points, and how many."""

    BAD_PASSWORD = ("wrong passwords", 1)
    BAD_USER = ("unknown user names", 2)
    OVER_LIMIT = ("too many connections", 3)
    BAD_HANDSHAKE = ("failed TLS handshakes", 1)
    NONSENSE = ("floods of nonsense", 5)
    PROBING = ("probing for stored bytes", 5)

    def __init__(self, words: str, points: int) -> None:
        self.words = words
        self.points = points


@dataclass(frozen=True, slots=True)
class DefenderRules:
    """When addresses are banned; times in seconds. ``allow`` are networks that never are, such as ``10.0.0.0/8``."""

    threshold: float = FTP_DEFENDER_THRESHOLD
    window_s: float = FTP_DEFENDER_WINDOW_S
    ban_s: float = FTP_BAN_S
    ban_growth: float = FTP_BAN_GROWTH
    ban_s_max: float = FTP_BAN_S_MAX
    trusted_factor: float = FTP_DEFENDER_TRUST_FACTOR
    trust_s: float = FTP_DEFENDER_TRUST_S
    addresses_max: int = FTP_DEFENDER_ADDRESSES_MAX
    allow: tuple[str, ...] = ()
    networks: tuple[Network, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        for name in ("threshold", "window_s", "ban_s", "trust_s", "addresses_max"):
            if getattr(self, name) <= 0:
                raise BadConfig(f"{name} is {getattr(self, name)}", hint="it must be greater than 0")
        for name in ("ban_growth", "trusted_factor"):
            if getattr(self, name) < 1:
                raise BadConfig(f"{name} is {getattr(self, name)}", hint="it must be at least 1")
        if self.ban_s_max < self.ban_s:
            raise BadConfig(f"ban_s_max is {self.ban_s_max}", hint=f"at least ban_s, which is {self.ban_s}")
        try:
            networks = tuple(ipaddress.ip_network(text, strict=False) for text in self.allow)
        except ValueError as error:
            raise BadConfig(f"allow: {error}", hint="networks such as 10.0.0.0/8 or 2001:db8::/32") from error
        object.__setattr__(self, "networks", networks)


@dataclass(frozen=True, slots=True)
class Ban:
    """A banned address (IPv6: its /64 network), for how many more seconds, and the how manieth ban it is."""

    address: str
    left_s: float
    count: int


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of one address. Times are monotonic seconds.

    ``guilt`` is what of the score, at a ban too, did not come from mere crowding (OVER_LIMIT).
    """

    score: float
    guilt: float
    at_s: float
    banned_until_s: float
    trusted_until_s: float
    bans: int

    def fields(self) -> Row:
        return (self.score, self.guilt, self.at_s, self.banned_until_s, self.trusted_until_s, self.bans)


class Defender:
    """Judges addresses by ``rules``. Safe from all threads and processes."""

    def __init__(self, rules: DefenderRules, board: Board, clock: Clock) -> None:
        self._rules = rules
        self._board = board
        self._clock = clock
        self._table = Slots(board, "dddddI", rules.addresses_max, ways=_WAYS)
        # When an address last tried a name with a password.
        self._tried = Slots(board, "d", rules.addresses_max, ways=_WAYS)
        # Until when there is any ban at all: as long as nobody is banned, a new connection costs no look-up.
        self._any = board.memory(8).cast("d")

    @property
    def addresses_max(self) -> int:
        """How many addresses are remembered at most."""
        return self._table.rows_max

    def offend(self, address: str, offence: Offence, tried: tuple[str, str] | None = None) -> float:
        """``address`` did something wrong. Returns the seconds it is banned for by this, or 0.

        ``tried`` is the name and password of a refused login. Trying the same again is no guessing: a program that
        nobody has told the new password costs no points, and does not shut out those beside it.
        """
        key = self._key(address)
        if key is None:
            return 0.0
        now = self._clock.monotonic_s()
        with self._board.lock:
            if tried is not None and self._again(key, tried, now):
                return 0.0
            record = self._record(key, now)
            if record.banned_until_s > now:
                return 0.0
            trusted = record.trusted_until_s > now
            if trusted and offence is Offence.OVER_LIMIT:
                # A place full of agents that come back at once is no attack.
                return 0.0
            guilt = record.guilt if offence is Offence.OVER_LIMIT else record.guilt + offence.points
            record = replace(record, score=record.score + offence.points, guilt=guilt)
            limit = self._rules.threshold * (self._rules.trusted_factor if trusted else 1.0)
            if record.score < limit - _LEAKED:
                self._put(key, record, now)
                return 0.0
            banned_s = self._length_s(record.bans)
            banned = replace(record, score=0.0, banned_until_s=now + banned_s, bans=record.bans + 1)
            if not self._put(key, banned, now):
                return 0.0
            self._any[0] = max(self._any[0], now + banned_s)
            return banned_s

    def welcome(self, address: str) -> None:
        """Somebody has logged in well from ``address``.

        That it came in a crowd, as many agents behind one address do when a server starts again, is forgotten, and so
        is a ban that it would not have got otherwise.
        """
        key = self._key(address)
        if key is None:
            return
        now = self._clock.monotonic_s()
        with self._board.lock:
            record = replace(self._record(key, now), trusted_until_s=now + self._rules.trust_s)
            if record.banned_until_s > now:
                if record.guilt < self._rules.threshold - _LEAKED:
                    record = replace(record, score=record.guilt, banned_until_s=0.0, bans=record.bans - 1)
            else:
                record = replace(record, score=record.guilt)
            self._put(key, record, now)

    def banned_s(self, address: str) -> float:
        """How many more seconds ``address`` is banned; 0: it is not."""
        now = self._clock.monotonic_s()
        if self._any[0] <= now:
            return 0.0
        key = self._key(address)
        if key is None:
            return 0.0
        with self._board.lock:
            return max(0.0, self._record(key, now).banned_until_s - now)

    def delay_s(self, address: str, base_s: float) -> float:
        """How long a refused login from ``address`` waits for its answer: the worse the record the longer."""
        key = self._key(address)
        if key is None:
            return base_s
        now = self._clock.monotonic_s()
        with self._board.lock:
            score = self._record(key, now).score
        return min(base_s * (1.0 + score / 2.0), max(base_s, FTP_LOGIN_DELAY_S_MAX))

    def bans(self) -> list[Ban]:
        """Who is banned now, those whose ban ends first coming first."""
        now = self._clock.monotonic_s()
        with self._board.lock:
            rows = [(key, _Record(*fields)) for key, fields in self._table]
        found = [Ban(_text(key), rec.banned_until_s - now, rec.bans) for key, rec in rows if rec.banned_until_s > now]
        return sorted(found, key=lambda ban: ban.left_s)

    def unban(self, address: str) -> bool:
        """Forget everything about ``address`` (one out of a /64 stands for it); whether it was banned."""
        try:
            key = _packed(address)
        except ValueError as error:
            raise BadConfig(f"{address!r} is no address", hint="IPv4, or IPv6 with or without /64") from error
        now = self._clock.monotonic_s()
        with self._board.lock:
            banned = self._record(key, now).banned_until_s > now
            self._table.remove(key)
        return banned

    def __len__(self) -> int:
        """Addresses remembered."""
        with self._board.lock:
            return sum(1 for _ in self._table)

    # Records. The lock is held. --------------------------------------------------------------------------------------

    def _key(self, address: str) -> bytes | None:
        """None for an address that is never judged."""
        try:
            key = _packed(address)
        except ValueError:
            return None  # a socket family without addresses
        if self._rules.networks:
            plain = _address(key) if key.startswith(_V4) else ipaddress.ip_address(address.partition("%")[0])
            if any(plain in network for network in self._rules.networks):
                return None
        return key

    def _record(self, key: bytes, now: float) -> _Record:
        fields = self._table.get(key)
        if fields is None:
            return _Record(0.0, 0.0, now, 0.0, 0.0, 0)
        known = _Record(*fields)
        leaked = (now - known.at_s) * self._rules.threshold / self._rules.window_s
        # Bans are forgotten when the address behaved for as long as the longest ban.
        bans = known.bans if now < max(known.at_s, known.banned_until_s) + self._rules.ban_s_max else 0
        score = max(0.0, known.score - leaked)
        guilt = known.guilt if known.banned_until_s > now else min(score, max(0.0, known.guilt - leaked))
        return _Record(score, guilt, now, known.banned_until_s, known.trusted_until_s, bans)

    def _again(self, key: bytes, tried: tuple[str, str], now: float) -> bool:
        # A keyed digest in memory, with the key beside it: no more than the password itself that has just been there.
        words = (word.encode("utf-8", "surrogateescape") for word in tried)
        digest = self._tried.key(key, *words)
        known = self._tried.get(digest)
        self._tried.put(digest, (now,), lambda fields: fields[0])
        return known is not None and now < known[0] + self._rules.trust_s

    def _put(self, key: bytes, record: _Record, now: float) -> bool:
        """Record it. Where a whole set is banned nothing can be recorded; then the login delay has to do."""
        leak = self._rules.threshold / self._rules.window_s

        def rank(fields: Row) -> tuple[float, float] | None:
            row = _Record(*fields)
            if row.banned_until_s > now:
                return None
            return max(0.0, row.score - (now - row.at_s) * leak), row.at_s

        return self._table.put(key, record.fields(), rank)

    def _length_s(self, bans: int) -> float:
        try:
            return min(self._rules.ban_s * self._rules.ban_growth**bans, self._rules.ban_s_max)
        except OverflowError:
            return self._rules.ban_s_max


def _packed(address: str) -> bytes:
    """16 bytes: an IPv4 address mapped into IPv6, or the first 64 bits of an IPv6 address. Raises ValueError."""
    one = ipaddress.ip_address(address.partition("%")[0].removesuffix("/64"))
    if isinstance(one, ipaddress.IPv4Address):
        return _V4 + one.packed
    if one.ipv4_mapped is not None:
        return _V4 + one.ipv4_mapped.packed
    # Not all zeros, which would be an empty row: ``::/64`` holds ``::1``.
    return one.packed[:8] + b"\x00" * 7 + b"\x40"


def _address(key: bytes) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(key[12:])


def _text(key: bytes) -> str:
    if key.startswith(_V4):
        return str(_address(key))
    return f"{ipaddress.IPv6Address(key[:8] + bytes(8))}/64"
