"""``GET /metrics`` for Prometheus: one thread, one client at a time, nothing else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET, AF_INET6

from logferry.agent.metrics import CONTENT_TYPE
from logferry.limits import METRICS_CLIENT_S_MAX

_POLL_S = 0.1
_CLOSE_S = 0.5


class MetricsServer:
    """Runs between construction and ``close``."""

    def __init__(
        self, address: tuple[str, int], text: Callable[[], str], *, client_s: float = METRICS_CLIENT_S_MAX
    ) -> None:
        """``text`` makes the metrics, on the server's thread. Raises OSError if the address cannot be had."""
        self._server = _Server(address, text, client_s)
        self.address: tuple[str, int] = self._server.server_address[:2]  # type: ignore[assignment]  # host and port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_S}, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening. A client that is being served is not waited for long."""
        ender = threading.Thread(target=self._server.shutdown, daemon=True)
        ender.start()
        ender.join(_CLOSE_S)
        self._server.server_close()


class _Server(HTTPServer):
    def __init__(self, address: tuple[str, int], text: Callable[[], str], client_s: float) -> None:
        self.text = text
        self.client_s = client_s
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As HTTPServer, without asking the name service who we are."""
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's fault; anything else is ours and is told."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # whatever it was given


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "logferry-agent"
    sys_version = ""

    def setup(self) -> None:
        """A client gets so long for each of its steps."""
        super().setup()
        self.connection.settimeout(self.server.client_s)

    def do_GET(self) -> None:
        """The metrics, whatever follows ``?``."""
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "only /metrics is here")
            return
        data = self.server.text().encode("utf-8", "replace")
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815 (the names that BaseHTTPRequestHandler looks for)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet: a scrape is no event."""
