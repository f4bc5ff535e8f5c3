"""A server written in Python as a process of its own: ``python -m bench.ftp.serve KIND HOME PORT CERT KEY plain|tls``.

``ours`` is our server, ``ours-2`` the same with two processes, else pyftpdlib. It ends when its standard input does.
"""

from __future__ import annotations

import logging
import resource
import sys
import warnings

SESSIONS_MAX = 11_000


def _ours(kind: str, home: str, port: int, certificate: str, key: str) -> None:
    from logferry.ftp import FtpServer, MemoryUsers, ServerLimits, TlsIdentity, User, hash_password

    users = MemoryUsers(User("bench", home, password_hash=hash_password("bench", light=True)))
    processes = {"processes": int(kind.partition("-")[2])} if "-" in kind else {}
    server = FtpServer(
        ("127.0.0.1", port),
        users=users,
        tls="explicit",
        identity=TlsIdentity(certificate, key),
        limits=ServerLimits(sessions=SESSIONS_MAX, sessions_per_address=SESSIONS_MAX),
        **processes,  # type: ignore[arg-type]
    )
    with server:
        sys.stdin.read()


def _pyftpdlib(home: str, port: int, certificate: str, key: str, *, tls: bool) -> None:
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    logging.basicConfig(level=logging.WARNING)
    authorizer = DummyAuthorizer()
    authorizer.add_user("bench", "bench", home, perm="elradfmwMT")
    handler = FTPHandler
    if tls:
        from pyftpdlib.handlers import TLS_FTPHandler

        handler = TLS_FTPHandler
        handler.certfile, handler.keyfile = certificate, key
    handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", port), handler)
    server.max_cons = SESSIONS_MAX
    server.serve_forever()


def main() -> None:
    """Serve until told to end."""
    kind, home, port, certificate, key, mode = sys.argv[1:]
    warnings.simplefilter("ignore")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if kind.startswith("ours"):
        _ours(kind, home, int(port), certificate, key)
    else:
        _pyftpdlib(home, int(port), certificate, key, tls=mode == "tls")


if __name__ == "__main__":
    main()
