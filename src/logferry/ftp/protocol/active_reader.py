"""Where a client wants the server to connect to: the arguments of PORT (RFC 959) and EPRT (RFC 2428 2)."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from logferry.errors import Refused

_PORT = re.compile(r"[0-9]{1,3}(?:,[0-9]{1,3}){5}")
_EPRT = re.compile(r"([!-~])([0-9]{1,2})\1([0-9A-Fa-f:.]{2,45})\1([0-9]{1,5})\1")


class Target(NamedTuple):
    """An address in its canonical form and a port."""

    host: str
    port: int


class BadTarget(Refused):
    """PORT or EPRT cannot be read. Send the numbers as the RFC writes them."""

    ftp_reply = 501


def port_target(argument: str) -> Target:
    """The target of ``h1,h2,h3,h4,p1,p2``. Raises BadTarget."""
    argument = argument.strip()  # which takes away more than ``int`` would bear
    if not _PORT.fullmatch(argument):
        raise BadTarget("PORT needs six numbers", hint="h1,h2,h3,h4,p1,p2")
    numbers = [int(number) for number in argument.split(",")]
    if max(numbers) > 255:
        raise BadTarget("a number of PORT is over 255")
    return Target(".".join(str(number) for number in numbers[:4]), _port(numbers[4] * 256 + numbers[5]))


def eprt_target(argument: str) -> tuple[str, Target]:
    """Family (``1`` IPv4, ``2`` IPv6, or another) and target of ``|family|address|port|``. Raises BadTarget."""
    found = _EPRT.fullmatch(argument.strip())
    if not found:
        raise BadTarget("EPRT cannot be read", hint="|1|127.0.0.1|50000| or |2|::1|50000|")
    family = found[2]
    try:
        address = ipaddress.ip_address(found[3])
    except ValueError as error:
        raise BadTarget(f"{found[3]} is no address") from error
    if family in ("1", "2") and str(address.version) != {"1": "4", "2": "6"}[family]:
        raise BadTarget(f"{found[3]} is not of the family {family}")
    return family, Target(str(address), _port(int(found[4])))


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise BadTarget(f"there is no port {number}")
    return number
