"""Over real FTP: what agents deliver arrives, and nobody sees or changes what is not theirs."""

from __future__ import annotations

import ftplib
import hashlib
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.names import aside_name, temporary_name
from tests.server.helpers import eventually
from tests.server.site import PASSWORD, Running, Site, fetched, partly, store

BYTES = b"08:14:01 one line\n" * 1000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running FTP part with an empty archive."""
    made = Site.make(tmp_path / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def code_of(error: pytest.ExceptionInfo[ftplib.Error]) -> str:
    """The three digits of the refusal."""
    return str(error.value)[:3]


def test_an_upload_lies_in_the_live_tree_and_in_the_catalog_when_it_is_acknowledged(site: Site) -> None:
    """Byte for byte, under the agent's id."""
    with site.agent(site.join("web-01")) as client:
        client.mkd("var")
        client.mkd("var/log")
        assert store(client, "/var/log/app.log", BYTES).startswith("226")
        assert site.live("web-01", "var/log/app.log").read_bytes() == BYTES
        found = site.catalog.files.at("web-01", "var/log/app.log")
        assert found is not None
        assert (found.size, found.number, found.has_current) == (len(BYTES), 1, True)
        assert client.size("/var/log/app.log") == len(BYTES)


def test_growth_continues_where_the_server_stands(site: Site) -> None:
    """REST n + STOR, the way agents do it; one generation."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", BYTES)
        store(client, "a.log", b"more\n", rest=len(BYTES))
        assert site.live("web-01", "a.log").read_bytes() == BYTES + b"more\n"
        found = site.catalog.files.at("web-01", "a.log")
        assert found is not None
        assert (found.size, found.generations) == (len(BYTES) + 5, 1)


def test_an_upload_cut_by_a_reset_is_not_acknowledged_and_resumes(site: Site) -> None:
    """Nothing is visible before it is whole; SIZE says where to go on."""
    with site.agent(site.join("web-01")) as client:
        partly(client, "a.log", BYTES[:5000])
        assert client.nlst() == []
        assert site.catalog.files.at("web-01", "a.log") is None
        client.voidcmd("TYPE I")
        size = client.size("a.log")
        assert size is not None
        assert 0 < size <= 5000
        store(client, "a.log", BYTES[size:], rest=size)
        assert site.live("web-01", "a.log").read_bytes() == BYTES


def test_a_temporary_name_is_published_by_renaming(site: Site) -> None:
    """And an old generation is moved aside under its path."""
    with site.agent(site.join("web-01")) as client:
        temporary = temporary_name("/a.log")
        store(client, temporary, BYTES)
        assert client.nlst() == []
        client.rename(temporary, "a.log")
        assert client.nlst() == ["a.log"]
        client.rename("a.log", aside_name("a.log", "20261123T081400Z-0123abcd"))
        store(client, "a.log", b"after truncation\n")
        assert client.nlst() == ["a.log"]
        found = site.catalog.files.at("web-01", "a.log")
        assert found is not None
        assert (found.number, found.generations, found.size) == (2, 2, 17)


def test_size_and_time_right_behind_an_upload_are_those_of_the_catalog(site: Site) -> None:
    """Answered without a look at it, and never for a name that has moved on."""
    with site.agent(site.join("web-01")) as client:
        client.voidcmd("TYPE I")
        store(client, "a.log", BYTES)
        assert client.size("a.log") == len(BYTES)
        assert client.sendcmd("MFMT 20260102030405 a.log").startswith("213 ")
        assert client.sendcmd("MDTM a.log") == "213 20260102030405"
        client.rename("a.log", "b.log")
        with pytest.raises(ftplib.error_perm):
            client.size("a.log")
        assert client.size("b.log") == len(BYTES)

        def written() -> bool:
            found = site.catalog.files.at("web-01", "b.log")
            return found is not None and found.modified_ns == 1_767_323_045 * 10**9

        eventually(written)
        store(client, "b.log", b"more\n", rest=len(BYTES))
        assert client.size("b.log") == len(BYTES) + 5


def test_an_agent_reads_and_removes_nothing(site: Site) -> None:
    """Whoever steals its password gets names, sizes and times."""
    joined = site.join("web-01")
    with site.agent(joined) as client:
        store(client, "a.log", BYTES)
        client.mkd("folder")
        for command in ("RETR a.log", "DELE a.log", "RMD folder", "SITE CHMOD 777 a.log"):
            client.sendcmd("PASV")
            with pytest.raises(ftplib.error_perm):
                client.sendcmd(command)
        assert sorted(client.nlst()) == ["a.log", "folder"]
        assert dict(client.mlsd())["a.log"]["size"] == str(len(BYTES))
        assert client.sendcmd("MDTM a.log").startswith("213 ")


def test_other_content_under_the_same_name_keeps_the_old_generation(site: Site) -> None:
    """A hostile agent cannot overwrite history."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"evidence\n")
        store(client, "a.log", b"forged\n")
        with pytest.raises(ftplib.Error):
            store(client, "a.log", b"XXX", rest=0 + 2)
    site.people.create("ann", PASSWORD)
    with site.ftp("ann", PASSWORD) as reader:
        assert fetched(reader, "/web-01/a.log") == b"forged\n"
        assert fetched(reader, "/web-01/a.log;gen=1") == b"evidence\n"


