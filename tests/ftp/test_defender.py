"""The defender: who is banned, for how long, who is not, and that nothing grows."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.clock import ManualClock
from logferry.errors import BadConfig
from logferry.ftp import DefenderRules
from logferry.ftp.board import Board
from logferry.ftp.defender import Defender, Offence


def made(clock: ManualClock | None = None, **rules: object) -> tuple[Defender, ManualClock]:
    """A defender with a clock of its own."""
    clock = clock or ManualClock()
    return Defender(DefenderRules(**rules), Board(), clock), clock  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offence", "times"),
    [
        (Offence.BAD_PASSWORD, 15),
        (Offence.BAD_USER, 8),
        (Offence.OVER_LIMIT, 5),
        (Offence.BAD_HANDSHAKE, 15),
        (Offence.NONSENSE, 3),
        (Offence.PROBING, 3),
    ],
)
def test_so_many_offences_get_an_address_banned(offence: Offence, times: int) -> None:
    """Not one fewer; the last one says for how long."""
    defender, _ = made()
    for _ in range(times - 1):
        assert defender.offend("192.0.2.1", offence) == 0.0
        assert defender.banned_s("192.0.2.1") == 0.0
    assert defender.offend("192.0.2.1", offence) == 1800.0
    assert defender.banned_s("192.0.2.1") == 1800.0
    assert defender.banned_s("192.0.2.2") == 0.0


def test_points_leak_away() -> None:
    """One wrong password every two minutes is a forgetful human; one per minute and a half is not."""
    for pause_s, banned in ((121.0, False), (90.0, True)):
        defender, clock = made()
        results = []
        for _ in range(200):
            results.append(defender.offend("192.0.2.1", Offence.BAD_PASSWORD))
            clock.advance(pause_s)
        assert any(results) == banned


def test_each_ban_is_longer_up_to_a_bound_and_is_forgotten_in_the_end() -> None:
    """30, 45, 67.5 minutes ... 24 hours; a day after the last one it starts anew."""
    defender, clock = made()

    def ban() -> float:
        while not (length := defender.offend("192.0.2.1", Offence.PROBING)):
            pass
        clock.advance(length)
        assert defender.banned_s("192.0.2.1") == 0.0
        return length

    assert [ban() for _ in range(3)] == [1800.0, 2700.0, 4050.0]
    assert [ban() for _ in range(20)][-1] == 86400.0
    clock.advance(86400.0)
    assert ban() == 1800.0


def test_a_banned_address_collects_no_points() -> None:
    """What it had under way when it was banned does not make the ban longer."""
    defender, clock = made()
    while not defender.offend("192.0.2.1", Offence.PROBING):
        pass
    clock.advance(600)
    for _ in range(100):
        assert defender.offend("192.0.2.1", Offence.PROBING) == 0.0
    assert defender.banned_s("192.0.2.1") == pytest.approx(1200.0)
    assert [ban.count for ban in defender.bans()] == [1]


def test_a_good_login_lets_an_address_bear_more_but_not_everything() -> None:
    """Four times as much: a neighbour's mistakes do not shut the others out, an account is no licence to guess."""
    defender, clock = made()
    for count in range(1, 61):
        defender.welcome("192.0.2.1")
        banned = defender.offend("192.0.2.1", Offence.BAD_PASSWORD)
        assert bool(banned) == (count == 60)
    assert defender.banned_s("192.0.2.1") == 1800.0
    clock.advance(86401)
    other, clock = made()
    other.welcome("192.0.2.9")
    clock.advance(86401)
    results = [other.offend("192.0.2.9", Offence.BAD_PASSWORD) for _ in range(15)]
    assert results[-1] == 1800.0, "trust ends"


def test_a_good_login_lifts_no_ban_and_takes_no_points() -> None:
    """Whoever has an account could wash away guesses at other names."""
    defender, _ = made(trusted_factor=1.0)
    for _ in range(14):
        defender.offend("192.0.2.1", Offence.BAD_PASSWORD)
        defender.welcome("192.0.2.1")
    assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD) == 1800.0
    defender.welcome("192.0.2.1")
    assert defender.banned_s("192.0.2.1") == 1800.0


