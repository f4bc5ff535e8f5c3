"""The states a session can be in: what has been said before the command that is looked at."""

from __future__ import annotations

LOGIN = ("USER ann", "PASS secret")

STATES: dict[str, tuple[str, ...]] = {
    "fresh": (),
    "user": ("USER ann",),
    "in": LOGIN,
    "bare": LOGIN,
    "clear": (),
    "secure": ("AUTH TLS", "PBSZ 0", "PROT P", *LOGIN),
    "rnfr": (*LOGIN, "RNFR f"),
    "rest": (*LOGIN, "REST 1"),
    "rang": (*LOGIN, "RANG 0 1"),
    "pasv": (*LOGIN, "EPSV"),
    "busy": (*LOGIN, "EPSV", "STOR busy"),
    "quit": (*LOGIN, "QUIT"),
}
"""``bare``: logged in without any permission. ``clear``: the server requires TLS and there is none yet. ``busy``: an
upload is under way. ``quit``: QUIT was sent and its reply not read yet; nothing after it is answered (``-``)."""