@pytest.mark.parametrize("path", ["../web-02/a.log", "/../web-02/a.log", "/../../../../etc/passwd", "//web-02//a.log"])
def test_agents_do_not_see_each_other(site: Site, path: str) -> None:
    """Whatever path they write, it is in their own tree."""
    with site.agent(site.join("web-02")) as second:
        store(second, "a.log", b"two\n")
    with site.agent(site.join("web-01")) as first:
        with pytest.raises(ftplib.error_perm) as caught:
            first.sendcmd(f"SIZE {path}")
        assert code_of(caught) == "550"
        assert first.nlst("/") == []
        assert first.nlst("/..") == []
    assert site.live("web-02", "a.log").read_bytes() == b"two\n"


def test_names_that_no_archive_path_can_hold_arrive_escaped_or_refused(site: Site) -> None:
    """Bytes that are not UTF-8, tabs; a name that is too long is told so."""
    with site.agent(site.join("web-01")) as client:
        client.encoding = "utf-8"
        client.voidcmd("TYPE I")
        store(client, "tab\there.log", b"x")
        assert site.catalog.files.at("web-01", "tab%09here.log") is not None
        with pytest.raises(ftplib.error_perm) as caught:
            store(client, "n" * 256, b"x")
        assert code_of(caught) == "553"


def test_a_person_sees_the_agents_of_the_scope_and_reads_their_files(site: Site) -> None:
    """No right and no such file look the same."""
    for agent in ("web-01", "db-01"):
        with site.agent(site.join(agent)) as client:
            client.mkd("app")
            client.mkd("app/secrets")
            store(client, "app/a.log", agent.encode())
            store(client, "app/secrets/key", b"key")
    site.people.create("ann", PASSWORD, scope=["web-*/**", "!**/secrets/**"])
    with site.ftp("ann", PASSWORD) as reader:
        assert reader.nlst() == ["web-01"]
        assert reader.nlst("/web-01/app") == ["/web-01/app/a.log"]
        assert fetched(reader, "/web-01/app/a.log") == b"web-01"
        reader.cwd("/web-01/app")
        assert fetched(reader, "a.log") == b"web-01"
        told = set()
        for path in ("/db-01/app/a.log", "/db-99/app/a.log", "/web-01/app/secrets/key", "/web-01/app/none"):
            with pytest.raises(ftplib.error_perm) as caught:
                fetched(reader, path)
            told.add(str(caught.value).replace(path, "PATH"))
        assert len(told) == 1, told
        for command in ("STOR x", "DELE app/a.log", "MKD x", "RNFR app/a.log", "MFMT 20260101000000 app/a.log"):
            with pytest.raises(ftplib.error_perm):
                reader.sendcmd(command)