def test_many_agents_behind_one_address_may_come_back_at_once() -> None:
    """Refused for their number they are not banned, once one of them has logged in."""
    defender, _ = made()
    defender.welcome("192.0.2.1")
    assert not any(defender.offend("192.0.2.1", Offence.OVER_LIMIT) for _ in range(1000))


def test_many_agents_that_come_before_the_first_has_logged_in_are_let_in_again_when_it_has() -> None:
    """The ban for their number is lifted, with one of them wrong too; what was guessed besides still counts."""
    defender, _ = made()
    defender.offend("192.0.2.1", Offence.BAD_PASSWORD)
    assert any(defender.offend("192.0.2.1", Offence.OVER_LIMIT) for _ in range(5))
    defender.welcome("192.0.2.1")
    assert defender.banned_s("192.0.2.1") == 0.0
    assert not any(defender.offend("192.0.2.1", Offence.BAD_PASSWORD) for _ in range(58))
    assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD) == 1800.0
    assert defender.bans()[0].count == 1


def test_a_good_login_does_not_lift_a_ban_for_guessing_because_there_was_a_crowd_too() -> None:
    """However late in the ban it comes."""
    defender, clock = made(ban_s=7200.0)
    defender.offend("192.0.2.1", Offence.OVER_LIMIT)
    assert any(defender.offend("192.0.2.1", Offence.NONSENSE) for _ in range(3))
    clock.advance(7100.0)
    defender.welcome("192.0.2.1")
    assert defender.banned_s("192.0.2.1") == 100.0


def test_networks_on_the_list_are_never_banned() -> None:
    """IPv4, IPv6, single addresses, and IPv4 that comes mapped into IPv6."""
    defender, _ = made(allow=("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"))
    for address in ("10.1.2.3", "2001:db8:1::5", "192.0.2.7", "::ffff:10.1.2.3"):
        assert not any(defender.offend(address, Offence.PROBING) for _ in range(100)), address
        assert defender.banned_s(address) == 0.0
    assert any(defender.offend("192.0.2.8", Offence.PROBING) for _ in range(3))
    assert len(defender) == 1


def test_ipv6_counts_by_its_64() -> None:
    """A customer has 2^64 addresses; the neighbour's /64 is another one."""
    defender, _ = made()
    for number in range(15):
        defender.offend(f"2001:db8:0:1::{number:x}", Offence.BAD_PASSWORD)
    assert defender.banned_s("2001:db8:0:1:ffff::1%eth0") == 1800.0
    assert defender.banned_s("2001:db8:0:2::1") == 0.0
    assert [ban.address for ban in defender.bans()] == ["2001:db8:0:1::/64"]
    assert defender.unban("2001:db8:0:1::77")
    for _ in range(15):
        defender.offend("::1", Offence.BAD_PASSWORD)
    assert [ban.address for ban in defender.bans()] == ["::/64"]
    assert defender.unban("::/64")


def test_the_same_password_again_is_no_guess() -> None:
    """An agent with an old password may knock for days; another password, name or address is another guess."""
    defender, clock = made()
    for _ in range(5000):
        assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD, ("agent", "old")) == 0.0
        clock.advance(60)
    for number in range(14):
        assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD, ("agent", f"new {number}")) == 0.0
    assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD, ("agen", "told")) == 1800.0
    assert defender.offend("192.0.2.2", Offence.BAD_USER, ("agent", "old")) == 0.0
    assert len(defender) == 2


def test_bans_are_listed_and_lifted() -> None:
    """Lifting forgets the record as well; what is no address is said."""
    defender, clock = made()
    for address in ("192.0.2.1", "192.0.2.2"):
        while not defender.offend(address, Offence.PROBING):
            pass
        clock.advance(60)
    assert [(ban.address, round(ban.left_s), ban.count) for ban in defender.bans()] == [
        ("192.0.2.1", 1680, 1),
        ("192.0.2.2", 1740, 1),
    ]
    assert defender.unban("192.0.2.1")
    assert not defender.unban("192.0.2.1")
    assert [ban.address for ban in defender.bans()] == ["192.0.2.2"]
    assert defender.offend("192.0.2.1", Offence.BAD_PASSWORD) == 0.0
    with pytest.raises(BadConfig):
        defender.unban("example.org")


