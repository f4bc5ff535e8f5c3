"""A status as Prometheus metrics (text format 0.0.4). ``metrics_server.py`` serves it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from logferry.agent.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LINK_WORDS = ("new", "connected", "away", "full", "refused")


@dataclass(frozen=True, slots=True)
class Metric:
    """Name without prefix, ``gauge`` or ``counter``, what it says (with its unit), and its samples by labels."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]

    @property
    def full_name(self) -> str:
        """As Prometheus knows it."""
        return f"logferry_agent_{self.name}"


def metrics(status: Status, *, running: bool) -> list[Metric]:
    """Everything worth a graph or an alarm."""
    return list(_metrics(status, running=running))


def _metrics(status: Status, *, running: bool) -> Iterator[Metric]:
    def gauge(name: str, text: str, value: float) -> Metric:
        return Metric(name, "gauge", text, (({}, value),))

    def counter(name: str, text: str, value: float) -> Metric:
        return Metric(name, "counter", text, (({}, value),))

    info = {"agent": status.agent, "version": status.version, "server": status.server}
    yield Metric("info", "gauge", "Who this is; always 1.", ((info, 1),))
    yield gauge("up", "1 while the agent runs, 0 once it has stopped.", float(running))
    yield gauge("start_time_seconds", "When it was started, in seconds since 1970.", status.started_ns / 1e9)
    yield gauge("status_time_seconds", "When these numbers were taken, in seconds since 1970.", status.written_ns / 1e9)
    links = tuple(({"state": word}, float(word == status.link)) for word in _LINK_WORDS)
    yield Metric("link", "gauge", "1 for the state the connection to the server is in, 0 for the others.", links)
    yield gauge("link_retry_seconds", "Seconds until the server is tried again.", status.retry_s)
    yield gauge("lag_bytes", "Bytes known that the server has not confirmed.", status.lag_bytes)
    yield gauge("lag_seconds", "How long ago the oldest of them was seen first.", status.lag_s)
    yield gauge("files_known", "Files the agent knows on the node.", status.files)
    yield gauge("files_dirty", "Files with bytes that are not confirmed.", status.waiting)
    yield gauge("files_held", "Files kept open.", status.held)
    yield gauge("files_held_deleted", "Files kept open that were deleted or rotated away.", status.held_deleted)
    yield gauge("held_bytes", "Room on the disk that those take.", status.held_bytes)
    yield counter("dropped_files_total", "Files closed or lost before all of them was sent.", status.dropped_files)
    yield counter("dropped_bytes_total", "Bytes of those that were not sent.", status.dropped_bytes)
    yield gauge("folders_polled", "Folders that cannot be watched and are looked at often instead.", status.polled)
    yield gauge("files_failing", "Files that could not be sent when last tried.", status.failing_count)
    yield gauge("files_unreadable", "Folders and files that cannot be looked at.", len(status.findings))
    yield gauge("files_misplaced", "Files still to be renamed on the server.", status.misplaced)
    yield counter("sent_bytes_total", "Bytes the server confirmed since the start.", status.sent_bytes)
    yield counter("sent_slices_total", "Pieces of files the server confirmed since the start.", status.sent_files)
    yield counter("generations_total", "Files that began anew: truncated, replaced, rewritten.", status.generations)
    yield counter("renames_total", "Renames on the node that were followed.", status.renames)
    yield counter("differences_total", "Files that did not begin with what was confirmed of them.", status.differences)
    yield counter(
        "mismatches_total", "Uploads whose digest on the server was another one than here.", status.mismatches
    )
    yield counter("rescans_total", "Looks at all sources.", status.looks)
    yield counter(
        "watch_overflows_total", "Times the watcher lost events, so that all was looked at.", status.overflows
    )
    polling = float(status.watcher == "polling" or status.polled > 0)
    yield gauge("polling", "1 while some or all folders are not watched but looked at now and then.", polling)
    kinds = tuple(({"kind": kind}, float(number)) for kind, number in sorted(status.errors.items()))
    yield Metric("errors_total", "counter", "What did not work, by kind.", kinds)
    yield gauge("registry_bytes", "Size of the registry's files.", status.registry_bytes)
    yield gauge(
        "registry_behind", "1 while changes of the registry are only in memory.", float(status.registry_state != "")
    )
    yield gauge(
        "config_time_seconds",
        "When the settings in use were read, in seconds since 1970.",
        status.config_loaded_ns / 1e9,
    )
    yield counter("config_reloads_total", "Times the settings were read anew.", status.config_tries)
    yield gauge("config_ok", "0 while newer settings are refused, else 1.", float(status.config_error == ""))
    if status.heartbeat:
        yield gauge("heartbeat_ok", "1 while the server's web part hears the agent.", float(status.heartbeat == "ok"))
    if status.clock_skew_s is not None:
        yield gauge("clock_skew_seconds", "How far this clock is ahead of the server's.", status.clock_skew_s)


def exposition(status: Status, *, running: bool = True) -> str:
    """The text that Prometheus reads."""
    lines: list[str] = []
    for metric in metrics(status, running=running):
        lines.append(f"# HELP {metric.full_name} {_escaped(metric.help)}")
        lines.append(f"# TYPE {metric.full_name} {metric.kind}")
        lines += [f"{metric.full_name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return "{" + pairs + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def write_metrics(path: str, text: str) -> None:
    """Replace the file at ``path`` as a whole, readable for whoever collects it. Raises OSError."""
    fresh = f"{path}.new"  # the collector reads only names that end in .prom
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    # Never through a link: the folder may belong to somebody else.
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
        file.write(text)
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o644)
    os.replace(fresh, path)
