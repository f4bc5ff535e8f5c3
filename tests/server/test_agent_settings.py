"""What a person sets for one agent has its effect on real transfers: speed, quota, pause, revoke, another password."""

from __future__ import annotations

import ftplib
import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.errors import BadConfig, BadName, LogferryError, Refused
from logferry.limits import KIB
from logferry.server.agent_settings import checked_settings
from tests.server.helpers import eventually
from tests.server.site import Running, Site, store
from tests.server.test_with_agent import Node, record_of, state_of


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running FTP part."""
    made = Site.make(tmp_path_factory.mktemp("settings") / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def refused(client: ftplib.FTP, path: str) -> str:
    """What the server says to an upload, empty when it takes it."""
    try:
        store(client, path, b"x" * 100)
    except (ftplib.Error, EOFError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def test_an_upload_keeps_to_the_agents_own_speed(site: Site) -> None:
    """Also on a connection that was there before, and not for others."""
    data = b"y" * (200 * KIB)

    def seconds(client: ftplib.FTP, path: str) -> float:
        began_s = time.monotonic()
        client.storbinary(f"STOR {path}", io.BytesIO(data))
        return time.monotonic() - began_s

    with site.agent(site.join("slow-01")) as slow, site.agent(site.join("quick-01")) as quick:
        site.catalog.agents.change("slow-01", **checked_settings({"upload_rate": "100 KiB/s"}))
        eventually(lambda: seconds(slow, f"/{time.monotonic_ns()}") > 1.5)  # 2 s less the burst
        eventually(lambda: seconds(quick, f"/{time.monotonic_ns()}") < 1.5)
        site.catalog.agents.change("slow-01", upload_rate="")
        eventually(lambda: seconds(slow, f"/{time.monotonic_ns()}") < 1.5)


def test_a_quota_is_answered_552(site: Site) -> None:
    with site.agent(site.join("full-01")) as client:
        site.catalog.agents.change("full-01", quota_bytes=150)
        assert refused(client, "/a") == ""
        assert refused(client, "/b").startswith("552")
        site.catalog.agents.change("full-01", quota_bytes=1000)
        eventually(lambda: refused(client, "/b") == "")


def test_a_paused_agent_is_answered_450_and_goes_on(site: Site) -> None:
    with site.agent(site.join("still-01")) as client:
        assert refused(client, "/a") == ""
        site.catalog.agents.change("still-01", paused=True)
        eventually(lambda: refused(client, "/b").startswith("450"))
        assert state_of(site, "still-01") == "paused"
        assert record_of(site, "still-01").error == ""
        site.catalog.agents.change("still-01", paused=False)
        eventually(lambda: refused(client, "/b") == "")


def test_a_revoked_agent_is_thrown_out_and_cannot_log_in(site: Site) -> None:
    joined = site.join("out-01")
    with site.agent(joined) as client:
        site.enrolment.revoke("out-01")
        assert record_of(site, "out-01").revoked
        eventually(lambda: refused(client, "/a") != "")
    with pytest.raises(ftplib.error_perm, match="530"):
        site.agent(joined)
    site.enrolment.admit("out-01")
    assert not record_of(site, "out-01").revoked
    eventually(lambda: _logs_in(site, joined.user, joined.password))


def _logs_in(site: Site, user: str, password: str) -> bool:
    try:
        site.ftp(user, password).close()
    except ftplib.Error:
        return False
    return True


def test_a_running_agent_takes_a_new_password_from_its_file_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    """The steps that docs/how-to/be-told.md names: a new password, one line in agent.secret, and nothing more."""
    node = Node(site, tmp_path / "node", "turn-01")
    with node.running():
        (node.logs / "a.log").write_bytes(b"before\n")
        eventually(lambda: record_of(site, "turn-01").last_path == "logs/a.log")
        password = site.enrolment.new_password("turn-01")
        (node.logs / "b.log").write_bytes(b"meanwhile\n")
        (node.base / "secret").write_text(password + "\n")
        eventually(lambda: site.catalog.files.at("turn-01", "logs/b.log") is not None, within_s=60)
    assert site.live("turn-01", "logs/b.log").read_bytes() == b"meanwhile\n"


def test_a_running_agent_waits_while_it_is_paused_and_then_goes_on(site: Site, tmp_path: Path) -> None:
    node = Node(site, tmp_path / "node", "wait-01")
    site.catalog.agents.change("wait-01", paused=True)
    with node.running():
        (node.logs / "a.log").write_bytes(b"kept\n")
        eventually(lambda: record_of(site, "wait-01").version != "")
        assert site.catalog.files.at("wait-01", "logs/a.log") is None
        site.catalog.agents.change("wait-01", paused=False)
        eventually(lambda: site.catalog.files.at("wait-01", "logs/a.log") is not None, within_s=60)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"group": "no blanks"}, BadName),
        ({"tags": ["a b"]}, BadName),
        ({"tags": ["<script>"]}, BadName),
        ({"tags": [f"t{n}" for n in range(21)]}, Refused),
        ({"upload_rate": "fast"}, BadConfig),
        ({"upload_rate": "08:00-07:99 1 MiB/s"}, BadConfig),
        ({"expect_every_s": 0.1}, Refused),
        ({"expect_every_s": 1e12}, Refused),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, object], error: type[LogferryError]) -> None:
    with pytest.raises(error) as caught:
        checked_settings(values)
    assert caught.value.hint


def test_settings_come_out_in_one_form() -> None:
    assert checked_settings({"tags": ["b", "a", "b"], "upload_rate": " 0 "}) == {"tags": ["a", "b"], "upload_rate": ""}
