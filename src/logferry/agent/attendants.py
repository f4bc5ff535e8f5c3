"""What stands beside a running agent and tells others of it: heartbeat, metrics for Prometheus, the textfile."""

from __future__ import annotations

from collections.abc import Callable
from logging import WARNING
from typing import TYPE_CHECKING

from logferry.agent.config import AgentConfig, listen_address
from logferry.agent.heartbeat import Heartbeat, HeartbeatSettings
from logferry.agent.journal import Journal
from logferry.agent.metrics import exposition, write_metrics
from logferry.agent.status import Status
from logferry.clock import Clock

if TYPE_CHECKING:
    from logferry.agent.metrics_server import MetricsServer


class Attendants:
    """None of them can stop the agent; what fails is told in the journal and in the status."""

    def __init__(self, latest: Callable[[], Status], journal: Journal, clock: Clock) -> None:
        """``latest`` gives the newest status; other threads ask for it."""
        self._latest = latest
        self._journal = journal
        self._clock = clock
        self._heartbeat: Heartbeat | None = None
        self._heartbeat_key: object = None
        self._server: MetricsServer | None = None
        self._listen = ""
        self._file = ""
        self._metrics = ""

    def attend(self, config: AgentConfig, interval_s: float) -> None:
        """Begin, or go on under new settings: what they do not concern is left alone."""
        self._beat(config, interval_s)
        if config.agent.metrics_listen != self._listen:
            self._serve(config.agent.metrics_listen)
        self._file = config.agent.metrics_file

    def heartbeat(self) -> tuple[str, float | None]:
        """``ok`` or why not ("" without one), and this clock's skew in seconds."""
        return self._heartbeat.state if self._heartbeat is not None else ("", None)

    def metrics(self) -> str:
        """Where the metrics are served; empty: nowhere."""
        return self._metrics

    def tell(self, status: Status, *, running: bool = True) -> None:
        """There is a new status."""
        if not self._file:
            return
        try:
            write_metrics(self._file, exposition(status, running=running))
        except OSError as error:
            why = str(error.strerror or error)
            self._journal.state("metrics file", "not written", level=WARNING, path=self._file, why=why)
        else:
            self._journal.state("metrics file", "")

    def close(self) -> None:
        """End all of them."""
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat, self._heartbeat_key = None, None
        self._serve("")

    def _beat(self, config: AgentConfig, interval_s: float) -> None:
        server = config.server
        key = (config.agent.id, config.user, server, interval_s)
        if key == self._heartbeat_key:
            return
        self._heartbeat_key = key
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
            self._journal.forget("heartbeat")
        if server.heartbeat:
            settings = HeartbeatSettings(
                agent=config.agent.id,
                address=server.heartbeat,
                user=config.user,
                password=config.password,
                pins=server.pin if server.heartbeat_trust == "pin" else (),
                ca_file=server.ca_file,
                interval_s=interval_s,
            )
            self._heartbeat = Heartbeat(settings, self._latest, self._journal, self._clock)

    def _serve(self, listen: str) -> None:
        self._listen = listen
        self._metrics = ""
        if self._server is not None:
            self._server.close()
            self._server = None
        if not listen:
            self._journal.forget("metrics")
            return
        from logferry.agent.metrics_server import MetricsServer

        try:
            self._server = MetricsServer(listen_address(listen), lambda: exposition(self._latest()))
        except OSError as error:
            why = str(error.strerror or error)
            self._metrics = f"{listen}: {why}"
            hint = "another program may have that port; choose another metrics_listen"
            self._journal.state("metrics", f"not at {listen}", level=WARNING, why=why, hint=hint)
        else:
            host, port = self._server.address
            self._metrics = f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
            self._journal.state("metrics", "")
            self._journal.event("metrics", address=self._metrics)