def test_an_administrator_reads_everything_and_parts_of_it(site: Site) -> None:
    """With REST, as download managers do."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", BYTES)
    site.people.create("root", PASSWORD, role="admin")
    with site.ftp("root", PASSWORD) as reader:
        parts: list[bytes] = []
        reader.retrbinary("RETR /web-01/a.log", parts.append, rest=5000)
        assert b"".join(parts) == BYTES[5000:]
        reader.voidcmd("TYPE I")
        assert reader.size("/web-01/a.log") == len(BYTES)
        assert [name for name, facts in reader.mlsd("/") if facts["type"] == "dir"] == ["web-01"]


def test_older_generations_have_size_and_time_but_are_not_listed(site: Site) -> None:
    """And a file that is really called so is found first."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"one\n")
        store(client, "a.log", b"second\n")
        store(client, "b;gen=1", b"odd name\n")
    site.people.create("root", PASSWORD, role="admin")
    with site.ftp("root", PASSWORD) as reader:
        reader.voidcmd("TYPE I")
        assert reader.size("/web-01/a.log;gen=1") == 4
        assert reader.sendcmd("MDTM /web-01/a.log;gen=1").startswith("213 ")
        assert fetched(reader, "/web-01/a.log;gen=2") == b"second\n"
        assert fetched(reader, "/web-01/b;gen=1") == b"odd name\n"
        assert sorted(reader.nlst("/web-01")) == ["/web-01/a.log", "/web-01/b;gen=1"]
        with pytest.raises(ftplib.error_perm):
            fetched(reader, "/web-01/a.log;gen=3")


def test_revoking_an_agent_counts_for_the_session_it_has(site: Site) -> None:
    """Within a second, not at its next log-in."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"one\n")
        site.enrolment.revoke("web-01")

        def refused() -> bool:
            try:
                client.sendcmd("NOOP")
            except (ftplib.Error, EOFError, OSError):
                return True
            return False

        eventually(refused, within_s=3)
    with pytest.raises(ftplib.error_perm):
        site.ftp("web-01", "whatever it is")


def test_what_the_server_heard_of_an_agent_is_in_the_catalog(site: Site) -> None:
    """Heard, from where, what came last; a failure until the next success."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"one\n")
        agent = eventually(lambda: next((a for a in site.catalog.agents.list() if a.address and a.uploaded_ns), None))
        assert (agent.address, agent.last_path, agent.error) == ("127.0.0.1", "a.log", "")
        partly(client, "b.log", BYTES)
        failing = eventually(lambda: next((a for a in site.catalog.agents.list() if a.error), None))
        assert "b.log" in failing.error
        store(client, "b.log", BYTES)
        eventually(lambda: next((a for a in site.catalog.agents.list() if not a.error), None))


def test_a_full_disk_is_told_and_reading_goes_on(tmp_path: Path) -> None:
    """452, nothing believed; the agent is shown as failing with the reason."""
    made = Site.make(tmp_path / "data")
    values = made.config.archive.__class__(root=made.config.archive.root, min_free="99.9%")
    made.config = made.config.__class__(archive=values, ftp=made.config.ftp, web=made.config.web)
    with Running(made) as site, site.agent(site.join("web-01")) as client:
        with pytest.raises(ftplib.error_temp) as caught:
            store(client, "a.log", BYTES)
        assert code_of(caught) == "452"
        assert client.nlst() == []
        failing = eventually(lambda: next((a for a in site.catalog.agents.list() if a.error), None))
        assert failing.error.startswith("/a.log: ")
    made.catalog.close()


def test_limits_of_the_settings_hold(tmp_path: Path) -> None:
    """Connections of an agent, not of people; and the rate of all together."""
    made = Site.make(tmp_path / "data", limits={"connections_per_agent": 1, "download_rate": "256 KiB/s"})
    with Running(made) as site:
        joined = site.join("web-01")
        with site.agent(joined) as client:
            with pytest.raises(ftplib.error_temp) as refused:
                site.agent(joined)
            assert code_of(refused) == "421"
            store(client, "/a", BYTES * 6)
        site.people.create("ada", PASSWORD, role="admin")
        with site.ftp("ada", PASSWORD) as one, site.ftp("ada", PASSWORD) as two:
            begin = time.monotonic()
            for client in (one, two):
                assert fetched(client, "/web-01/a") == BYTES * 6
            # 2 x 108 KB less one burst
            assert time.monotonic() - begin > 0.6
    made.catalog.close()


