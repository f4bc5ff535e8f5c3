"""Prometheus reads what the agent writes."""

from __future__ import annotations

import dataclasses
import re
import socket
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from logferry.agent.metrics import CONTENT_TYPE, exposition, metrics, write_metrics
from logferry.agent.metrics_server import MetricsServer
from tests.agent.example import STATUS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "agent-metrics.md"


def test_every_metric_survives_the_parser_of_the_official_library() -> None:
    """Names, types, help, labels with quotes, backslashes and line feeds, whole and broken numbers."""
    families = {family.name: family for family in text_string_to_metric_families(exposition(STATUS))}
    made = metrics(STATUS, running=True)
    assert set(families) == {metric.full_name.removesuffix("_total") for metric in made}
    for metric in made:
        family = families[metric.full_name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        found = [(sample.labels, sample.value) for sample in family.samples]
        assert found == [(dict(labels), value) for labels, value in metric.samples]
    assert families["logferry_agent_info"].samples[0].labels["server"] == STATUS.server
    assert families["logferry_agent_lag_seconds"].samples[0].value == 61.25


def test_counters_are_called_total_and_nothing_else_is() -> None:
    """As the naming rules of Prometheus have it."""
    for metric in metrics(STATUS, running=True):
        assert metric.full_name.endswith("_total") == (metric.kind == "counter")
        assert re.fullmatch(r"[a-z_]+", metric.full_name)


def test_a_stopped_agent_is_down() -> None:
    """For alarms on the textfile, which outlives it."""
    assert "logferry_agent_up 0\n" in exposition(STATUS, running=False)
    assert "logferry_agent_up 1\n" in exposition(STATUS)


def test_every_metric_is_documented() -> None:
    """Name, kind and what it says, in the table of the reference; no other name is there."""
    whole = dataclasses.replace(STATUS, heartbeat="ok", clock_skew_s=0.0)
    rows = re.findall(r"^\| `(logferry_agent_\w+)` \| (\w+) \| (.+) \|$", REFERENCE.read_text(), re.MULTILINE)
    assert rows == [(m.full_name, m.kind, m.help) for m in metrics(whole, running=True)], "run: make docs"


def test_the_textfile_is_whole_and_readable_for_the_collector(tmp_path: Path) -> None:
    """Replaced by a rename; nothing else is left behind that the collector would read."""
    path = tmp_path / "logferry.prom"
    for text in ("old\n", exposition(STATUS)):
        write_metrics(str(path), text)
        assert path.read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["logferry.prom"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_textfile_is_never_written_through_a_link(tmp_path: Path) -> None:
    """The collector's folder belongs to somebody else, who may point anywhere."""
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "logferry.prom.new").symlink_to(victim)
    write_metrics(str(tmp_path / "logferry.prom"), "one 1\n")
    assert victim.read_text() == "theirs"
    assert (tmp_path / "logferry.prom").read_text() == "one 1\n"
    assert not (tmp_path / "logferry.prom").is_symlink()


def test_prometheus_fetches_them_and_nothing_else() -> None:
    """GET /metrics; other paths and methods are refused; a client that says nothing does not stop the next one."""
    server = MetricsServer(("127.0.0.1", 0), lambda: exposition(STATUS), client_s=0.2)
    try:
        url = f"http://127.0.0.1:{server.address[1]}"
        silent = socket.create_connection(server.address)  # connects, and never asks
        with silent, urllib.request.urlopen(f"{url}/metrics?x=1", timeout=60) as answer:
            assert answer.read().decode() == exposition(STATUS)
            assert answer.headers["Content-Type"] == CONTENT_TYPE
        for path, data in (("/", None), ("/metrics", b"x")):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{url}{path}", data=data, timeout=60)
            caught.value.close()
            assert caught.value.code in (404, 501)
    finally:
        server.close()