def test_the_delay_grows_with_the_record() -> None:
    """And is bounded; a base of zero stays zero."""
    defender, _ = made()
    delays = []
    for _ in range(14):
        delays.append(defender.delay_s("192.0.2.1", 0.5))
        defender.offend("192.0.2.1", Offence.BAD_PASSWORD)
    assert delays == sorted(delays)
    assert delays[0] == 0.5
    assert 3.0 < delays[-1] <= 5.0
    assert defender.delay_s("192.0.2.1", 0.0) == 0.0


def test_an_attacker_with_fresh_addresses_frees_no_banned_one() -> None:
    """However many of them do a little wrong, whoever is banned stays it, and the table keeps its size."""
    defender, _ = made(addresses_max=64)
    banned = [f"198.51.100.{number}" for number in range(8)]
    for address in banned:
        while not defender.offend(address, Offence.PROBING):
            pass
    for number in range(20_000):
        defender.offend(str(ipaddress.ip_address(0x0A000000 + number)), Offence.BAD_USER)
    assert all(defender.banned_s(address) for address in banned)
    assert len(defender) <= defender.addresses_max == 64


def test_the_worst_are_remembered_when_the_table_is_full() -> None:
    """Fresh ones push out those that did least, so many slow guessers hide no quick one."""
    defender, _ = made(addresses_max=16)
    for _ in range(14):
        defender.offend("198.51.100.1", Offence.BAD_PASSWORD)
    for number in range(1000):
        defender.offend(str(ipaddress.ip_address(0x0A000000 + number)), Offence.BAD_PASSWORD)
    assert defender.offend("198.51.100.1", Offence.BAD_PASSWORD) == 1800.0


def test_a_table_full_of_bans_still_judges_nobody_wrongly() -> None:
    """Whoever finds no place is not recorded: neither banned nor in anybody's place."""
    defender, clock = made(addresses_max=16)
    for number in range(16):
        while not defender.offend(f"198.51.100.{number}", Offence.PROBING):
            pass
    for _ in range(100):
        assert defender.offend("192.0.2.1", Offence.PROBING) == 0.0
    assert len(defender.bans()) == 16
    clock.advance(1801)
    while not defender.offend("192.0.2.1", Offence.PROBING):
        pass
    assert defender.banned_s("192.0.2.1") == 1800.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"window_s": -1},
        {"ban_growth": 0.5},
        {"ban_s": 100, "ban_s_max": 50},
        {"allow": ("10.0.0.0/33",)},
        {"allow": ("localhost",)},
        {"addresses_max": 0},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """When they are made."""
    with pytest.raises(BadConfig):
        DefenderRules(**wrong)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from([*Offence, "welcome", "unban"]),
        st.floats(0, 4000),
    ),
    max_size=200,
)


@settings(max_examples=50)
@given(STEPS)
def test_whatever_happens_the_table_keeps_its_bound_and_bans_their_time(
    steps: list[tuple[int, Offence | str, float]],
) -> None:
    """A ban ends exactly when it was said to, unless it is lifted; nobody is banned who was not told so."""
    defender, clock = made(addresses_max=32)
    until: dict[str, float] = {}
    for number, what, pause_s in steps:
        address = str(ipaddress.ip_address(0x0A000000 + number))
        if what == "welcome":
            defender.welcome(address)
        elif what == "unban":
            assert defender.unban(address) == (address in until)
            until.pop(address, None)
        else:
            assert isinstance(what, Offence)
            if length := defender.offend(address, what):
                until[address] = clock.monotonic_s() + length
        clock.advance(pause_s)
        now = clock.monotonic_s()
        until = {address: end for address, end in until.items() if end > now}
        assert {ban.address for ban in defender.bans()} == set(until)
        assert len(defender) <= 32
        for address, end in until.items():
            assert defender.banned_s(address) == pytest.approx(end - now)
