"""Where a server waits for a data connection: the replies to EPSV (RFC 2428) and PASV (RFC 959)."""

from __future__ import annotations

import re

from logferry.errors import Refused
from logferry.ftp.protocol.replies import Reply

# "(<d><d><d><tcp-port><d>)", <d> being any one character, nearly always "|".
_EXTENDED = re.compile(r"\(([\x21-\x7e])\1\1([0-9]{1,5})\1\)")
# RFC 1123 section 4.1.2.6: take the numbers wherever they stand; not every server writes the parentheses.
_NUMBERS = re.compile(r"(?<![0-9])" + ",".join(["([0-9]{1,3})"] * 6) + r"(?![0-9])")


def extended_passive_port(reply: Reply) -> int:
    """The port in a ``229`` reply. Raises Refused when there is none."""
    found = _EXTENDED.search(reply.text)
    port = int(found[2]) if found else 0
    if reply.code != 229 or not 1 <= port <= 65535:
        raise Refused(f"the server answered EPSV with {reply.code} {reply.text[:120]!r}, which names no port")
    return port


def passive_port(reply: Reply) -> int:
    """The port in a ``227`` reply; the address in it is never used, data goes where the commands go.

    Raises Refused when there is none.
    """
    found = _NUMBERS.search(reply.text)
    numbers = [int(n) for n in found.groups()] if found else []
    port = numbers[4] * 256 + numbers[5] if numbers else 0
    if reply.code != 227 or not numbers or max(numbers) > 255 or port == 0:
        raise Refused(f"the server answered PASV with {reply.code} {reply.text[:120]!r}, which names no port")
    return port