def test_an_agent_verifies_what_it_delivered_and_reads_nothing_by_it(site: Site) -> None:
    """The SHA-256 of a whole file, and whatever the session has just sent; no beginning, no byte, no weaker hash."""
    joined = site.join("web-01")
    more = b"08:14:02 secret\n"
    with site.agent(joined) as client:
        store(client, "a.log", BYTES)
        store(client, "a.log", more, rest=len(BYTES))
        whole = hashlib.sha256(BYTES + more).hexdigest()
        assert client.sendcmd("HASH a.log") == f"213 SHA-256 0-{len(BYTES + more) - 1} {whole} a.log"
        client.sendcmd(f"RANG {len(BYTES)} {len(BYTES + more) - 1}")
        assert client.sendcmd("HASH a.log").split()[3] == hashlib.sha256(more).hexdigest()
        assert client.sendcmd(f'XCRC "a.log" {len(BYTES)}') == f"250 {zlib.crc32(more):08X}"
        assert int(client.sendcmd("AVBL").split()[1]) > 0
    with site.agent(joined) as thief:
        assert thief.sendcmd("HASH a.log").split()[3] == whole
        end = len(BYTES + more)
        for command in ("XCRC a.log", "XMD5 a.log", "XSHA1 a.log", "XSHA256 a.log 0 1", f'XSHA256 "a.log" {end - 1}'):
            with pytest.raises(ftplib.error_perm, match="550"):
                thief.sendcmd(command)
        for first, last in ((0, 0), (0, end - 2), (1, end - 1), (end - 1, end - 1)):
            thief.sendcmd(f"RANG {first} {last}")
            with pytest.raises(ftplib.error_perm, match="550"):
                thief.sendcmd("HASH a.log")
        thief.sendcmd("OPTS HASH CRC32")
        with pytest.raises(ftplib.error_perm, match="550"):
            thief.sendcmd("HASH a.log")


def test_an_agents_own_upload_opens_no_way_to_other_bytes(site: Site) -> None:
    """What was sent is known by its generation: renaming another file to that name shows nothing of it."""
    joined = site.join("web-01")
    with site.agent(joined) as agent:
        store(agent, "secret.log", BYTES)
    with site.agent(joined) as thief:
        store(thief, "mine.log", b"x" * len(BYTES))
        thief.rename("mine.log", "away.log")
        thief.rename("secret.log", "mine.log")
        thief.sendcmd("RANG 0 0")
        with pytest.raises(ftplib.error_perm, match="550"):
            thief.sendcmd("HASH mine.log")
        with pytest.raises(ftplib.error_perm, match="550"):
            thief.sendcmd("HASH missing.log")
        partly(thief, "half.log", BYTES[:5000])
    with site.agent(joined) as again, pytest.raises(ftplib.error_perm, match="550"):
        again.sendcmd("HASH half.log")


def test_a_person_hashes_what_may_be_read(site: Site) -> None:
    """Any range, older generations too; not what the scope hides."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"first\n")
        store(client, "a.log", b"second life\n")
    site.people.create("ann", PASSWORD)
    with site.ftp("ann", PASSWORD) as reader:
        assert reader.sendcmd("HASH /web-01/a.log").split()[3] == hashlib.sha256(b"second life\n").hexdigest()
        assert reader.sendcmd("XMD5 /web-01/a.log;gen=1")[4:].lower() == hashlib.md5(b"first\n").hexdigest()
        reader.sendcmd("RANG 0 5")
        assert reader.sendcmd("HASH /web-01/a.log").split()[3] == hashlib.sha256(b"second").hexdigest()
        with pytest.raises(ftplib.error_perm, match="550"):
            reader.sendcmd("HASH /web-02/a.log")
