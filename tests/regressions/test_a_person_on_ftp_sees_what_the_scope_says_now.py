"""An FTP session used to keep the scope of its log-in for life, and to give out generations that had moved on."""

from __future__ import annotations

import ftplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.site import PASSWORD, Running, Site, fetched, store


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running FTP part with an empty archive."""
    made = Site.make(tmp_path / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def test_a_person_on_ftp_sees_what_the_scope_says_now(site: Site) -> None:
    """A scope that is narrowed takes files away from sessions that are open."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"one\n")
        store(client, "b.log", b"two\n")
    site.people.create("ann", PASSWORD)
    with site.ftp("ann", PASSWORD) as ann:
        assert fetched(ann, "/web-01/a.log") == b"one\n"
        site.people.change("ann", scope=["web-01/b.log"])
        with pytest.raises(ftplib.error_perm, match="550"):
            fetched(ann, "/web-01/a.log")
        assert ann.nlst("/web-01") == ["/web-01/b.log"]
        assert fetched(ann, "/web-01/b.log") == b"two\n"


def test_a_generation_that_moved_to_a_path_out_of_scope_is_not_given_out(site: Site) -> None:
    """By its old number it is the same bytes, and those that were added to them since."""
    with site.agent(site.join("web-01")) as client:
        store(client, "a.log", b"one\n")
        client.mkd("secrets")
        client.rename("a.log", "secrets/a.log")
        store(client, "secrets/a.log", b"a password\n", rest=4)
        store(client, "a.log", b"new\n")
    site.people.create("ann", PASSWORD, scope=["web-01/**", "!**/secrets/**"])
    with site.ftp("ann", PASSWORD) as ann:
        assert fetched(ann, "/web-01/a.log") == b"new\n"
        assert fetched(ann, "/web-01/a.log;gen=2") == b"new\n"
        with pytest.raises(ftplib.error_perm, match="550"):
            fetched(ann, "/web-01/a.log;gen=1")
